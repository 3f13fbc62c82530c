"""Clients without generated code: what they know of the services, server reflection told them."""

import json
import os
import pathlib
import signal
import time
import uuid
from contextlib import contextmanager

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

PRODUCT_SERVICE = "candeliver.product.v1.ProductService"
CATALOGUE_SERVICE = "candeliver.product.v1.CatalogueService"
DELIVERY_SERVICE = "candeliver.delivery.v1.DeliveryService"

# Of cli/sample/README.md: what may go where.
BOOK = "027f21eb-dff8-5a45-a968-83723d4b7023"
MILK = "f592f1f8-73fa-546c-85bb-a2f2d04e08d2"
AMSTERDAM = "552c3cc0-c918-5453-af41-5955783465e4"
BERLIN = "6ee51d26-c2f7-5d17-824c-a0d88f6ebdb0"

# How long anything may take before it counts as never: far more than it needs on a busy machine.
PATIENCE_SECONDS = 30
# How much later than its deadline a call may be seen to end on a busy machine.
SLACK_SECONDS = 0.5


class Client:
    """Calls one server; requests and answers are protobuf JSON with the field names of the .proto files."""

    def __init__(self, address):
        self.address = address
        self.channel = grpc.insecure_channel(address)
        self.reflection = ProtoReflectionDescriptorDatabase(self.channel)
        self._pool = descriptor_pool.DescriptorPool(self.reflection)

    def call(self, service, method, request=None, timeout=PATIENCE_SECONDS):
        """Takes a list and gives an iterator where the contract says stream; raises grpc.RpcError."""
        described = self._pool.FindServiceByName(service).methods_by_name[method]
        request_type = message_factory.GetMessageClass(described.input_type)
        response_type = message_factory.GetMessageClass(described.output_type)
        kind = "{}_{}".format(
            "stream" if described.client_streaming else "unary", "stream" if described.server_streaming else "unary"
        )
        call = getattr(self.channel, kind)(
            f"/{service}/{method}",
            request_serializer=lambda fields: json_format.ParseDict(fields, request_type()).SerializeToString(),
            response_deserializer=lambda data: _fields(response_type.FromString(data)),
        )
        request = {} if request is None else request
        return call(iter(request) if described.client_streaming else request, timeout=timeout)


def product():
    return Client(os.environ["PRODUCT_ADDRESS"])


def delivery():
    return Client(os.environ["DELIVERY_ADDRESS"])


def lonely_delivery():
    """A Delivery whose Product can't be reached."""
    return Client(os.environ["LONELY_DELIVERY_ADDRESS"])


def import_sample(client):
    """Imports the sample catalogue, as one chunk; again changes nothing."""
    file = pathlib.Path(__file__).parents[2] / "cli" / "sample" / "catalogue.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    (answer,) = client.call(CATALOGUE_SERVICE, "ImportCatalogue", [{"rows": rows}])
    return answer


@contextmanager
def product_stopped():
    """Product keeps its connections and answers nothing."""
    pid, client = int(os.environ["PRODUCT_PID"]), product()
    os.kill(pid, signal.SIGSTOP)
    try:
        # A signal takes its time on a busy machine.
        while answers(client):
            pass
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def answers(client):
    """Whether health is answered within a fifth of a second."""
    try:
        HealthStub(client.channel).Check(HealthCheckRequest(), timeout=0.2)
        return True
    except grpc.RpcError:
        return False


def order(**fields):
    """A delivery of a book to Amsterdam, with an id and a reference of its own."""
    fresh = {"delivery_id": str(uuid.uuid4()), "external_reference": f"order {uuid.uuid4()}"}
    return {**fresh, "product_id": BOOK, "location_id": AMSTERDAM, **fields}


def details(error):
    """The google.rpc details of an error, by the names of their types."""
    status = rpc_status.from_call(error)
    found = {}
    for packed in status.details if status else []:
        name = packed.TypeName().removeprefix("google.rpc.")
        found[name] = getattr(error_details_pb2, name)()
        packed.Unpack(found[name])
    return found


def eventually(ask, wanted):
    """The first answer that is wanted, or the last one once patience is over."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not wanted(answer := ask()) and time.monotonic() < until:
        time.sleep(0.05)
    return answer


def _fields(message):
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
