"""The few messages that loads send, encoded by hand, and a look at what comes back."""
import json
import random
import struct

PRODUCT_SERVICE = "/candeliver.product.v1.ProductService/"
CAN_DELIVER = PRODUCT_SERVICE + "CanDeliver"
BATCH_CAN_DELIVER = PRODUCT_SERVICE + "BatchCanDeliver"
CREATE_DELIVERY = "/candeliver.delivery.v1.DeliveryService/CreateDelivery"
HEALTH = "/grpc.health.v1.Health/Check"
# A book of the sample catalogue and Amsterdam, which each peer's map holds too.
PAIR = ("027f21eb-dff8-5a45-a968-83723d4b7023", "552c3cc0-c918-5453-af41-5955783465e4")
# Enough that a processor's caches don't hold what belongs to them all.
RANDOM_PAIRS = 100_000
BATCH = 100
# Field 1, some length below 128, then verdict: DELIVERABLE.
DELIVERABLE = (0x0a, 0x08, 0x01)
SERVING = bytes([0x08, 0x01])


def field(number, value):
    """A string or message field of fewer than 128 bytes, or more."""
    data = value.encode() if isinstance(value, str) else value
    length = bytes([len(data)]) if len(data) < 128 else bytes([len(data) & 127 | 128, len(data) >> 7])
    return bytes([number << 3 | 2]) + length + data


def framed(message):
    """With the prefix that gRPC puts before each message."""
    return b"\0" + struct.pack(">I", len(message)) + message


def question(pair):
    """A CanDeliverRequest."""
    return field(1, pair[0]) + field(2, pair[1])


def batch(pairs):
    """A BatchCanDeliverRequest."""
    return b"".join(field(1, field(2, product) + field(3, location)) for product, location in pairs)


def order(pair):
    """A CreateDeliveryRequest without an id: the server makes one."""
    return field(2, pair[0]) + field(3, pair[1])


def health(service):
    """A HealthCheckRequest."""
    return field(1, service)


def write(path, messages):
    """A file of messages for the load."""
    path.write_bytes(b"".join(framed(message) for message in messages))
    return path


def says_deliverable(first_message):
    """Whether a CanDeliverResponse, in hex, decides yes."""
    message = bytes.fromhex(first_message)[5:]
    return len(message) > 4 and (message[0], *message[2:4]) == DELIVERABLE


def random_pairs(catalogue, count=RANDOM_PAIRS):
    """Pairs of a catalogue's products and locations, uniformly random, the same at every run."""
    products, locations = [], []
    with open(catalogue, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith('{"product"'):
                products.append(json.loads(line)["product"]["product_id"])
            elif line.startswith('{"location"'):
                locations.append(json.loads(line)["location"]["location_id"])
    chance = random.Random(2)
    return [(chance.choice(products), chance.choice(locations)) for _ in range(count)]
