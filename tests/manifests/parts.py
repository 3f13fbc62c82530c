"""Parts of what was rendered, for tools that can't take the whole: `parts.py FOLDER RENDERED…`.

Writes to the folder, for each rendered NAME.yaml: NAME.built-in.yaml, what Kubernetes itself knows; NAME.workloads.yaml, what
has pods; NAME.rules.yaml, alerts as Prometheus reads them, if there are any.
"""

import pathlib
import sys

import yaml

from manifests import Manifests

# Kinds that operators bring: no schema for them is here, so a slip in these names would be taken for one.
CUSTOM = {
    "cert-manager.io/v1": {"Certificate", "Issuer"},
    "gateway.networking.k8s.io/v1": {"BackendTLSPolicy", "GRPCRoute", "Gateway"},
    "monitoring.coreos.com/v1": {"PodMonitor", "PrometheusRule"},
    "postgresql.cnpg.io/v1": {"Cluster"},
}


def main(folder, *rendered):
    for path in rendered:
        manifests = Manifests.read(path)
        built_in = [found for found in manifests.objects if found["kind"] not in CUSTOM.get(found["apiVersion"], ())]
        parts = {"built-in": built_in, "workloads": [pods.owner for pods in manifests.pods]}
        if rules := manifests.all("PrometheusRule"):
            parts["rules"] = [{"groups": [group for rule in rules for group in rule["spec"]["groups"]]}]
        for name, objects in parts.items():
            (pathlib.Path(folder) / f"{manifests.name}.{name}.yaml").write_text(yaml.safe_dump_all(objects))


if __name__ == "__main__":
    main(*sys.argv[1:])
