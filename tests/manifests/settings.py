"""Settings fit the manifests around them: addresses, files, certificates, and who may call what."""

import re
import tomllib
import urllib.parse

from manifests import contract

TLS_SERVER = {"CANDELIVER_TLS_CERT_FILE", "CANDELIVER_TLS_KEY_FILE", "CANDELIVER_TLS_CLIENT_CA_FILE"}
TLS_CLIENT = {"CANDELIVER_PRODUCT_CA_FILE", "CANDELIVER_PRODUCT_CERT_FILE", "CANDELIVER_PRODUCT_KEY_FILE"}
TLS_COMMAND_LINE = {"CANDELIVER_CA_FILE", "CANDELIVER_CERT_FILE", "CANDELIVER_KEY_FILE"}
IDENTITY = re.compile(r"spiffe://[a-z0-9.-]+/ns/([a-z0-9-]+)/sa/([a-z0-9-]+)")


def faults(manifests):
    for pods in manifests.pods:
        data = manifests.settings(pods.container)
        files = dict(manifests.files(pods))
        for name, value in data.items():
            if (name.endswith("_FILE") or name == "PGSSLROOTCERT") and value not in files:
                yield f"{pods}: {name} is {value}, mounted are {sorted(files)}"
        if pods.serves:
            yield from of_tls(pods, data)
        if access := files.get(data.get("CANDELIVER_ACCESS_FILE")):
            yield from of_access(manifests, pods, access)
    yield from of_product_url(manifests)
    yield from of_command_line(manifests)
    for certificate in manifests.all("Certificate"):
        for uri in certificate["spec"].get("uris", []):
            if manifests.namespace and f"/ns/{manifests.namespace}/" not in uri:
                yield f"Certificate {certificate['metadata']['name']}: {uri} is not of namespace {manifests.namespace}"


def of_tls(pods, data):
    sets = [TLS_SERVER | {"CANDELIVER_ACCESS_FILE"}]
    if pods.program == "delivery":
        sets.append(TLS_CLIENT)
    for wanted in sets:
        if set_here := wanted & data.keys():
            if set_here != wanted:
                yield f"{pods}: {', '.join(sorted(set_here))} need {', '.join(sorted(wanted - set_here))} too"


def of_product_url(manifests):
    """Delivery asks a headless Service, and speaks TLS where Product does, by a name that Product's certificate holds."""
    delivery, product = manifests.server("delivery"), manifests.server("product")
    data = manifests.settings(delivery.container)
    url = urllib.parse.urlsplit(data.get("CANDELIVER_PRODUCT_URL", ""))
    service = manifests.find("Service", url.hostname)
    if not service or url.port not in [port["port"] for port in service["spec"]["ports"]]:
        yield f"{delivery}: CANDELIVER_PRODUCT_URL is {url.geturl()}, which is no Service's"
    elif service["spec"].get("clusterIP") != "None":
        yield f"{delivery}: {url.hostname} is one address for all of Product, and a connection to it stays on one pod"
    has_tls = "CANDELIVER_TLS_CERT_FILE" in manifests.settings(product.container)
    if (url.scheme == "https") != has_tls or has_tls != ("CANDELIVER_PRODUCT_CA_FILE" in data):
        yield f"{delivery}: it calls {url.geturl()}, and Product {'wants' if has_tls else 'speaks no'} TLS"
    for volume in product.spec.get("volumes", []):
        if "csi" in volume:
            held = volume["csi"]["volumeAttributes"]["csi.cert-manager.io/dns-names"].split(",")
            if url.hostname not in held:
                yield f"{delivery}: it calls {url.hostname}, Product's certificate is for {held}"
    for found in manifests.all("Service"):
        plain = any(port.get("appProtocol") == "kubernetes.io/h2c" for port in found["spec"]["ports"])
        if plain == has_tls:
            yield f"Service {found['metadata']['name']}: its appProtocol says {'plain text' if plain else 'TLS'}"


def of_command_line(manifests):
    """`candeliver` calls a Service of Product's, and speaks TLS where Product does."""
    has_tls = "CANDELIVER_TLS_CERT_FILE" in manifests.settings(manifests.server("product").container)
    for pods in manifests.pods:
        if pods.program != "candeliver":
            continue
        data = manifests.settings(pods.container)
        url = urllib.parse.urlsplit(data.get("CANDELIVER_PRODUCT", ""))
        service = manifests.find("Service", url.hostname)
        if not service or url.port not in [port["port"] for port in service["spec"]["ports"]]:
            yield f"{pods}: CANDELIVER_PRODUCT is {url.geturl()}, which is no Service's"
        files = {name for name in TLS_COMMAND_LINE if name in data}
        if (url.scheme == "https") != has_tls or files != (TLS_COMMAND_LINE if has_tls else set()):
            yield f"{pods}: it calls {url.geturl()} with {sorted(files)}, and Product {'wants' if has_tls else 'speaks no'} TLS"


def of_access(manifests, pods, source):
    """The table of who may call what names the contract's calls, and identities that somebody has."""
    kind, name, key = source
    try:
        table = tomllib.loads(manifests.find(kind, name)["data"][key])["allow"]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        yield f"{pods}: {key} of {name} is no table of who may call what: {error!r}"
        return
    calls = {}
    for service, methods in contract(pods.program).items():
        calls |= {service: service} | {f"{service}/{method}": service for method in methods}
    for call, identities in table.items():
        if call not in calls:
            yield f"{pods}: {name} allows {call}, which {pods.program} does not serve"
        for identity in identities:
            yield from of_identity(manifests, f"{pods}: {name}", identity)
    if pods.program == "product":
        asker = f"/ns/{manifests.namespace}/sa/delivery"
        asked = table.get("candeliver.product.v1.ProductService", [])
        if not any(identity.endswith(asker) for identity in asked):
            yield f"{pods}: {name} does not let Delivery ask ProductService"


def of_identity(manifests, owner, identity):
    """Of this namespace we know who is there; of others nobody does."""
    found = IDENTITY.fullmatch(identity)
    if not found:
        yield f"{owner} names {identity!r}, which is no identity of a ServiceAccount"
        return
    namespace, account = found.groups()
    issued = {uri for certificate in manifests.all("Certificate") for uri in certificate["spec"].get("uris", [])}
    if namespace == manifests.namespace and not manifests.find("ServiceAccount", account) and identity not in issued:
        yield f"{owner} names {identity}, which nobody has"
