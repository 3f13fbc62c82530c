"""One kustomization as it was rendered, and what can be looked up in it."""

import base64
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Made with kubectl by whoever deploys, since they hold passwords or come from elsewhere; k8s/README.md says how.
MADE_BY_HAND = {
    ("Secret", "product-database"): {"database-url"},
    ("Secret", "delivery-database"): {"database-url"},
    ("Secret", "gateway-certificate"): {"tls.crt", "tls.key"},
    ("ConfigMap", "candeliver-ca"): {"ca.crt"},
    ("ConfigMap", "catalogue"): {"catalogue.jsonl"},
}
# Pods that users bring, by their labels.
BROUGHT_PODS = [{"app.kubernetes.io/name": "catalogue-manager"}]
# What CloudNativePG writes beside a Cluster called NAME.
CLUSTER_SECRETS = {"app": {"uri", "fqdn-uri", "username", "password", "pgpass"}, "ca": {"ca.crt", "ca.key"}}
CSI_FILES = {"tls.crt", "tls.key", "ca.crt"}


class Pods:
    """The pods of one workload."""

    def __init__(self, owner):
        template = owner["spec"]["template"]
        self.owner = owner
        self.kind = owner["kind"]
        self.name = owner["metadata"]["name"]
        self.labels = template["metadata"]["labels"]
        self.spec = template["spec"]
        self.container = self.spec["containers"][0]

    def __str__(self):
        return f"{self.kind} {self.name}"

    @property
    def program(self):
        """product, delivery or candeliver: the last part of the image's name."""
        return re.split("[:@]", self.container["image"].rpartition("/")[2])[0]

    @property
    def serves(self):
        return "args" not in self.container

    @property
    def ports(self):
        return [port for container in self.spec["containers"] for port in container.get("ports", [])]

    @property
    def probes(self):
        """The gRPC probes: what asks, its port, the name that it asks for."""
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            grpc = self.container.get(name, {}).get("grpc", {})
            yield name, grpc.get("port"), grpc.get("service")


class Manifests:
    """Every object of a kustomization."""

    def __init__(self, name, objects):
        self.name = name
        self.objects = objects
        self.pods = [Pods(found) for found in objects if found["kind"] in ("Deployment", "Job")]

    @classmethod
    def read(cls, path):
        path = pathlib.Path(path)
        return cls(path.stem, [found for found in yaml.safe_load_all(path.read_text()) if found])

    def all(self, kind):
        return [found for found in self.objects if found["kind"] == kind]

    def find(self, kind, name):
        for found in self.all(kind):
            if found["metadata"]["name"] == name:
                return found
        return None

    @property
    def namespace(self):
        return next((found["metadata"]["name"] for found in self.all("Namespace")), None)

    def server(self, program):
        """The Deployment's pods that run a program."""
        return next(pods for pods in self.pods if pods.program == program and pods.serves)

    def keys(self, kind, name):
        """What a ConfigMap or Secret holds, whoever makes it; None: nobody does."""
        if found := self.find(kind, name):
            return found.get("data", {}).keys() | found.get("stringData", {}).keys()
        if kind == "Secret":
            for cluster in self.all("Cluster"):
                for suffix, keys in CLUSTER_SECRETS.items():
                    if name == f"{cluster['metadata']['name']}-{suffix}":
                        return keys
            if any(found["spec"]["secretName"] == name for found in self.all("Certificate")):
                return {"tls.crt", "tls.key", "ca.crt"}
        return MADE_BY_HAND.get((kind, name))

    def settings(self, container):
        """The variables that a container starts with."""
        variables = {}
        for source in container.get("envFrom", []):
            if found := self.find("ConfigMap", source.get("configMapRef", {}).get("name")):
                variables |= found["data"]
        return variables | {entry["name"]: entry.get("value", "") for entry in container.get("env") or []}

    def secret_value(self, name, key):
        """A secret's value, if these manifests hold it."""
        found = self.find("Secret", name)
        return found and base64.b64decode(found["data"][key]).decode()

    def files(self, pods):
        """The files that a container finds: path, then what they are of (kind, name, key)."""
        mounts = {mount["name"]: mount["mountPath"] for mount in pods.container.get("volumeMounts", [])}
        for volume in pods.spec.get("volumes", []):
            folder = mounts.get(volume["name"])
            for source in volume.get("projected", {}).get("sources", [volume]):
                for key, path, made_of in self._files_of(source):
                    yield f"{folder}/{path}", (*made_of, key)

    def _files_of(self, source):
        for field, kind, named in (("secret", "Secret", ("secretName", "name")), ("configMap", "ConfigMap", ("name",))):
            if found := source.get(field):
                name = next(found[key] for key in named if key in found)
                every = [{"key": key, "path": key} for key in self.keys(kind, name) or []]
                for item in found.get("items", every):
                    yield item["key"], item["path"], (kind, name)
        if "csi" in source:
            for file in CSI_FILES:
                yield file, file, ("csi", source["csi"]["driver"])


def selects(selector, labels):
    """Whether a label selector, as Kubernetes writes it, takes something with these labels."""
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    for wanted in selector.get("matchExpressions", []):
        value = labels.get(wanted["key"])
        held = {
            "In": lambda: value in wanted["values"],
            "NotIn": lambda: value not in wanted["values"],
            "Exists": lambda: value is not None,
            "DoesNotExist": lambda: value is None,
        }[wanted["operator"]]()
        if not held:
            return False
    return True


def contract(program):
    """The services of a program, by the .proto files, and the methods of each."""
    services = {}
    for file in (ROOT / "proto" / "candeliver" / program).rglob("*.proto"):
        text = file.read_text()
        package = re.search(r"^package (\S+);", text, re.M).group(1)
        for name, body in re.findall(r"^service (\w+) \{(.*?)^\}", text, re.M | re.S):
            services[f"{package}.{name}"] = set(re.findall(r"^\s*rpc (\w+)", body, re.M))
    return services
