"""What a catalogue's size costs: importing, memory, starting, deciding; and how fast `up` is there."""
import statistics
import threading
import time

from . import wire
from .loads import alternate, load, ratio
from .processes import RELEASE, TMP, Failed, Process, free_port, output
from .report import Row, at_least, limit
from .services import (Postgres, catalogue_of, closed_loop, import_catalogue, product, sample_product, sqlite_url)

UP_SECONDS = 30
# About as long as the import takes, so that most of the calls are made beside it.
IMPORTING_SECONDS = 2
IMPORTING_RATE = 2_000
# More than a pause of 100 ms would pile up.
IMPORTING_STREAMS = 250


def up(plan):
    """`candeliver up` on an empty folder until both services answer, and their memory with the sample."""
    took, resident = [], {}
    for number in range(plan.rounds):
        ports = [free_port() for _ in range(2)]
        urls = {name: f"http://127.0.0.1:{port}" for name, port in
                zip(("CANDELIVER_PRODUCT", "CANDELIVER_DELIVERY"), ports)}
        begun = time.monotonic()
        started = Process("up", [RELEASE / "candeliver", "up", "--data", TMP / f"up{number}",
                                 "--product-listen", f"127.0.0.1:{ports[0]}", "--product-admin-listen", "127.0.0.1:0",
                                 "--delivery-listen", f"127.0.0.1:{ports[1]}", "--delivery-admin-listen", "127.0.0.1:0"])
        until_ok(["candeliver", "status"], urls)
        took.append((time.monotonic() - begun) * 1_000)
        until_ok(["candeliver", "check", *wire.PAIR], urls)
        with open(f"/proc/{started.pid}/task/{started.pid}/children", encoding="ascii") as children:
            for child in children.read().split():
                words = open(f"/proc/{child}/cmdline", encoding="utf-8").read()
                kilobytes = next(line.split()[1] for line in open(f"/proc/{child}/status", encoding="utf-8")
                                 if line.startswith("VmRSS"))
                resident["Product" if "serve-product" in words else "Delivery"] = int(kilobytes) / 1024
        started.stop()
    return [limit("`candeliver up` on an empty folder until both are SERVING", 1_000, statistics.median(took), "ms"),
            Row("Product's resident memory right after `up` has imported the sample catalogue", "",
                f"{resident['Product']:.1f} MiB"),
            Row("Delivery's beside it", "", f"{resident['Delivery']:.1f} MiB"),
            limit("Product's resident memory, started with the sample catalogue", 15, with_the_sample(), "MiB")], {}


def with_the_sample():
    """Resident MiB of a Product that finds the sample in its database."""
    sample_product("sample").stop()
    service = product("sample", sqlite_url("sample"))
    resident = service.process.memory_mib("VmRSS")
    service.stop()
    return resident


def until_ok(command, env):
    """Runs a command until it succeeds."""
    end = time.monotonic() + UP_SECONDS
    while True:
        try:
            return output([RELEASE / command[0], *command[1:]], env=env)
        except Failed:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def million(plan):
    """Import, memory and start with a million rows (fewer with --quick); calls a second against 1,000 rows."""
    rows = []
    # What is to be reached is said of a million.
    judged = limit if plan.rows == 1_000_000 else told
    large = catalogue_of(plan.rows)
    for name, url in (("PostgreSQL", None), ("SQLite", sqlite_url("large"))):
        postgres = Postgres() if url is None else None
        service = product(f"product-{name}", url or postgres.database("product"), core=None)
        took = import_catalogue(service, large)
        rows.append(judged(f"import of {plan.rows:,} rows on {name}", 30, took, "s"))
        peak = service.process.memory_mib("VmHWM")
        rows.append(judged(f"Product's peak memory in it, {name}", 600, peak, "MiB"))
        service.stop()
        if postgres:
            postgres.stop()
    starts = []
    for _ in range(plan.rounds):
        # From the start of the process to its answer SERVING.
        begun = time.monotonic()
        service = product("product-large", sqlite_url("large"))
        starts.append(time.monotonic() - begun)
        if len(starts) < plan.rounds:
            service.stop()
    rows.append(judged(f"start to SERVING with {plan.rows:,} rows", 4, statistics.median(starts), "s"))
    rows.append(judged("Product's resident memory then", 600, service.process.memory_mib("VmRSS"), "MiB"))
    service.stop()
    sizes, figures = against_size(plan)
    return rows + sizes, figures


def importing(plan):
    """What readers on one thread notice of an import of 100,000 rows."""
    service = sample_product("importing", core=None)
    question = wire.write(TMP / "importing.pair", [wire.question(wire.PAIR)])

    def ask():
        seen = load(service.port, wire.CAN_DELIVER, question, seconds=IMPORTING_SECONDS, streams=IMPORTING_STREAMS,
                    rate=IMPORTING_RATE)
        return seen["p999_us"]

    file, quiet, beside = catalogue_of(100_000), [], []
    for _ in range(plan.rounds):
        quiet.append(ask())
        # The first round creates the rows and the others find them as they are: both are decoded, read and checked.
        running = threading.Thread(target=import_catalogue, args=(service, file))
        running.start()
        beside.append(ask())
        running.join()
    service.check_counters()
    service.stop()
    return [Row(f"CanDeliver's p99.9 on one thread during an import of 100,000 rows, at {IMPORTING_RATE:,} calls/s", "",
                f"{max(beside) / 1_000:.2f} ms at most; {max(quiet) / 1_000:.2f} ms without")], {}


def told(what, _wanted, value, unit):
    """A row of which nothing is asked."""
    return Row(what, "", f"{value:,.1f} {unit}")


def against_size(plan):
    """Calls a second with uniformly random pairs at several sizes, alternating."""
    measures, services = {}, []

    def measure(name, service, pairs):
        measures[name] = lambda: closed_loop(service.port, wire.CAN_DELIVER, pairs, plan.seconds)
        services.append(service)

    for size in (size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= plan.rows):
        file = catalogue_of(size)
        name = "large" if size == plan.rows else f"size-{size}"
        service = product(f"product-{size}", sqlite_url(name))
        if size != plan.rows:
            import_catalogue(service, file)
        pairs = wire.write(TMP / f"pairs-{size}", map(wire.question, wire.random_pairs(file)))
        measure(size, service, pairs)
    # The largest once more, with pages of 2 MiB where the system gives them to who asks.
    huge = product("product-huge", sqlite_url("large"), under=["env", "MIMALLOC_ALLOW_THP=1"])
    measure("huge", huge, pairs)
    resident = huge.process.memory_mib("VmRSS")
    seen = alternate(plan.rounds, measures)
    for service in services:
        service.check_counters()
    middle = {size: statistics.median(values) for size, values in seen.items()}
    row = at_least(f"CanDeliver at {plan.rows:,} rows against 1,000, random pairs", 0.9,
                   ratio(seen[plan.rows], seen[1_000]), f"{middle[plan.rows]:,.0f} against {middle[1_000]:,.0f} calls/s")
    told_huge = Row("the same with huge pages allowed (MIMALLOC_ALLOW_THP=1)", "",
                    f"{ratio(seen['huge'], seen[1_000]):.2f} × (resident {resident:,.0f} MiB)")
    del middle["huge"]
    return [row, told_huge], {"size": sorted(middle.items())}
