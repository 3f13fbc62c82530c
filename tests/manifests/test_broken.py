"""The checks can fail: each of these breaks one thing in what was rendered, and must be told of it."""

import copy
import os
import unittest

import check
from manifests import Manifests

PROD = Manifests.read(os.environ["RENDERED"])
DEV = Manifests.read(os.environ["RENDERED_DEV"])


def spec(manifests, kind, name):
    return manifests.find(kind, name)["spec"]


def pod(manifests, name, kind="Deployment"):
    return spec(manifests, kind, name)["template"]["spec"]


def container(manifests, name, kind="Deployment"):
    return pod(manifests, name, kind)["containers"][0]


def data(manifests, prefix):
    return next(found for found in manifests.all("ConfigMap") if found["metadata"]["name"].startswith(prefix))["data"]


def volume(manifests, name, wanted):
    return next(found for found in pod(manifests, name)["volumes"] if found["name"] == wanted)


def replaced(config, key, old, new):
    assert old in config[key]
    config[key] = config[key].replace(old, new)


def remove(manifests, kind, name):
    manifests.objects.remove(manifests.find(kind, name))


def rule(manifests, policy, direction="ingress"):
    return spec(manifests, "NetworkPolicy", policy)[direction][0]


def listens_elsewhere(m):
    data(m, "product-settings")["CANDELIVER_LISTEN"] = "0.0.0.0:50052"


def probes_the_calls_port(m):
    container(m, "product")["livenessProbe"]["grpc"]["port"] = 50051


def probes_a_peer(m):
    container(m, "delivery")["readinessProbe"]["grpc"]["service"] = "candeliver.product.v1.ProductService"


def is_restarted_with_its_database(m):
    probe = container(m, "product")["livenessProbe"]["grpc"]
    probe["service"] = "candeliver.product.v1.ProductService"


def drains_too_long(m):
    data(m, "delivery-settings")["CANDELIVER_DRAIN_SECONDS"] = "25"


def sleeps_not(m):
    del container(m, "delivery")["lifecycle"]


def moves_its_tag(m):
    container(m, "product")["image"] = "registry:5000/candeliver/product"


def mounts_a_token(m):
    m.find("ServiceAccount", "product")["automountServiceAccountToken"] = True


def runs_as_root(m):
    pod(m, "product-migrate", "Job")["securityContext"]["runAsNonRoot"] = False


def keeps_a_capability(m):
    container(m, "delivery")["securityContext"]["capabilities"]["drop"] = ["NET_RAW"]


def mounts_its_node(m):
    pod(m, "delivery")["volumes"][0] = {"name": "database", "hostPath": {"path": "/"}}


def is_not_restricted(m):
    m.find("Namespace", "candeliver")["metadata"]["labels"] = {}


def is_elsewhere(m):
    m.find("Service", "product")["metadata"]["namespace"] = "default"


def nobody_migrates(m):
    m.objects.remove(m.find("Job", "product-migrate"))


def migrates_another_version(m):
    container(m, "product-migrate", "Job")["image"] = "candeliver/product:0.2.0"


def migrates_another_database(m):
    source = pod(m, "delivery-migrate", "Job")["volumes"][0]["projected"]["sources"][0]["secret"]
    source["name"] = "product-database-app"


def lacks_a_secret(m):
    volume(m, "product", "database")["projected"]["sources"][0]["secret"]["name"] = "product-database-superuser"


def lacks_a_secrets_key(m):
    volume(m, "product", "database")["projected"]["sources"][0]["secret"]["items"][0]["key"] = "url"


def lacks_an_account(m):
    remove(m, "ServiceAccount", "delivery")


def lacks_an_issuer(m):
    remove(m, "Issuer", "candeliver-ca")


def routes_to_no_port(m):
    spec(m, "GRPCRoute", "product")["rules"][0]["backendRefs"][0]["port"] = 50052


def scales_nobody(m):
    spec(m, "HorizontalPodAutoscaler", "product")["scaleTargetRef"]["name"] = "products"


def service_selects_nobody(m):
    spec(m, "Service", "product-headless")["selector"] = {"app": "product"}


def service_selects_jobs_too(m):
    spec(m, "Service", "product")["selector"] = {"app.kubernetes.io/part-of": "candeliver"}


def service_has_no_port(m):
    spec(m, "Service", "delivery")["ports"][0]["targetPort"] = "http"


def budget_selects_nobody(m):
    spec(m, "PodDisruptionBudget", "delivery")["selector"]["matchLabels"] = {"app": "delivery"}


def policy_selects_nobody(m):
    spec(m, "NetworkPolicy", "product-database")["podSelector"]["matchExpressions"][0]["values"].append("migrate")


def spreads_others(m):
    pod(m, "product")["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] = {"app": "product"}


def scrapes_no_port(m):
    spec(m, "PodMonitor", "candeliver")["podMetricsEndpoints"][0]["port"] = "metrics"


def scrapes_one(m):
    spec(m, "PodMonitor", "candeliver")["selector"]["matchExpressions"][0]["values"] = ["product"]


def backend_in_plain_text(m):
    remove(m, "BackendTLSPolicy", "delivery")


def scales_and_sets_replicas(m):
    spec(m, "Deployment", "delivery")["replicas"] = 3


def budget_blocks(m):
    budget = spec(m, "PodDisruptionBudget", "product")
    del budget["maxUnavailable"]
    budget["minAvailable"] = 3


def budget_keeps_none(m):
    spec(m, "PodDisruptionBudget", "product")["maxUnavailable"] = 3


def has_no_budget(m):
    remove(m, "PodDisruptionBudget", "product")


def scales_past_its_database(m):
    spec(m, "HorizontalPodAutoscaler", "delivery")["maxReplicas"] = 10


def pools_past_its_database(m):
    data(m, "delivery-settings")["CANDELIVER_DATABASE_CONNECTIONS"] = "12"


def takes_away_first(m):
    spec(m, "Deployment", "product")["strategy"]["rollingUpdate"] = {"maxSurge": 0, "maxUnavailable": 1}


def forbids_nothing(m):
    remove(m, "NetworkPolicy", "default-deny")


def asks_no_dns(m):
    remove(m, "NetworkPolicy", "dns")


def keeps_delivery_out(m):
    remove(m, "NetworkPolicy", "product")


def lets_everybody_in(m):
    del rule(m, "product")["from"]


def lets_a_stranger_in(m):
    rule(m, "product")["from"].append({"podSelector": {"matchLabels": {"app": "shop"}}})


def lets_all_ports_in(m):
    del rule(m, "product")["ports"]


def has_rules_of_no_type(m):
    spec(m, "NetworkPolicy", "delivery")["policyTypes"] = ["Ingress"]


def asks_anothers_database(m):
    here = rule(m, "delivery-database", "egress")["to"]
    here[0]["podSelector"]["matchLabels"]["cnpg.io/cluster"] = "product-database"


def is_not_scraped(m):
    remove(m, "NetworkPolicy", "monitoring")


def is_not_reached_by_the_gateway(m):
    remove(m, "NetworkPolicy", "gateway")


def reads_no_file(m):
    data(m, "product-settings")["CANDELIVER_TLS_KEY_FILE"] = "/run/tls/key.pem"


def does_half_of_tls(m):
    del data(m, "product-settings")["CANDELIVER_TLS_CLIENT_CA_FILE"]


def calls_in_plain_text(m):
    replaced(data(m, "delivery-settings"), "CANDELIVER_PRODUCT_URL", "https", "http")


def calls_one_address(m):
    replaced(data(m, "delivery-settings"), "CANDELIVER_PRODUCT_URL", "product-headless", "product")


def calls_nobody(m):
    replaced(data(m, "delivery-settings"), "CANDELIVER_PRODUCT_URL", "50051", "50052")


def has_another_name(m):
    attributes = volume(m, "product", "tls")["csi"]["volumeAttributes"]
    attributes["csi.cert-manager.io/dns-names"] = "product"


def says_plain_text(m):
    spec(m, "Service", "product")["ports"][0]["appProtocol"] = "kubernetes.io/h2c"


def is_of_another_namespace(m):
    spec(m, "Certificate", "gateway-client")["uris"] = ["spiffe://cluster.local/ns/shop/sa/gateway"]


def table_is_none(m):
    replaced(data(m, "product-access"), "access.toml", "[allow]", "[allow")


def table_allows_nothing_known(m):
    replaced(data(m, "product-access"), "access.toml", "CatalogueService", "Catalogues")


def table_names_nobody(m):
    replaced(data(m, "product-access"), "access.toml", "sa/catalogue-manager", "sa/manager")


def table_names_no_identity(m):
    replaced(data(m, "delivery-access"), "access.toml", "spiffe://cluster.local/ns/candeliver/sa/gateway", "gateway")


def table_keeps_delivery_out(m):
    replaced(data(m, "product-access"), "access.toml", "ns/candeliver/sa/delivery", "ns/shop/sa/delivery")


def imports_in_plain_text(m):
    container(m, "catalogue-import", "Job")["env"][0]["value"] = "http://product:50051"


def imports_from_outside(m):
    spec(m, "Job", "catalogue-import")["template"]["metadata"]["labels"] = {"app.kubernetes.io/name": "catalogue-import"}


BROKEN = {
    listens_elsewhere: "it listens on {'grpc': 50052",
    probes_the_calls_port: "livenessProbe asks port 50051",
    probes_a_peer: "which delivery does not serve",
    is_restarted_with_its_database: "livenessProbe asks for candeliver",
    drains_too_long: "leave nothing of the grace period",
    sleeps_not: "without a preStop sleep",
    moves_its_tag: "needs a tag that does not move",
    mounts_a_token: "a token of its ServiceAccount",
    runs_as_root: "Job product-migrate: runAsNonRoot is False",
    keeps_a_capability: "Deployment delivery: capabilities is",
    mounts_its_node: "Deployment delivery: volumes is ['hostPath']",
    is_not_restricted: "restricted Pod Security Standard",
    is_elsewhere: "it is not in namespace candeliver",
    nobody_migrates: "CANDELIVER_NO_MIGRATE is true, with 0 Jobs",
    migrates_another_version: "it must run the migrate command of",
    migrates_another_database: "its database is not that of",
    lacks_a_secret: "there is no Secret product-database-superuser",
    lacks_a_secrets_key: "is to be url of Secret product-database-app",
    lacks_an_account: "there is no ServiceAccount delivery",
    lacks_an_issuer: "there is no Issuer candeliver-ca",
    routes_to_no_port: "there is no Service product with port 50052",
    scales_nobody: "there is no Deployment products",
    service_selects_nobody: "Service product-headless: {'matchLabels': {'app': 'product'}} selects the pods of []",
    service_selects_jobs_too: "'Job product-migrate'], of one was meant",
    service_has_no_port: "there is no port http in its pods",
    budget_selects_nobody: "PodDisruptionBudget delivery: {'matchLabels': {'app': 'delivery'}} selects the pods of []",
    policy_selects_nobody: "no pod has app.kubernetes.io/name: migrate",
    spreads_others: "selects none of its pods",
    scrapes_no_port: "has no port metrics",
    scrapes_one: "Deployment delivery is not selected",
    backend_in_plain_text: "no BackendTLSPolicy is for Service delivery",
    scales_and_sets_replicas: "sets replicas too",
    budget_blocks: "so no node can be drained",
    budget_keeps_none: "it keeps none of 3 pods",
    has_no_budget: "no PodDisruptionBudget keeps any",
    scales_past_its_database: "20 pods in a rollout and the Job open 202 connections",
    pools_past_its_database: "16 pods in a rollout and the Job open 194 connections",
    takes_away_first: "a rollout must add a pod before",
    forbids_nothing: "none forbids everything in both directions",
    asks_no_dns: "no NetworkPolicy lets it ask DNS",
    keeps_delivery_out: "Delivery does not reach Product",
    lets_everybody_in: "which allows everybody",
    lets_a_stranger_in: "reaches Product",
    lets_all_ports_in: "which allows all of them",
    has_rules_of_no_type: "is not among its policyTypes",
    asks_anothers_database: "Deployment delivery does not reach Cluster delivery-database",
    is_not_scraped: "no namespace of a PodMonitor reaches port admin",
    is_not_reached_by_the_gateway: "no namespace of a Gateway reaches port grpc",
    reads_no_file: "CANDELIVER_TLS_KEY_FILE is /run/tls/key.pem, mounted are",
    does_half_of_tls: "need CANDELIVER_TLS_CLIENT_CA_FILE too",
    calls_in_plain_text: "Product wants TLS",
    calls_one_address: "is one address for all of Product",
    calls_nobody: "which is no Service's",
    has_another_name: "Product's certificate is for ['product']",
    says_plain_text: "its appProtocol says plain text",
    is_of_another_namespace: "is not of namespace candeliver",
    table_is_none: "is no table of who may call what",
    table_allows_nothing_known: "allows candeliver.product.v1.Catalogues, which product does not serve",
    table_names_nobody: "sa/manager, which nobody has",
    table_names_no_identity: "'gateway', which is no identity",
    table_keeps_delivery_out: "does not let Delivery ask ProductService",
    imports_in_plain_text: "Job catalogue-import: it calls http://product:50051 with",
    imports_from_outside: "Job catalogue-import does not reach Product",
}


class Broken(unittest.TestCase):
    def test_each_break_is_told(self):
        for break_it, told in BROKEN.items():
            with self.subTest(break_it.__name__):
                manifests = Manifests("broken", copy.deepcopy(PROD.objects))
                break_it(manifests)
                found = check.faults(Manifests("broken", manifests.objects))
                self.assertTrue(any(told in fault for fault in found), f"wanted {told!r}, found {found}")

    def test_sqlite_is_one_process(self):
        for field, value in (("replicas", 2), ("strategy", {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})):
            manifests = Manifests("broken", copy.deepcopy(DEV.objects))
            spec(manifests, "Deployment", "product")[field] = value
            found = check.faults(Manifests("broken", manifests.objects))
            self.assertTrue(any("an SQLite file has one process" in fault for fault in found), found)


if __name__ == "__main__":
    unittest.main()
