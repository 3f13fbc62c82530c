"""Loads on a server, and what alternating rounds of them say."""
import json
import re
import statistics
import sys

from . import wire
from .processes import LOAD_CORE, RELEASE, Failed, output

# A time takes a few bytes more or fewer on the wire, as it falls.
LENGTH_SLACK_BYTES = 8
# A load may take so much longer than it was told to, for its last answers.
GRACE_SECONDS = 40


def say(text):
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


def load(port, path, bodies, *, seconds, connections=1, streams=1, calls=None, rate=None, deadline_ms=None,
         only_ok=True, secured=()):
    """Our own load: many messages, each answer's status looked at, quantiles. See tools/load."""
    command = [RELEASE / "load", "--address", f"127.0.0.1:{port}", "--path", path, "--bodies", bodies,
               "--connections", connections, "--streams", streams, "--seconds", seconds, *secured]
    for flag, value in (("--calls", calls), ("--rate", rate), ("--deadline-ms", deadline_ms)):
        command += [flag, value] if value is not None else []
    seen = json.loads(output(command, LOAD_CORE, seconds + GRACE_SECONDS))
    if only_ok and set(seen["ends"]) != {"code 0"}:
        raise Failed(f"{path} on port {port}: not all answers are OK: {seen['ends']}")
    return seen


def one(port, path, body):
    """A single call: how it ended, and its message in hex."""
    seen = load(port, path, body, seconds=10, calls=1, only_ok=False)
    return next(iter(seen["ends"]), "none"), seen["first_message"]


def check_decides(port, body, length=None):
    """h2load takes every HTTP 200 for success, so a real answer is read before and after it. Its length, which must be
    that of another one's."""
    end, message = one(port, wire.CAN_DELIVER, body)
    if end != "code 0" or not wire.says_deliverable(message):
        raise Failed(f"CanDeliver on port {port} answered {end} {message}")
    answered = len(message) // 2
    if length is not None and abs(answered - length) > LENGTH_SLACK_BYTES:
        raise Failed(f"CanDeliver on port {port} answered {answered} bytes, ours {length}")
    return answered


def h2load(port, path, body, seconds, connections=8, streams=32):
    """Calls a second by h2load, which many know: one message (framed), over and over."""
    printed = output(
        ["h2load", "-D", seconds, "-c", connections, "-m", streams, "-t", 1, "-d", body,
         "-H", "content-type: application/grpc", "-H", "te: trailers", f"http://127.0.0.1:{port}{path}"],
        LOAD_CORE, seconds + GRACE_SECONDS)
    rate = re.search(r"finished in [^,]*, ([0-9.]+) req/s", printed)
    failed = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", printed)
    if not rate or not failed or failed.groups() != ("0", "0", "0"):
        raise Failed(f"h2load: {printed[-600:]}")
    return float(rate.group(1))


def alternate(rounds, measures):
    """Measures each in turn, so many rounds, each round beginning with another; name → values."""
    names = list(measures)
    seen = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seen[name].append(measures[name]())
            say(f"  round {number + 1} of {rounds}: {name}: {seen[name][-1]:,.1f}")
    return seen


def ratio(one_values, other_values):
    """The median of the rounds' ratios: what slows a whole round down slows both."""
    return statistics.median(one / other for one, other in zip(one_values, other_values))
