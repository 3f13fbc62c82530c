"""grpcio as its examples show it: a CanDeliver that answers from a map."""
import sys
from concurrent import futures

import grpc
from candeliver.product.v1 import product_service_pb2 as wire
from candeliver.product.v1 import product_service_pb2_grpc as services

PRODUCT = "027f21eb-dff8-5a45-a968-83723d4b7023"
LOCATION = "552c3cc0-c918-5453-af41-5955783465e4"
RULE = "3f0c5a0e-9d3b-5b1e-8f57-6f0f4a1d2c3b"
REVISION = "AQGTUcbDeXvLp8MJ4bUmkQAAAAAAAAAB"
UNKNOWN = wire.CanDeliverResponse(decision=wire.Decision(
    verdict=wire.VERDICT_NOT_DELIVERABLE, reason=wire.REASON_PRODUCT_UNKNOWN))


class Hello(services.ProductServiceServicer):
    """Answers CanDeliver; the other methods are unimplemented."""

    def __init__(self):
        decision = wire.Decision(verdict=wire.VERDICT_DELIVERABLE, reason=wire.REASON_ALLOWED, revision=REVISION)
        decision.deciding_rules.add(rule_id=RULE, version=1)
        decision.as_of_time.FromNanoseconds(1_795_000_000_123_456_000)
        self.answers = {(PRODUCT, LOCATION): wire.CanDeliverResponse(decision=decision)}

    def CanDeliver(self, request, context):
        return self.answers.get((request.product_id, request.location_id), UNKNOWN)


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    services.add_ProductServiceServicer_to_server(Hello(), server)
    server.add_insecure_port(sys.argv[1])
    server.start()
    server.wait_for_termination()


main()
