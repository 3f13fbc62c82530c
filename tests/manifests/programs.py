"""The programs know the settings of the manifests, start with them, and answer their probes."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

# How long a program may take to start on a busy machine, or to end.
PATIENCE_SECONDS = 30
# How long its health may take to be good on an empty database.
ANSWER_SECONDS = 10
LOOPBACK = "127.0.0.1:0"
# What a pod's volumes hold is not here: without them a program serves in plain text, and its health is the same.
IN_VOLUMES = re.compile(r"CANDELIVER_(TLS_.*|ACCESS_FILE|PRODUCT_(CA|CERT|KEY)_FILE)|PG.*")


def faults(manifests, folder):
    found = []
    for pods in manifests.pods:
        program = pathlib.Path(folder).resolve() / pods.program
        command = [program, *pods.container.get("args", [])[:1]]
        known = set(re.findall(r"\[env: (\w+)", run([*command, "--help"]).stdout))
        wanted = {name for name in manifests.settings(pods.container) if name.startswith("CANDELIVER_")}
        if unknown := wanted - known:
            found.append(f"{pods}: {program.name} --help knows no {', '.join(sorted(unknown))}")
    for name in ("product", "delivery"):
        with tempfile.TemporaryDirectory(prefix="candeliver-k8s.") as temp:
            found += run_one(manifests, name, pathlib.Path(folder).resolve() / name, pathlib.Path(temp))
    return found


def run_one(manifests, name, program, temp):
    """Migrates as the Job does, serves as the Deployment does, asks as its probes do."""
    server = manifests.server(name)
    url_file = temp / "database-url"
    url_file.write_text(f"sqlite://{temp}/{name}.db")
    for job in manifests.pods:
        if job.kind == "Job" and job.program == name:
            variables = here(manifests, job, url_file)
            ended = run([program, *job.container["args"]], variables)
            if ended.returncode != 0:
                return [f"{job}: it ended with {ended.returncode}: {ended.stderr.strip()}"]
    log = temp / "log"
    with log.open("w") as output:
        process = subprocess.Popen([program], env=here(manifests, server, url_file), stderr=output)
    try:
        addresses = wait_for_addresses(process, log)
        if not addresses:
            return [f"{server}: it does not serve: {log.read_text().strip()[-500:]}"]
        until = time.monotonic() + ANSWER_SECONDS
        return [fault for probe in server.probes for fault in ask(manifests, server, addresses, until, *probe)]
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def here(manifests, pods, url_file):
    """The container's variables, but on loopback, on SQLite, and without what is in volumes."""
    variables = manifests.settings(pods.container)
    variables = {name: value for name, value in variables.items() if not IN_VOLUMES.fullmatch(name)}
    replaced = {
        "CANDELIVER_LISTEN": LOOPBACK, "CANDELIVER_ADMIN_LISTEN": LOOPBACK, "CANDELIVER_DATABASE_URL_FILE": str(url_file)
    }
    if url := variables.get("CANDELIVER_PRODUCT_URL"):
        replaced["CANDELIVER_PRODUCT_URL"] = url.replace("https://", "http://")
    return variables | {name: value for name, value in replaced.items() if name in variables}


def wait_for_addresses(process, log):
    """Where it serves, by the setting of the port: read off its log. Calls come last."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and process.poll() is None:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
        found = {line["target"]: line["address"] for line in lines if line["message"].startswith("serving")}
        if "chassis::server" in found:
            return {
                "CANDELIVER_LISTEN": found["chassis::server"], "CANDELIVER_ADMIN_LISTEN": found.get("chassis::admin")
            }
        time.sleep(0.05)
    return {}


def ask(manifests, server, addresses, until, probe, port, service):
    """Asks until it serves, as the kubelet does."""
    data = manifests.settings(server.container)
    setting = next((name for name in addresses if data.get(name, "").endswith(f":{port}")), None)
    if not addresses.get(setting):
        return [f"{server}: {probe} asks port {port}, where nothing listens"]
    told = None
    with grpc.insecure_channel(addresses[setting]) as channel:
        # Once at least, however long others took.
        while told is None or time.monotonic() < until:
            try:
                told = HealthStub(channel).Check(HealthCheckRequest(service=service), timeout=2).status
            except grpc.RpcError as error:
                told = error.code().name
            if told == HealthCheckResponse.SERVING:
                return []
            # What it does not serve does not come by waiting.
            if told in ("NOT_FOUND", "UNIMPLEMENTED"):
                break
            time.sleep(0.1)
    return [f"{server}: {probe} asks {setting}'s port for {service} and is told {told}"]


def run(command, variables=None):
    # --help must not show what this shell has set.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CANDELIVER_")}
    return subprocess.run(
        command, env=clean | (variables or {}), capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
