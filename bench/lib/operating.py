"""What it costs to run it for real: mutual TLS, traces."""
import statistics
import sys

from . import wire
from .loads import alternate, ratio
from .processes import TMP, Process, free_port, output
from .report import at_least
from .services import closed_loop, product, sample_product, sqlite_url
from .serving import asked

IDENTITY = "spiffe://bench.example/load"


def pki():
    """Files of an authority and of one certificate that server and load share: what is measured is what bytes cost."""
    (TMP / "names").write_text(f"subjectAltName=IP:127.0.0.1,URI:{IDENTITY}\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    output(["openssl", "req", "-x509", *curve, "-days", 2, "-subj", "/CN=bench",
            "-keyout", TMP / "ca.key", "-out", TMP / "ca.crt"])
    output(["openssl", "req", *curve, "-subj", "/CN=one", "-keyout", TMP / "tls.key", "-out", TMP / "tls.csr"])
    output(["openssl", "x509", "-req", "-in", TMP / "tls.csr", "-CA", TMP / "ca.crt", "-CAkey", TMP / "ca.key",
            "-CAcreateserial", "-days", 2, "-extfile", TMP / "names", "-out", TMP / "tls.crt"])
    (TMP / "access.toml").write_text(f'[allow]\n"candeliver.product.v1.ProductService" = ["{IDENTITY}"]\n')


def secured(plan):
    """CanDeliver over mutual TLS with an access table against plain text."""
    pki()
    plain = sample_product("product")
    flags = ["--tls-cert-file", TMP / "tls.crt", "--tls-key-file", TMP / "tls.key", "--tls-client-ca-file", TMP / "ca.crt",
             "--access-file", TMP / "access.toml"]
    secure = product("secure", sqlite_url("product"), flags=flags)
    shown = ["--ca-file", TMP / "ca.crt", "--cert-file", TMP / "tls.crt", "--key-file", TMP / "tls.key"]
    body = asked()
    seen = alternate(plan.rounds, {
        "plain": lambda: closed_loop(plain.port, wire.CAN_DELIVER, body, plan.seconds),
        "secured": lambda: closed_loop(secure.port, wire.CAN_DELIVER, body, plan.seconds, secured=shown),
    })
    plain.check_counters()
    return [at_least("CanDeliver over mutual TLS, with an access table, against plain text", 0.85,
                     ratio(seen["secured"], seen["plain"]), told(seen, "secured", "plain"))], {}


def traced(plan):
    """CanDeliver with metrics scraped every second and one in a hundred calls traced, against neither."""
    plain = sample_product("product")
    port = free_port()
    collector = Process("collector", [sys.executable, "-c", COLLECTOR, port])
    collector.until_listening(port)
    observed = product("observed", sqlite_url("product"), flags=["--otlp-endpoint", f"http://127.0.0.1:{port}"])
    scraper = Process("scraper", [sys.executable, "-c", SCRAPER, observed.admin_port])
    body = asked()
    seen = alternate(plan.rounds, {
        "plain": lambda: closed_loop(plain.port, wire.CAN_DELIVER, body, plan.seconds),
        "observed": lambda: closed_loop(observed.port, wire.CAN_DELIVER, body, plan.seconds),
    })
    scraper.stop()
    collector.stop()
    return [at_least("CanDeliver, scraped each second and 1 % traced, against neither", 0.95,
                     ratio(seen["observed"], seen["plain"]), told(seen, "observed", "plain"))], {}


# Takes what it is sent, and answers nothing: the spans' way to it is what costs here.
COLLECTOR = """
import socket, sys, threading
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def read(connection):
    while connection.recv(65536):
        pass
while True:
    threading.Thread(target=read, args=(listener.accept()[0],), daemon=True).start()
"""
SCRAPER = """
import sys, time, urllib.request
while True:
    urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics").read()
    time.sleep(1)
"""


def told(seen, one, other):
    return f"{statistics.median(seen[one]):,.0f} against {statistics.median(seen[other]):,.0f} calls/s"
