"""How many pods there may be: budgets leave some to take away, and databases have connections for all."""

# Of max_connections: three that PostgreSQL keeps for superusers, the operator's own, and somebody who looks.
RESERVED_CONNECTIONS = 10
# PostgreSQL's, where no Cluster says otherwise.
DEFAULT_MAX_CONNECTIONS = 100


def faults(manifests):
    for scaler in manifests.all("HorizontalPodAutoscaler"):
        yield from of_scaler(manifests, scaler)
    for pods in manifests.pods:
        if pods.kind == "Deployment":
            yield from of_budget(manifests, pods)
            if not uses_sqlite(manifests, pods):
                yield from of_connections(manifests, pods)
            elif counts(manifests, pods) != (1, 1) or pods.owner["spec"]["strategy"].get("type") != "Recreate":
                yield f"{pods}: an SQLite file has one process, so replicas must be 1 and the strategy Recreate"


def counts(manifests, pods):
    """The fewest and the most pods of a Deployment."""
    for scaler in manifests.all("HorizontalPodAutoscaler"):
        if scaler["spec"]["scaleTargetRef"]["name"] == pods.name:
            return scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]
    replicas = pods.owner["spec"].get("replicas", 1)
    return replicas, replicas


def of_scaler(manifests, scaler):
    name, spec = f"HorizontalPodAutoscaler {scaler['metadata']['name']}", scaler["spec"]
    if spec["minReplicas"] > spec["maxReplicas"]:
        yield f"{name}: at least {spec['minReplicas']} are more than at most {spec['maxReplicas']}"
    target = manifests.find("Deployment", spec["scaleTargetRef"]["name"])
    if target and "replicas" in target["spec"]:
        yield f"{name}: Deployment {target['metadata']['name']} sets replicas too, and each apply would undo the scaling"


def of_budget(manifests, pods):
    fewest, _ = counts(manifests, pods)
    for budget in manifests.all("PodDisruptionBudget"):
        if budget["spec"]["selector"]["matchLabels"].items() <= pods.labels.items():
            spec = budget["spec"]
            kept = spec.get("minAvailable", fewest - spec.get("maxUnavailable", 0))
            name = f"PodDisruptionBudget {budget['metadata']['name']}"
            if kept >= fewest:
                yield f"{name}: it keeps {kept} of {fewest} pods, so no node can be drained"
            if kept < 1:
                yield f"{name}: it keeps none of {fewest} pods"
            return
    if fewest > 1:
        yield f"{pods}: no PodDisruptionBudget keeps any of its {fewest} pods"


def uses_sqlite(manifests, pods):
    path = manifests.settings(pods.container).get("CANDELIVER_DATABASE_URL_FILE")
    kind, name, key = dict(manifests.files(pods)).get(path, ("", "", ""))
    return kind == "Secret" and (manifests.secret_value(name, key) or "").startswith("sqlite:")


def cluster_of(manifests, pods):
    """The Cluster whose secret holds the URL of its database, if there is one."""
    path = manifests.settings(pods.container).get("CANDELIVER_DATABASE_URL_FILE")
    _, name, _ = dict(manifests.files(pods)).get(path, ("", "", ""))
    return manifests.find("Cluster", name.removesuffix("-app"))


def of_connections(manifests, pods):
    _, most = counts(manifests, pods)
    strategy = pods.owner["spec"].get("strategy", {}).get("rollingUpdate", {})
    if strategy != {"maxSurge": 1, "maxUnavailable": 0}:
        yield f"{pods}: a rollout must add a pod before it takes one away: {strategy}"
    # All old pods may still drain while their successors serve: that is more than most and the surge.
    at_once = max(2 * most, most + 1)
    needed = at_once * connections(manifests, pods)
    needed += sum(
        connections(manifests, job) for job in manifests.pods if job.kind == "Job" and job.program == pods.program
    )
    cluster = cluster_of(manifests, pods)
    parameters = cluster["spec"]["postgresql"].get("parameters", {}) if cluster else {}
    most_connections = int(parameters.get("max_connections", DEFAULT_MAX_CONNECTIONS))
    if needed + RESERVED_CONNECTIONS > most_connections:
        yield (
            f"{pods}: {at_once} pods in a rollout and the Job open {needed} connections, {RESERVED_CONNECTIONS} are "
            f"reserved, and max_connections is {most_connections}"
        )


def connections(manifests, pods):
    return int(manifests.settings(pods.container).get("CANDELIVER_DATABASE_CONNECTIONS", 10))
