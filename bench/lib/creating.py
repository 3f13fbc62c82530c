"""CreateDelivery, checked and committed, beside a Delivery that writes nothing, pgbench, and a transaction a row."""
import re
import sqlite3
import statistics
from contextlib import closing

from . import wire
from .loads import alternate, load, ratio, say
from .processes import RELEASE, SERVER_CORE, TMP, Failed, LOAD_CORE, Process, free_port, output
from .report import Row, at_least, at_most
from .services import Postgres, closed_loop, delivery, sample_product, sqlite_url
from .serving import callgrind

# Delivery's own row. Ids grow with time, as Delivery's do: random ones would cost the index more.
PGBENCH = r"""\set low random(0, 9000000000000000000)
INSERT INTO deliveries (delivery_id, product_id, location_id, quantity, fingerprint, state, verdict, reason, source,
 revision, check_time_us, deciding_rules, lease_until_us, version, create_time_us, update_time_us)
SELECT (encode(int8send(now_us), 'hex') || encode(int8send(:low), 'hex'))::uuid, '%s', '%s', 1,
 '\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20', 'CONFIRMED', 'DELIVERABLE', 'ALLOWED', 'LIVE',
 'AQGTUcbDeXvLp8MJ4bUmkQAAAAAAAAAB', now_us, '[["3f0c5a0e-9d3b-5b1e-8f57-6f0f4a1d2c3b",1]]', 0, 1, now_us, now_us
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us) AS clock;
"""
# Under callgrind answers take long, which must not look like an outage.
PATIENT = [f"--product-{name}-ms=30000" for name in ("timeout", "attempt-timeout", "slow")]
COUNT = "SELECT count(*) FROM deliveries"
GOODPUT_PARTS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


class Creators:
    """All that create deliveries, each over a database of its own, idle until it is its turn."""

    def __init__(self, naive):
        self.postgres = Postgres()
        self.product = sample_product("product", LOAD_CORE)
        self.order = wire.write(TMP / "order", [wire.order(wire.PAIR)])
        self.acknowledged = {}
        urls = {"PostgreSQL": self.postgres.database("ours"), "SQLite": sqlite_url("ours")}
        self.ours = {name: delivery(f"delivery-{name}", url, self.product.url) for name, url in urls.items()}
        self.ports = {name: service.port for name, service in self.ours.items()}
        self.ports["through"] = self.plain("through")
        if naive:
            for name, url in (("PostgreSQL", self.postgres.database("naive")), ("SQLite", sqlite_url("naive"))):
                output([RELEASE / "delivery", "--database-url", url, "migrate"])
                self.ports[f"naive {name}"] = self.plain(f"naive-{name}", url)
            self.bench_url = self.postgres.database("bench")
            output([RELEASE / "delivery", "--database-url", self.bench_url, "migrate"])
            (TMP / "insert.sql").write_text(PGBENCH % wire.PAIR)
            (TMP / "insert.sql").chmod(0o644)

    def plain(self, name, *database):
        port = free_port()
        command = [RELEASE / "plain-delivery", f"127.0.0.1:{port}", self.product.url, *database]
        Process(name, command, SERVER_CORE).until_listening(port)
        return port

    def create(self, name, seconds, streams):
        """Deliveries a second, 8 connections of so many streams; every answer was OK."""
        def once():
            seen = load(self.ports[name], wire.CREATE_DELIVERY, self.order, seconds=seconds, connections=8,
                        streams=streams)
            self.compare(name, seen["good"])
            return seen["per_second"]
        return once

    def p50(self, name, calls, seconds=10):
        """Of so many creates, one after the other, in µs."""
        def once():
            seen = load(self.ports[name], wire.CREATE_DELIVERY, self.order, seconds=seconds, calls=calls)
            self.compare(name, seen["good"])
            return seen["p50_us"]
        return once

    def pgbench(self, seconds):
        """Rows a second, 32 clients, each row a transaction; on both cores, as the server is."""
        def once():
            printed = output(["pgbench", "-n", "-c", 32, "-j", 1, "-M", "prepared", "-T", seconds,
                              "-f", TMP / "insert.sql", self.bench_url])
            return float(re.search(r"tps = ([0-9.]+)", printed).group(1))
        return once

    def compare(self, name, acknowledged):
        """After each round there must be as many rows as calls were answered OK."""
        if name == "through":
            return
        self.acknowledged[name] = self.acknowledged.get(name, 0) + acknowledged
        database = "naive" if name.startswith("naive ") else "ours"
        found = stored_in_sqlite(database) if name.endswith("SQLite") else int(self.postgres.sql(COUNT, database))
        if found != self.acknowledged[name]:
            raise Failed(f"{name}: {self.acknowledged[name]} deliveries were acknowledged, {found} are stored")

    def check(self):
        """Each service's own counters must agree that it answered all."""
        for service in (self.product, *self.ours.values()):
            service.check_counters()


def stored_in_sqlite(name):
    """Deliveries in a SQLite file."""
    with closing(sqlite3.connect(TMP / f"{name}.db")) as connection:
        return connection.execute(COUNT).fetchone()[0]


def told(seen, one, other, unit="deliveries/s"):
    return f"{statistics.median(seen[one]):,.0f} against {statistics.median(seen[other]):,.0f} {unit}"


def create(plan):
    """Deliveries a second, Delivery on one core, Product and the load on the other."""
    creators = Creators(naive=True)
    measures = {name: creators.create(name, plan.seconds, 32) for name in creators.ports}
    measures["PostgreSQL, 32"] = creators.create("PostgreSQL", plan.seconds, 4)
    measures["pgbench"] = creators.pgbench(plan.seconds)
    for name in creators.ports:
        # The first calls open connections and prepare statements.
        creators.create(name, 0.3, 32)()
    seen = alternate(plan.rounds, measures)
    creators.check()
    rows = []
    for name, wanted in (("PostgreSQL", 8), ("SQLite", 15)):
        fsync = {"PostgreSQL": "PostgreSQL, fsync on", "SQLite": "SQLite FULL"}[name]
        what = f"CreateDelivery, {fsync}, 256 in flight, against"
        rows.append(at_least(f"{what} a Delivery that calls Product and writes nothing", 1.2,
                             ratio(seen[name], seen["through"]), told(seen, name, "through")))
        rows.append(at_least(f"{what} a transaction a row through a pool", wanted,
                             ratio(seen[name], seen[f"naive {name}"]), told(seen, name, f"naive {name}")))
    what = "CreateDelivery, PostgreSQL, against pgbench's single-row inserts with 32 clients: "
    for name, flight, wanted in (("PostgreSQL", 256, 3.5), ("PostgreSQL, 32", 32, 1.1)):
        rows.append(at_least(f"{what}{flight} in flight", wanted, ratio(seen[name], seen["pgbench"]),
                             told(seen, name, "pgbench")))
    return rows, {"creates": {name: statistics.median(values) for name, values in seen.items()}}


def create_latency(plan):
    """p50 with one create in flight, against the call through and one fdatasync of the same disk."""
    creators = Creators(naive=False)
    calls = 1_000 * plan.seconds
    block = TMP / "block"
    measures = {name: creators.p50(name, calls) for name in creators.ports}
    measures["fdatasync"] = lambda: float(output([RELEASE / "fdatasync", block, calls], SERVER_CORE))
    for name in creators.ports:
        creators.p50(name, 200)()
    seen = alternate(plan.rounds, measures)
    creators.check()
    floor = [through + sync for through, sync in zip(seen["through"], seen["fdatasync"])]
    middle = {name: statistics.median(values) for name, values in seen.items()}
    rows = []
    for name in ("PostgreSQL", "SQLite"):
        words = f"{middle[name]:,.0f} against {middle['through']:,.0f} + {middle['fdatasync']:,.0f} µs"
        rows.append(at_most(f"CreateDelivery p50, one in flight, {name}, against the call through + one fdatasync", 1.35,
                            ratio(seen[name], floor), words))
    return rows, {}


def create_instructions(plan):
    """Instructions of Delivery's for a CreateDelivery, by callgrind."""
    product = sample_product("product", LOAD_CORE)
    order = wire.write(TMP / "order", [wire.order(wire.PAIR)])

    def start(under):
        started = delivery("delivery", sqlite_url("traced"), product.url, under, PATIENT)
        return started.process, started.port

    seen = callgrind(plan, start, wire.CREATE_DELIVERY, order, streams=4)
    return [Row("instructions of Delivery's for a CreateDelivery, SQLite, 32 in flight", "", f"{seen:,.0f}")], {}


def goodput(plan):
    """Deliveries a second that were answered OK within a second of when they were due, against those asked for."""
    product = sample_product("product", LOAD_CORE)
    order = wire.write(TMP / "order", [wire.order(wire.PAIR)])
    ours = delivery("delivery", sqlite_url("goodput"), product.url)
    capacities, seen = [], {part: [] for part in GOODPUT_PARTS}
    for number in range(plan.curve_rounds):
        capacities.append(closed_loop(ours.port, wire.CREATE_DELIVERY, order, plan.seconds))
        say(f"  round {number + 1} of {plan.curve_rounds}: capacity {capacities[-1]:,.0f}")
        for part in GOODPUT_PARTS:
            seen[part].append(good_at(ours.port, order, plan.seconds, capacities[-1] * part))
    capacity = statistics.median(capacities)
    points = [[capacity * part, statistics.median(values)] for part, values in seen.items()]
    kept = ratio(seen[GOODPUT_PARTS[-1]], capacities)
    what = "CreateDelivery, SQLite, goodput at 2 × capacity, deadline 1 s"
    return [Row(what, "", f"{kept:.2f} × ({points[-1][1]:,.0f} of {capacity:,.0f} deliveries/s)")], {"goodput": points}


def good_at(port, order, seconds, rate):
    """Deliveries a second answered OK in time; each that was answered OK, in time or late, must be stored."""
    before = stored_in_sqlite("goodput")
    seen = load(port, wire.CREATE_DELIVERY, order, seconds=seconds, connections=8, streams=900, rate=rate,
                deadline_ms=1_000, only_ok=False)
    acknowledged, stored = seen["ends"].get("code 0", 0), stored_in_sqlite("goodput") - before
    say(f"    {rate:,.0f} asked for: {seen['per_second']:,.0f} good; {seen['ends']}, {seen['unsent']} without room or answer")
    # More may be: who was told that the time was up was not told what became of it.
    if stored < acknowledged:
        raise Failed(f"{acknowledged} deliveries were acknowledged, {stored} are stored")
    return seen["per_second"]
