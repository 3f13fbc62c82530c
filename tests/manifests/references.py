"""Whatever a manifest names is there: made here, by an operator, or by hand as k8s/README.md says."""

from manifests import MADE_BY_HAND, ROOT


def faults(manifests):
    for pods in manifests.pods:
        for kind, name in of_pods(pods.spec):
            yield from missing(manifests, pods, kind, name)
        for path, (kind, name, key) in manifests.files(pods):
            held = manifests.keys(kind, name)
            if held is not None and key not in held:
                yield f"{pods}: {path} is to be {key} of {kind} {name}, which holds {sorted(held)}"
        mounted = {mount["name"] for mount in pods.container.get("volumeMounts", [])}
        volumes = {volume["name"] for volume in pods.spec.get("volumes", [])}
        if mounted != volumes:
            yield f"{pods}: its volumes are {sorted(volumes)}, its mounts are of {sorted(mounted)}"
    for found in manifests.objects:
        owner = f"{found['kind']} {found['metadata']['name']}"
        for kind, name in of_object(found):
            yield from missing(manifests, owner, kind, name)
    yield from of_routes(manifests)


def missing(manifests, owner, kind, name):
    there = manifests.keys(kind, name) is not None if kind in ("ConfigMap", "Secret") else manifests.find(kind, name)
    if not there:
        yield f"{owner}: there is no {kind} {name}"
    elif (kind, name) in MADE_BY_HAND and not manifests.find(kind, name):
        if name not in (ROOT / "k8s" / "README.md").read_text():
            yield f"{owner}: {kind} {name} is made by hand, and k8s/README.md does not say how"


def of_pods(spec):
    """Every object that a pod needs in order to start."""
    yield "ServiceAccount", spec.get("serviceAccountName", "default")
    for volume in spec.get("volumes", []):
        for source in volume.get("projected", {}).get("sources", [volume]):
            if "secret" in source:
                yield "Secret", source["secret"].get("secretName") or source["secret"]["name"]
            if "configMap" in source:
                yield "ConfigMap", source["configMap"]["name"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
        if "csi" in volume:
            yield "Issuer", volume["csi"]["volumeAttributes"]["csi.cert-manager.io/issuer-name"]
    for container in spec["containers"] + spec.get("initContainers", []):
        sources = container.get("envFrom", []) + [entry.get("valueFrom", {}) for entry in container.get("env") or []]
        for source in sources:
            for key, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
                for suffix in ("Ref", "KeyRef"):
                    if key + suffix in source:
                        yield kind, source[key + suffix]["name"]


def of_object(found):
    """What objects that are no workloads name."""
    spec = found.get("spec", {})
    if found["kind"] == "HorizontalPodAutoscaler":
        yield spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]
    if found["kind"] == "Certificate":
        yield spec["issuerRef"]["kind"], spec["issuerRef"]["name"]
    if found["kind"] == "Issuer" and "ca" in spec:
        yield "Secret", spec["ca"]["secretName"]
    if found["kind"] == "BackendTLSPolicy":
        yield from ((target["kind"], target["name"]) for target in spec["targetRefs"])
        yield from ((ref["kind"], ref["name"]) for ref in spec["validation"]["caCertificateRefs"])
    if found["kind"] == "Gateway":
        for listener in spec["listeners"]:
            yield from (("Secret", ref["name"]) for ref in listener["tls"]["certificateRefs"])
        if client := spec.get("tls", {}).get("backend", {}).get("clientCertificateRef"):
            yield "Secret", client["name"]


def of_routes(manifests):
    """A route leads from a listener of a gateway to a port of a Service."""
    for route in manifests.all("GRPCRoute"):
        name = f"GRPCRoute {route['metadata']['name']}"
        for parent in route["spec"]["parentRefs"]:
            gateway = manifests.find("Gateway", parent["name"])
            if not gateway:
                yield f"{name}: there is no Gateway {parent['name']}"
            elif parent["sectionName"] not in [listener["name"] for listener in gateway["spec"]["listeners"]]:
                yield f"{name}: Gateway {parent['name']} has no listener {parent['sectionName']}"
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                service = manifests.find("Service", backend["name"])
                if not service or backend["port"] not in [port["port"] for port in service["spec"]["ports"]]:
                    yield f"{name}: there is no Service {backend['name']} with port {backend['port']}"
