"""A pod's ports, probes and times fit its settings and one another."""

import re

from manifests import contract

# What each program must be told where it serves.
NEEDED_SETTINGS = {
    "CANDELIVER_LISTEN", "CANDELIVER_ADMIN_LISTEN", "CANDELIVER_DRAIN_SECONDS", "CANDELIVER_DATABASE_URL_FILE",
    "CANDELIVER_DATABASE_CONNECTIONS", "CANDELIVER_NO_MIGRATE", "CANDELIVER_LOG_FORMAT",
}

# Kinds of volumes that the restricted standard allows.
VOLUMES = {"name", "configMap", "secret", "projected", "csi", "emptyDir", "persistentVolumeClaim", "downwardAPI"}


def faults(manifests):
    names = {pods.name for pods in manifests.pods}
    if not {"product", "delivery"} <= names:
        yield f"of the Deployments product and delivery there are {sorted(names)}"
    for pods in manifests.pods:
        yield from of_any(manifests, pods)
        yield from of_security(pods)
        if pods.serves:
            yield from of_server(manifests, pods)
    yield from of_namespace(manifests)
    yield from of_migrations(manifests)


def of_any(manifests, pods):
    image = pods.container["image"]
    if image.endswith(":latest") or not re.search(r"[:@][^/]+$", image):
        yield f"{pods}: the image {image} needs a tag that does not move"
    for kind in ("requests", "limits"):
        if pods.container["resources"].get(kind, {}).keys() != {"cpu", "memory"}:
            yield f"{pods}: {kind} must be of cpu and memory"
    account = manifests.find("ServiceAccount", pods.spec["serviceAccountName"])
    if pods.spec.get("automountServiceAccountToken") is not False or (
        account and account.get("automountServiceAccountToken") is not False
    ):
        yield f"{pods}: a token of its ServiceAccount is mounted, and nobody needs it"


def of_security(pods):
    """The restricted Pod Security Standard, which a cluster would refuse a pod for, and a root that can't be written to."""
    spec, own = pods.spec, pods.container.get("securityContext", {})
    wanted = {
        "runAsNonRoot": (spec["securityContext"].get("runAsNonRoot"), True),
        "runAsUser": (spec["securityContext"].get("runAsUser"), 65532),
        "seccompProfile": (spec["securityContext"].get("seccompProfile"), {"type": "RuntimeDefault"}),
        "allowPrivilegeEscalation": (own.get("allowPrivilegeEscalation"), False),
        "readOnlyRootFilesystem": (own.get("readOnlyRootFilesystem"), True),
        "capabilities": (own.get("capabilities"), {"drop": ["ALL"]}),
        "privileged": (own.get("privileged", False), False),
        "runAsNonRoot of the container": (own.get("runAsNonRoot", True), True),
        "host": ([field for field in spec if field.startswith("host")], []),
        "hostPort": ([port for port in pods.ports if "hostPort" in port], []),
        "volumes": ([kind for volume in spec.get("volumes", []) for kind in volume.keys() - VOLUMES], []),
        "containers": (len(spec["containers"] + spec.get("initContainers", [])), 1),
    }
    for field, (given, meant) in wanted.items():
        if given != meant:
            yield f"{pods}: {field} is {given}, and must be {meant}"


def of_server(manifests, pods):
    data = manifests.settings(pods.container)
    if unset := NEEDED_SETTINGS - data.keys():
        yield f"{pods}: its settings lack {', '.join(sorted(unset))}"
        return
    listens = {"grpc": port_of(data["CANDELIVER_LISTEN"]), "admin": port_of(data["CANDELIVER_ADMIN_LISTEN"])}
    ports = {port.get("name"): port["containerPort"] for port in pods.ports}
    if listens != ports:
        yield f"{pods}: it listens on {listens}, its container's ports are {ports}"
    for probe, port, service in pods.probes:
        # The kubelet speaks no TLS to it.
        if port != listens["admin"]:
            yield f"{pods}: {probe} asks port {port}, and health in plain text is on {listens['admin']}"
        # Of a peer it must not ask either.
        if service not in {"liveness", *contract(pods.program)}:
            yield f"{pods}: {probe} asks for {service}, which {pods.program} does not serve"
        if (service == "liveness") != (probe != "readinessProbe"):
            yield f"{pods}: {probe} asks for {service}"
    before = pods.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    drain, grace = int(data["CANDELIVER_DRAIN_SECONDS"]), pods.spec.get("terminationGracePeriodSeconds", 30)
    if before < 1:
        yield f"{pods}: without a preStop sleep calls still come while it drains"
    if before + drain >= grace:
        yield f"{pods}: preStop {before} s + drain {drain} s leave nothing of the grace period of {grace} s"


def port_of(address):
    return int(address.rpartition(":")[2])


def of_namespace(manifests):
    for found in manifests.all("Namespace"):
        if found["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"Namespace {found['metadata']['name']}: it does not enforce the restricted Pod Security Standard"
    # An object left out of it would land wherever kubectl happens to be.
    if manifests.namespace:
        for found in manifests.objects:
            elsewhere = found["metadata"].get("namespace") != manifests.namespace
            if elsewhere and found["kind"] != "Namespace":
                yield f"{found['kind']} {found['metadata']['name']}: it is not in namespace {manifests.namespace}"


def of_migrations(manifests):
    """Either a Job migrates, with the image and the database of the pods, or they do it themselves."""
    for program in ("product", "delivery"):
        server = manifests.server(program)
        data = manifests.settings(server.container)
        jobs = [pods for pods in manifests.pods if pods.kind == "Job" and pods.program == program]
        leaves_it = data.get("CANDELIVER_NO_MIGRATE") == "true"
        if leaves_it != bool(jobs):
            yield f"{server}: CANDELIVER_NO_MIGRATE is {data.get('CANDELIVER_NO_MIGRATE')}, with {len(jobs)} Jobs"
        for job in jobs:
            if job.container["args"] != ["migrate"] or job.container["image"] != server.container["image"]:
                yield f"{job}: it must run the migrate command of {server.container['image']}"
            if database(manifests, job) != database(manifests, server):
                yield f"{job}: its database is not that of {server}"


def database(manifests, pods):
    path = manifests.settings(pods.container).get("CANDELIVER_DATABASE_URL_FILE")
    return dict(manifests.files(pods)).get(path)
