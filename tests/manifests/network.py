"""NetworkPolicies forbid everything, then allow what is needed and no more."""

from manifests import selects

POSTGRES = 5432
DNS = 53


def faults(manifests):
    policies = manifests.all("NetworkPolicy")
    denials = [policy for policy in policies if denies_everything(policy["spec"])]
    if not denials:
        yield "NetworkPolicy: none forbids everything in both directions"
    for policy in policies:
        yield from of_rules(policy)
    for pods in manifests.pods:
        if not reaches_dns(policies, pods.labels):
            yield f"{pods}: no NetworkPolicy lets it ask DNS"
    yield from of_calls(manifests, policies)
    yield from of_databases(manifests, policies)


def denies_everything(spec):
    return (
        spec["podSelector"] == {}
        and set(spec["policyTypes"]) == {"Ingress", "Egress"}
        and not spec.get("ingress")
        and not spec.get("egress")
    )


def of_rules(policy):
    """A rule that says nothing allows everything, and one of a direction that is not among the types is none."""
    name, spec = f"NetworkPolicy {policy['metadata']['name']}", policy["spec"]
    for direction, type_ in (("ingress", "Ingress"), ("egress", "Egress")):
        rules = spec.get(direction, [])
        if rules and type_ not in spec["policyTypes"]:
            yield f"{name}: it has rules of {direction}, and {type_} is not among its policyTypes"
        for rule in rules:
            if not rule.get("ports"):
                yield f"{name}: a rule of {direction} names no port, which allows all of them"
            if direction == "ingress" and not all(rule.get("from", [{}])):
                yield f"{name}: a rule of ingress names nobody, which allows everybody"


def rules(policies, labels, direction, port):
    """The rules that hold for pods with these labels at a port."""
    for policy in policies:
        if selects(policy["spec"]["podSelector"], labels):
            for rule in policy["spec"].get(direction, []):
                if any(allowed.get("port") == port for allowed in rule.get("ports", [])):
                    yield rule


def reaches_dns(policies, labels):
    return any(
        allowed == {"protocol": "UDP", "port": DNS} for rule in rules(policies, labels, "egress", DNS)
        for allowed in rule["ports"]
    )


def is_allowed(policies, source, target, port):
    """Whether pods with the labels `source` reach those with `target`: both sides must allow it."""
    out = any(
        selects(peer.get("podSelector", {}), target) and "namespaceSelector" not in peer
        for rule in rules(policies, source, "egress", port)
        for peer in rule.get("to", [{}])
    )
    into = any(
        "podSelector" in peer and "namespaceSelector" not in peer and selects(peer["podSelector"], source)
        for rule in rules(policies, target, "ingress", port)
        for peer in rule.get("from", [])
    )
    return out and into


def of_calls(manifests, policies):
    """Only Delivery, the gateway and catalogue managers reach Product; and Delivery does."""
    product, delivery = manifests.server("product"), manifests.server("delivery")
    ports = {port["name"]: port["containerPort"] for port in product.ports}
    if not is_allowed(policies, delivery.labels, product.labels, ports["grpc"]):
        yield "NetworkPolicy: Delivery does not reach Product"
    for pods in manifests.pods:
        if pods.program == "candeliver" and not is_allowed(policies, pods.labels, product.labels, ports["grpc"]):
            yield f"NetworkPolicy: {pods} does not reach Product"
    known = [{"app.kubernetes.io/name": name} for name in ("delivery", "catalogue-manager")]
    gateways = [
        peer for policy in policies if policy["metadata"]["name"] == "gateway" for rule in policy["spec"]["ingress"]
        for peer in rule["from"]
    ]
    for rule in rules(policies, product.labels, "ingress", ports["grpc"]):
        for peer in rule.get("from", []):
            if peer not in [{"podSelector": {"matchLabels": labels}} for labels in known] + gateways:
                yield f"NetworkPolicy: {peer} reaches Product"
    for kind, port in (("Gateway", "grpc"), ("PodMonitor", "admin")):
        for pods in (product, delivery) if manifests.all(kind) else ():
            allowed = rules(policies, pods.labels, "ingress", ports[port])
            named = [peer for rule in allowed for peer in rule.get("from", []) if is_namespace(peer)]
            if not named:
                yield f"NetworkPolicy: no namespace of a {kind} reaches port {port} of {pods}"


def is_namespace(peer):
    return "kubernetes.io/metadata.name" in peer.get("namespaceSelector", {}).get("matchLabels", {})


def of_databases(manifests, policies):
    """Who has a Cluster reaches it, and nobody reaches another's."""
    for cluster in manifests.all("Cluster"):
        name = cluster["metadata"]["name"]
        for pods in manifests.pods:
            allowed = is_allowed(policies, pods.labels, {"cnpg.io/cluster": name}, POSTGRES)
            own = f"{pods.program}-database" == name
            if allowed != own:
                yield f"NetworkPolicy: {pods} {'reaches' if allowed else 'does not reach'} Cluster {name}"
    if manifests.all("Job") and not manifests.all("Cluster"):
        with_one = [pods for pods in manifests.pods if "CANDELIVER_DATABASE_URL_FILE" in manifests.settings(pods.container)]
        for pods in with_one:
            if not list(rules(policies, pods.labels, "egress", POSTGRES)):
                yield f"NetworkPolicy: {pods} does not reach its database"
