"""The calls that people make by hand, with buf curl in the place of grpcurl; both go by server reflection."""

import base64
import json
import os
import pathlib
import re
import shlex
import subprocess
import unittest

from google.rpc.error_details_pb2 import ErrorInfo

import support
from support import AMSTERDAM, BERLIN, BOOK, DELIVERY_SERVICE, MILK, PRODUCT_SERVICE

BUF = pathlib.Path(__file__).with_name("buf")
PRODUCT = os.environ["PRODUCT_ADDRESS"]
DELIVERY = os.environ["DELIVERY_ADDRESS"]
FAILED_PRECONDITION = 9


class BufCurl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.import_sample(support.product())

    def test_services_are_listed_over_both_versions_of_reflection(self):
        for version in ("grpc-v1", "grpc-v1alpha"):
            with self.subTest(version):
                options = ["--list-services", "--reflect-protocol", version]
                listed = run(f"http://{DELIVERY}", *options).stdout.split()
                self.assertIn(DELIVERY_SERVICE, listed)

    def test_product_says_yes(self):
        question = {"product_id": BOOK, "location_id": AMSTERDAM}
        decision = self.curl(PRODUCT, f"{PRODUCT_SERVICE}/CanDeliver", question)["decision"]
        self.assertEqual((decision["verdict"], decision["reason"]), ("VERDICT_DELIVERABLE", "REASON_ALLOWED"))

    def test_product_says_no_and_explains(self):
        question = {"product_id": MILK, "location_id": BERLIN, "explain": True}
        decision = self.curl(PRODUCT, f"{PRODUCT_SERVICE}/CanDeliver", question)["decision"]
        self.assertEqual((decision["verdict"], decision["reason"]), ("VERDICT_NOT_DELIVERABLE", "REASON_DENIED"))
        self.assertTrue(decision["explanation"][0]["text"])

    def test_a_delivery_is_created_and_read(self):
        wanted = {"product_id": BOOK, "location_id": AMSTERDAM, "external_reference": "order 1001"}
        created = self.curl(DELIVERY, f"{DELIVERY_SERVICE}/CreateDelivery", wanted)["delivery"]
        self.assertEqual(created["state"], "DELIVERY_STATE_CONFIRMED")
        read = self.curl(DELIVERY, f"{DELIVERY_SERVICE}/GetDelivery", {"delivery_id": created["deliveryId"]})
        self.assertEqual(read["delivery"], created)

    def test_a_delivery_that_can_not_be_made_is_an_error_with_its_reason(self):
        wanted = {"product_id": MILK, "location_id": BERLIN}
        ended = run(*call(DELIVERY, f"{DELIVERY_SERVICE}/CreateDelivery", wanted))
        self.assertEqual(ended.returncode, FAILED_PRECONDITION * 8, ended.stderr)
        error = json.loads(ended.stderr)
        self.assertEqual(error["code"], "failed_precondition")
        (packed,) = [detail["value"] for detail in error["details"] if detail["type"] == "google.rpc.ErrorInfo"]
        # Base64 without its padding.
        info = ErrorInfo.FromString(base64.b64decode(packed + "=="))
        self.assertEqual((info.domain, info.reason), ("candeliver", "NOT_DELIVERABLE"))

    def test_the_commands_in_the_readme_work_as_printed(self):
        readme = BUF.parents[2].joinpath("README.md").read_text()
        printed = [shlex.split(line) for line in re.findall(r"^grpcurl .*$", readme, re.MULTILINE)]
        self.assertEqual(len(printed), 5)
        for program, plaintext, *words in printed:
            self.assertEqual((program, plaintext), ("grpcurl", "-plaintext"))
            at = next(word for word in words if word.startswith("127.0.0.1:"))
            address = {"127.0.0.1:50051": PRODUCT, "127.0.0.1:50052": DELIVERY}[at]
            with self.subTest(" ".join(words)):
                if words[-1] == "list":
                    ended = run(f"http://{address}", "--list-services")
                else:
                    ended = run("--data", words[words.index("-d") + 1], f"http://{address}/{words[-1]}")
                self.assertEqual(ended.returncode, 0, ended.stderr)
                self.assertTrue(ended.stdout.strip())

    def curl(self, address, method, request):
        ended = run(*call(address, method, request))
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return json.loads(ended.stdout)


def call(address, method, request):
    return ["--data", json.dumps(request), f"http://{address}/{method}"]


def run(*arguments):
    command = [BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=support.PATIENCE_SECONDS, check=False)
