"""Processes that are measured: started on a core, waited for, and ended by id whatever happens."""
import atexit
import fcntl
import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASE = ROOT / "target" / "release"
# On the disk that the repository lies on: what is durable there is, and in memory it would not be.
WORK = ROOT / "target" / "bench"
TMP = WORK / "run"
# The server has one core for itself; whoever asks it has the other.
SERVER_CORE, LOAD_CORE = 0, 1
START_SECONDS = 60
END_SECONDS = 30
COMMAND_SECONDS = 600

running = []
# Files that stay open as long as this program lives.
held = []


class Failed(Exception):
    """Something that was needed did not work; what it says is for people."""


class Process:
    """One server, with its log in a file."""

    def __init__(self, name, command, core=None, env=None):
        self.name, self.core = name, core
        self.log = TMP / f"{name}.log"
        pinned = ["taskset", "-c", str(core)] if core is not None else []
        with open(self.log, "wb") as log:
            # A session of its own: Ctrl-C comes to this program, which ends the others in order.
            self.process = subprocess.Popen(
                pinned + [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(env or {})}, cwd=TMP, start_new_session=True)
        self.pid = self.process.pid
        running.append(self)

    def check(self):
        """Raises if it has ended."""
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended: {self.log.read_text(errors='replace')[-400:]}")

    def until_listening(self, port):
        """Waits until somebody listens."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            self.check()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failed(f"{self.name} does not listen")

    def memory_mib(self, key):
        """VmRSS, resident now, or VmHWM, the most it ever was."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) / 1024
        raise Failed(f"no {key} of {self.name}")

    def stop(self):
        """Ends it as an operator does, and by force if it does not listen."""
        if self in running:
            running.remove(self)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                # With whatever it started: it leads a session of its own.
                os.killpg(self.pid, signal.SIGKILL)
                self.process.wait()


def stop_all():
    """Ends what still runs, the newest first."""
    for process in reversed(list(running)):
        process.stop()


def fresh():
    """An empty folder: no row finds what another one stored."""
    shutil.rmtree(TMP, ignore_errors=True)
    TMP.mkdir(parents=True)


def prepare():
    """The promise that all ends with this program, and that there is only one: they would measure one another."""
    WORK.mkdir(parents=True, exist_ok=True)
    only = open(WORK / "lock", "w", encoding="ascii")
    try:
        fcntl.flock(only, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise Failed("another one is at work") from error
    held.append(only)
    atexit.register(shutil.rmtree, TMP, ignore_errors=True)
    atexit.register(stop_all)
    # Said outright: whoever starts this in the background may have it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, end)
    # A closed terminal ends it too, unless it was started so that it outlives one (nohup).
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, end)


def end(number, _frame):
    """Ends this program, and with it the others. Once: a second signal must not interrupt that."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def output(command, core=None, seconds=COMMAND_SECONDS, env=None, cwd=None):
    """What a command prints. It must succeed, in time."""
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    command = pinned + [str(part) for part in command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=cwd or ROOT,
                              stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)[:200]}: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def get(port, path):
    """A page over HTTP/1.1."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
