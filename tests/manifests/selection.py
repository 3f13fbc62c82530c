"""Selectors take the pods that they are meant to take."""

from manifests import BROUGHT_PODS, selects


def faults(manifests):
    for pods in manifests.pods:
        yield from of_workload(pods)
    for service in manifests.all("Service"):
        yield from of_service(manifests, service)
    for budget in manifests.all("PodDisruptionBudget"):
        yield from exactly_one(manifests, budget, budget["spec"]["selector"])
    labels = known_labels(manifests)
    for policy in manifests.all("NetworkPolicy"):
        yield from of_policy(policy, labels)
    for monitor in manifests.all("PodMonitor"):
        yield from of_monitor(manifests, monitor)
    yield from of_backends(manifests)


def of_workload(pods):
    selectors = [pods.owner["spec"]["selector"]] if pods.kind == "Deployment" else []
    selectors += [spread["labelSelector"] for spread in pods.spec.get("topologySpreadConstraints", [])]
    for selector in selectors:
        if not selects(selector, pods.labels):
            yield f"{pods}: {selector} selects none of its pods, which have {pods.labels}"
    if pods.kind == "Deployment" and len(selectors) < 2:
        yield f"{pods}: nothing spreads its pods over nodes"


def of_service(manifests, service):
    yield from exactly_one(manifests, service, {"matchLabels": service["spec"]["selector"]})
    for pods in manifests.pods:
        if selects({"matchLabels": service["spec"]["selector"]}, pods.labels):
            targets = {port.get("name") for port in pods.ports} | {port["containerPort"] for port in pods.ports}
            for port in service["spec"]["ports"]:
                target = port.get("targetPort", port["port"])
                if target not in targets:
                    yield f"Service {service['metadata']['name']}: there is no port {target} in its pods"


def exactly_one(manifests, found, selector):
    taken = [str(pods) for pods in manifests.pods if selects(selector, pods.labels)]
    if len(taken) != 1:
        yield f"{found['kind']} {found['metadata']['name']}: {selector} selects the pods of {taken}, of one was meant"


def known_labels(manifests):
    """Labels of every pod that there will be."""
    clusters = [{"cnpg.io/cluster": cluster["metadata"]["name"]} for cluster in manifests.all("Cluster")]
    return [pods.labels for pods in manifests.pods] + clusters + BROUGHT_PODS


def of_policy(policy, labels):
    name, spec = f"NetworkPolicy {policy['metadata']['name']}", policy["spec"]
    peers = [peer for rule in spec.get("ingress", []) for peer in rule.get("from", [])]
    peers += [peer for rule in spec.get("egress", []) for peer in rule.get("to", [])]
    # In other namespaces nobody knows who is there.
    here = [peer["podSelector"] for peer in peers if "podSelector" in peer and "namespaceSelector" not in peer]
    for selector in [spec["podSelector"], *here]:
        if not any(selects(selector, held) for held in labels):
            yield f"{name}: {selector} selects no pod"
        for wanted in selector.get("matchExpressions", []):
            for value in wanted.get("values", []):
                if not any(held.get(wanted["key"]) == value for held in labels):
                    yield f"{name}: no pod has {wanted['key']}: {value}"


def of_monitor(manifests, monitor):
    name, spec = f"PodMonitor {monitor['metadata']['name']}", monitor["spec"]
    for pods in manifests.pods:
        taken = selects(spec["selector"], pods.labels)
        if taken != pods.serves:
            yield f"{name}: {pods} {'has no metrics and is' if taken else 'is not'} selected"
        names = {port.get("name") for port in pods.ports}
        for endpoint in spec["podMetricsEndpoints"]:
            if taken and endpoint["port"] not in names:
                yield f"{name}: {pods} has no port {endpoint['port']}"


def of_backends(manifests):
    """With mTLS a gateway must speak TLS to each Service that it routes to."""
    if not manifests.all("Issuer"):
        return
    covered = {ref["name"] for policy in manifests.all("BackendTLSPolicy") for ref in policy["spec"]["targetRefs"]}
    for route in manifests.all("GRPCRoute"):
        for backend in (ref["name"] for rule in route["spec"]["rules"] for ref in rule["backendRefs"]):
            if backend not in covered:
                yield f"GRPCRoute {route['metadata']['name']}: no BackendTLSPolicy is for Service {backend}"
