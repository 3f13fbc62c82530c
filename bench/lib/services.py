"""Product and Delivery as they ship, and a PostgreSQL that keeps what it acknowledges."""
import re
import time

from . import wire
from .loads import load, one
from .processes import (RELEASE, ROOT, SERVER_CORE, START_SECONDS, TMP, WORK, Failed, Process, free_port, get, output,
                        running)

SAMPLE = ROOT / "cli" / "sample" / "catalogue.jsonl"


class Service:
    """One of the two, its flags at their defaults but for one serving thread, as it has one core."""

    def __init__(self, program, name, flags, core, under=()):
        self.port, self.admin_port, self.name = free_port(), free_port(), name
        self.process = Process(name, [*under, RELEASE / program, "--listen", f"127.0.0.1:{self.port}",
                                      "--admin-listen", f"127.0.0.1:{self.admin_port}", "--threads", 1, *flags], core)
        kind = program.capitalize() + "Service"
        self.health = wire.write(TMP / f"{name}.health", [wire.health(f"candeliver.{program}.v1.{kind}")])
        self.process.until_listening(self.port)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def until_serving(self, seconds=START_SECONDS):
        """Seconds until it says that it serves."""
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            self.process.check()
            # In plain text there, whatever the other port speaks.
            end, message = one(self.admin_port, wire.HEALTH, self.health)
            if end == "code 0" and bytes.fromhex(message)[5:] == wire.SERVING:
                return time.monotonic() - begun
            time.sleep(0.005)
        raise Failed(f"{self.name} does not serve")

    def answered(self, code="OK"):
        """Calls that it counts itself as answered so, health checks left out."""
        counted = re.findall(r'^candeliver_server_calls_total\{service="candeliver[^}]*code="(\w+)"\} (\S+)$',
                             get(self.admin_port, "/metrics"), re.M)
        return sum(float(count) for of, count in counted if of == code)

    def check_counters(self):
        """Its own counters must agree that it answered all. What a load gave up at its end is CANCELLED."""
        page = get(self.admin_port, "/metrics")
        bad = re.findall(r'^candeliver_server_calls_refused_total [^0].*|'
                         r'^candeliver_server_calls_total\{service="candeliver[^}]*code="(?!OK|CANCELLED)\w+"\} .*$', page, re.M)
        if bad or "candeliver_server_calls_refused_total" not in page:
            raise Failed(f"{self.name} did not answer all: {bad}")

    def stop(self):
        self.process.stop()


class Postgres:
    """A throw-away cluster with fsync on. Its processes are on no core of their own: they use both."""

    def __init__(self):
        exports = output([ROOT / "scripts" / "postgres", "start", "--durable"], env={"TMPDIR": str(TMP)})
        self.url = re.search(r"URL=(\S+)", exports).group(1)
        self.folder = re.search(r"FOLDER=(\S+)", exports).group(1)
        self.port = re.search(r":(\d+)/", self.url).group(1)
        running.append(self)

    def database(self, name):
        """A new database's URL."""
        self.sql(f"CREATE DATABASE {name}", "postgres")
        return self.url.rsplit("/", 1)[0] + "/" + name

    def sql(self, statement, database):
        return output(["psql", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", self.port, "-U", "app", "-qtA",
                       "-c", statement, database]).strip()

    def stop(self):
        if self in running:
            running.remove(self)
            output([ROOT / "scripts" / "postgres", "stop", self.folder])


def sqlite_url(name):
    """A file on the repository's disk."""
    return f"sqlite://{TMP / name}.db"


def product(name, url, core=SERVER_CORE, under=(), flags=()):
    """A Product that serves what its database holds."""
    started = Service("product", name, ["--database-url", url, *flags], core, under)
    started.until_serving()
    return started


def delivery(name, url, product_url, under=(), flags=()):
    """A Delivery on the server's core."""
    flags = ["--database-url", url, "--product-url", product_url, *flags]
    started = Service("delivery", name, flags, SERVER_CORE, under)
    started.until_serving()
    return started


def import_catalogue(service, catalogue):
    """Seconds that `candeliver import` takes."""
    begun = time.monotonic()
    output([RELEASE / "candeliver", "import", catalogue], env={"CANDELIVER_PRODUCT": service.url})
    return time.monotonic() - begun


def sample_product(name, core=SERVER_CORE, under=(), flags=()):
    """A Product with the sample catalogue."""
    started = product(name, sqlite_url(name), core, under, flags)
    import_catalogue(started, SAMPLE)
    return started


def catalogue_of(rows):
    """The file with so many rows; made once."""
    path = WORK / f"catalogue-{rows}.jsonl"
    made_by = ROOT / "bench" / "million-rows"
    if not path.exists() or path.stat().st_mtime < made_by.stat().st_mtime:
        path.write_text(output([made_by, 1_000_000 // rows]))
    return path


def closed_loop(service_port, path, bodies, seconds, connections=8, streams=32, secured=()):
    """Calls a second by our own load."""
    return load(service_port, path, bodies, seconds=seconds, connections=connections, streams=streams, secured=secured)["per_second"]
