"""CanDeliver beside its peers: calls a second, instructions, latency, batches, latency against load."""
import random
import re
import statistics

from . import wire
from .loads import alternate, check_decides, h2load, load, ratio, say
from .peers import PEERS, build_peers
from .processes import LOAD_CORE, RELEASE, SERVER_CORE, TMP, Failed, Process, free_port, output
from .report import Row, at_least, at_most, limit
from .services import SAMPLE, closed_loop, sample_product

# In units of h2load, which takes whole seconds.
WARM_UP_SECONDS = 0.3
# callgrind makes a program fifty times slower.
TRACED_SECONDS = 200
# Of the calls of a round, those that the clock may cut off.
COUNT_SLACK = 0.02
CURVE_PARTS = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9)
# A server with capacity left answers all, but for the moments that neighbours of a shared machine take: at higher rates these
# make backlogs, and the share is told beside the quantiles, which leave out the slowest then.
CURVE_ALL_OK_BELOW = 0.3
AGAINST = {"tonic-hello": 1.7, "tonic-best": 0.9, "grpc-go": 1.9, "grpc-cpp": 3.0}


def asked():
    return wire.write(TMP / "question", [wire.question(wire.PAIR)])


def peers(plan):
    """Calls a second on one core, 8 connections × 32 streams, each peer in turn."""
    built, left_out = build_peers()
    body, product = asked(), sample_product("product")
    ports = {"candeliver": product.port}
    for peer in built:
        ports[peer.name] = peer.start()[1]

    length = check_decides(product.port, body)

    def measure(port):
        def once():
            check_decides(port, body, length)
            load(port, wire.CAN_DELIVER, body, seconds=WARM_UP_SECONDS, connections=8, streams=32)
            before = product.answered()
            rate = h2load(port, wire.CAN_DELIVER, body, plan.seconds)
            check_decides(port, body, length)
            # Product's own count must not be lower than what h2load says.
            counted = product.answered() - before
            if port == product.port and counted < rate * plan.seconds * (1 - COUNT_SLACK):
                raise Failed(f"h2load counts {rate * plan.seconds:,.0f} calls, Product {counted:,.0f}")
            return rate
        return once

    seen = alternate(plan.rounds, {name: measure(port) for name, port in ports.items()})
    product.check_counters()
    ours, rows = seen["candeliver"], []
    for peer in built:
        theirs = seen[peer.name]
        told = f"{statistics.median(ours):,.0f} against {statistics.median(theirs):,.0f} calls/s"
        what = f"CanDeliver, sample catalogue, one core, 8 × 32 in flight, against {peer.what}"
        if peer.name in AGAINST:
            rows.append(at_least(what, AGAINST[peer.name], ratio(ours, theirs), told))
        else:
            rows.append(Row(what, "", f"{ratio(ours, theirs):.1f} × ({told})"))
    rows += [Row(f"left out: {why}", "", "not measured") for why in left_out]
    return rows, {"calls": {name: statistics.median(values) for name, values in seen.items()}}


def callgrind(plan, start, path, body, streams=32):
    """Instructions a call: of a run with twice the calls less those of a run with once, so that the start cancels."""
    totals = []
    for calls in (plan.traced_calls, 2 * plan.traced_calls):
        process, port = start(["valgrind", "--tool=callgrind", f"--callgrind-out-file={TMP}/callgrind.{calls}"])
        load(port, path, body, seconds=TRACED_SECONDS, connections=8, streams=streams, calls=calls)
        process.stop()
        total = re.search(r"Collected : (\d+)", process.log.read_text(errors="replace"))
        if not total:
            raise Failed(f"callgrind: {process.log.read_text(errors='replace')[-400:]}")
        totals.append(int(total.group(1)))
    return (totals[1] - totals[0]) / plan.traced_calls


def instructions(plan):
    """Instructions a call, by callgrind: they don't vary with the neighbours."""
    body = asked()
    sample_product("product").stop()

    def start_product(under):
        from .services import product, sqlite_url
        started = product("product", sqlite_url("product"), SERVER_CORE, under)
        return started.process, started.port

    def start_best(under):
        port = free_port()
        process = Process("tonic-best", [*under, RELEASE / "tonic-best", f"127.0.0.1:{port}"], SERVER_CORE)
        process.until_listening(port)
        return process, port

    ours = callgrind(plan, start_product, wire.CAN_DELIVER, body)
    best = callgrind(plan, start_best, wire.CAN_DELIVER, body)
    what = "instructions of a CanDeliver above tonic's hello, same runtime and allocator"
    return [limit(what, 4_000, ours - best, "instructions", f" ({ours:,.0f} against {best:,.0f})")], {}


# Longer than the time from one answer to the next question of a caller who asks one after the other.
BUSY_POLL_US = 200


def latency(plan):
    """p50 with one call in flight, against a blocking echo of as many bytes."""
    body, product = asked(), sample_product("product")
    busy = sample_product("busy", flags=["--busy-poll-us", BUSY_POLL_US])
    port = free_port()
    Process("echo", [RELEASE / "echo", "serve", port], SERVER_CORE).until_listening(port)
    best, best_port = next(peer for peer in PEERS if peer.name == "tonic-best").start()
    calls = 10_000 * plan.seconds

    def p50(of):
        return lambda: load(of, wire.CAN_DELIVER, body, seconds=20, calls=calls)["p50_us"]

    seen = alternate(plan.rounds, {
        "candeliver": p50(product.port),
        "busy": p50(busy.port),
        "echo": lambda: float(output([RELEASE / "echo", "ask", port, calls], LOAD_CORE)),
        "tonic-best": p50(best_port),
    })
    best.stop()
    middle = {name: statistics.median(values) for name, values in seen.items()}
    told = f"{middle['candeliver']:.1f} against {middle['echo']:.1f} µs; tonic at its best {middle['tonic-best']:.1f}"
    what = "CanDeliver p50, one in flight, against a blocking TCP echo"
    told_busy = f"{middle['busy']:.1f} against {middle['echo']:.1f} µs"
    return [at_most(what, 1.25, ratio(seen["candeliver"], seen["echo"]), told),
            at_most(f"the same with --busy-poll-us {BUSY_POLL_US}", 0.8, ratio(seen["busy"], seen["echo"]), told_busy)], {}


def batch(plan):
    """Decisions a second in batches of 100 against single calls, both for random pairs of the sample."""
    pairs = wire.random_pairs(SAMPLE, 10_000)
    chance = random.Random(3)
    single = wire.write(TMP / "singles", map(wire.question, pairs))
    batches = wire.write(TMP / "batches", (wire.batch(chance.sample(pairs, wire.BATCH)) for _ in range(200)))
    product = sample_product("product")
    seen = alternate(plan.rounds, {
        "single": lambda: closed_loop(product.port, wire.CAN_DELIVER, single, plan.seconds),
        "batches": lambda: wire.BATCH * closed_loop(product.port, wire.BATCH_CAN_DELIVER, batches, plan.seconds, 8, 4),
    })
    product.check_counters()
    told = f"{statistics.median(seen['batches']):,.0f} against {statistics.median(seen['single']):,.0f} decisions/s"
    return [at_least("BatchCanDeliver of 100 against single calls, decisions/s", 10,
                     ratio(seen["batches"], seen["single"]), told)], {}


def curve(plan):
    """Latency of CanDeliver at parts of its capacity, calls coming whatever becomes of those before."""
    body, product = asked(), sample_product("product")
    seen = {part: [] for part in CURVE_PARTS}
    capacities = []
    for number in range(plan.curve_rounds):
        capacities.append(closed_loop(product.port, wire.CAN_DELIVER, body, plan.seconds))
        say(f"  round {number + 1} of {plan.curve_rounds}: capacity {capacities[-1]:,.0f}")
        for part in CURVE_PARTS:
            seen[part].append(at_rate(product.port, body, plan.seconds, part, capacities[-1] * part))
    capacity = statistics.median(capacities)
    middle = {part: [statistics.median(values) for values in zip(*rounds)] for part, rounds in seen.items()}
    rows = []
    for part in (0.55, CURVE_PARTS[-1]):
        p50, p99, share = middle[part]
        rows.append(Row(f"CanDeliver at {part:.0%} of its capacity, open loop: p50, p99 of the calls answered OK, their share",
                        "", f"{p50:,.0f}, {p99:,.0f} µs, {share:.2%}"))
    return rows, {"latency": [[capacity * part, p50, p99] for part, (p50, p99, _) in middle.items()]}


def at_rate(port, body, seconds, part, rate):
    """p50, p99, and of the calls that were due the share that was answered OK: all, where there is capacity left."""
    seen = load(port, wire.CAN_DELIVER, body, seconds=seconds, connections=8, streams=250, rate=rate, only_ok=False)
    share = seen["good"] / (sum(seen["ends"].values()) + seen["unsent"])
    say(f"    at {part:.0%}: p50 {seen['p50_us']:,.0f}, p99 {seen['p99_us']:,.0f} µs, {share:.2%} answered OK")
    if part < CURVE_ALL_OK_BELOW and share < 1:
        raise Failed(f"at {part:.0%} of capacity not all calls were answered OK: {seen['ends']}, "
                     f"{seen['unsent']} without room or answer")
    return seen["p50_us"], seen["p99_us"], share
