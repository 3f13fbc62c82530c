"""Creates a delivery and survives what may happen on the way: python create_delivery.py HOST:PORT PRODUCT LOCATION

Needs grpcio, grpcio-status and grpcio-tools (which compiles the contract). Exit code 2: the product can't be delivered there.
"""
import pathlib
import random
import sys
import time
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
sys.path.insert(0, str(PROTO))
messages, services = grpc.protos_and_services("candeliver/delivery/v1/delivery_service.proto")

DEADLINE_SECONDS = 2
ATTEMPTS = 5
# What may go well when it is sent again. The id makes that safe: the same content under it is one delivery.
WORTH_RETRYING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def main(address, product_id, location_id):
    # One channel for the whole program: it keeps its connection, and moves when the server sends it away.
    delivery = services.DeliveryServiceStub(grpc.insecure_channel(address))
    order = messages.CreateDeliveryRequest(
        delivery_id=str(uuid.uuid4()), product_id=product_id, location_id=location_id, external_reference="order-1")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            created = delivery.CreateDelivery(order, timeout=DEADLINE_SECONDS).delivery
            state = messages.DeliveryState.Name(created.state).removeprefix("DELIVERY_STATE_")
            print(created.delivery_id, state)
            return 0
        except grpc.RpcError as error:
            details = details_of(error)
            reason = details["ErrorInfo"].reason if "ErrorInfo" in details else ""
            if reason == "NOT_DELIVERABLE":
                print("not deliverable:", details["ErrorInfo"].metadata["verdict_reason"])
                return 2
            if not is_worth_retrying(error, details) or attempt == ATTEMPTS:
                print(error.code().name, reason, error.details(), file=sys.stderr)
                return 1
            time.sleep(pause(details, attempt))


def is_worth_retrying(error, details):
    """Too much at once will be less when the server says; what is too much for ever comes without a time."""
    has_time = error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "RetryInfo" in details
    return has_time or error.code() in WORTH_RETRYING


def details_of(error):
    """The google.rpc details of an error, by the names of their types."""
    status, found = rpc_status.from_call(error), {}
    for packed in status.details if status else []:
        name = packed.TypeName().removeprefix("google.rpc.")
        found[name] = getattr(error_details_pb2, name)()
        packed.Unpack(found[name])
    return found


def pause(details, attempt):
    """As long as the server says, or longer each time; and by chance, so that callers don't come back together."""
    told = details["RetryInfo"].retry_delay.ToTimedelta().total_seconds() if "RetryInfo" in details else 0
    return max(told, 0.05 * 2 ** attempt) * random.uniform(1, 1.5)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
