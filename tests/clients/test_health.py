"""Health as gRPC defines it, asked by the client that gRPC ships."""

import unittest
from concurrent.futures import ThreadPoolExecutor
from threading import Timer

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

import support

SERVED = [
    (support.product, ["", "liveness", support.PRODUCT_SERVICE, support.CATALOGUE_SERVICE]),
    (support.delivery, ["", "liveness", support.DELIVERY_SERVICE]),
    (support.lonely_delivery, ["", "liveness", support.DELIVERY_SERVICE]),
]
# After its first answer, a Watch that ends by itself would have ended by then.
WATCH_SECONDS = 1


class Health(unittest.TestCase):
    def test_every_served_name_is_serving_and_a_delivery_without_product_too(self):
        for client, names in SERVED:
            health = HealthStub(client().channel)
            for name in names:
                with self.subTest(client=client.__name__, name=name):
                    answer = health.Check(HealthCheckRequest(service=name), timeout=support.PATIENCE_SECONDS)
                    self.assertEqual(answer.status, HealthCheckResponse.SERVING)

    def test_a_check_of_an_unknown_name_is_not_found(self):
        for client, _ in SERVED:
            health = HealthStub(client().channel)
            with self.assertRaises(grpc.RpcError) as raised:
                health.Check(HealthCheckRequest(service="nobody"), timeout=support.PATIENCE_SECONDS)
            self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_a_watch_tells_the_present_state_at_once_and_stays_open(self):
        serving = [HealthCheckResponse.SERVING]
        wanted = {(client, name): serving for client, names in SERVED for name in names}
        self.assertEqual(watch(wanted), wanted)

    def test_a_watch_of_an_unknown_name_says_so_and_stays_open(self):
        wanted = {(client, "nobody"): [HealthCheckResponse.SERVICE_UNKNOWN] for client, _ in SERVED}
        self.assertEqual(watch(wanted), wanted)


def watch(watched):
    """What each Watch is told until all are given up, all at once; raises if one ends by itself."""
    with ThreadPoolExecutor(len(watched)) as threads:
        return dict(zip(watched, threads.map(watch_one, watched)))


def watch_one(watched):
    client, name = watched
    health = HealthStub(client().channel)
    watching = health.Watch(HealthCheckRequest(service=name), timeout=support.PATIENCE_SECONDS)
    told = [next(watching).status]
    Timer(WATCH_SECONDS, watching.cancel).start()
    try:
        told += [answer.status for answer in watching]
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.CANCELLED:
            return told
        raise
    raise AssertionError(f"the Watch of {name!r} ended by itself after {told}")
