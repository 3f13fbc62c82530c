"""An error tells a program why, in google.rpc details."""

import unittest
import uuid

import grpc

import support
from support import AMSTERDAM, BERLIN, DELIVERY_SERVICE, MILK, PRODUCT_SERVICE


class Errors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.product, cls.delivery = support.product(), support.delivery()
        support.import_sample(cls.product)

    def refused(self, client, service, method, request):
        """The code, and the details, of a call that must fail."""
        with self.assertRaises(grpc.RpcError) as raised:
            client.call(service, method, request)
        details = support.details(raised.exception)
        self.assertEqual(details["ErrorInfo"].domain, "candeliver")
        return raised.exception.code(), details

    def test_every_bad_field_is_named_at_once(self):
        questions = [
            (self.product, PRODUCT_SERVICE, "CanDeliver"),
            (self.delivery, DELIVERY_SERVICE, "CreateDelivery"),
        ]
        request = {"product_id": "milk", "location_id": "", "quantity": 0}
        for client, service, method in questions:
            with self.subTest(method):
                code, details = self.refused(client, service, method, request)
                self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
                self.assertEqual(details["ErrorInfo"].reason, "INVALID_FIELD")
                violations = details["BadRequest"].field_violations
                self.assertCountEqual([violation.field for violation in violations], request)
                self.assertTrue(all(violation.description for violation in violations))

    def test_a_no_says_why_and_at_which_revision_and_by_which_rules(self):
        question = {"product_id": MILK, "location_id": BERLIN}
        decision = self.product.call(PRODUCT_SERVICE, "CanDeliver", question)["decision"]
        rule_ids = [rule["rule_id"] for rule in decision["deciding_rules"]]
        code, details = self.refused(self.delivery, DELIVERY_SERVICE, "CreateDelivery", question)
        self.assertEqual(code, grpc.StatusCode.FAILED_PRECONDITION)
        self.assertEqual(details["ErrorInfo"].reason, "NOT_DELIVERABLE")
        metadata = details["ErrorInfo"].metadata
        self.assertEqual(metadata["verdict_reason"], "DENIED")
        self.assertEqual(metadata["revision"], decision["revision"])
        self.assertCountEqual(metadata["rule_ids"].split(","), rule_ids)

    def test_an_unknown_product_is_a_no_and_not_an_error_of_products(self):
        question = {"product_id": str(uuid.uuid4()), "location_id": AMSTERDAM}
        decision = self.product.call(PRODUCT_SERVICE, "CanDeliver", question)["decision"]
        self.assertEqual(decision["verdict"], "VERDICT_NOT_DELIVERABLE")
        self.assertEqual(decision["reason"], "REASON_PRODUCT_UNKNOWN")
        code, details = self.refused(self.delivery, DELIVERY_SERVICE, "CreateDelivery", question)
        self.assertEqual(code, grpc.StatusCode.FAILED_PRECONDITION)
        self.assertEqual(details["ErrorInfo"].metadata["verdict_reason"], "PRODUCT_UNKNOWN")

    def test_a_missing_object_is_named(self):
        missing = str(uuid.uuid4())
        for client, service, method, field, reason in [
            (self.product, PRODUCT_SERVICE, "GetProduct", "product_id", "PRODUCT_NOT_FOUND"),
            (self.product, PRODUCT_SERVICE, "GetLocation", "location_id", "LOCATION_NOT_FOUND"),
            (self.delivery, DELIVERY_SERVICE, "GetDelivery", "delivery_id", "DELIVERY_NOT_FOUND"),
        ]:
            with self.subTest(method):
                code, details = self.refused(client, service, method, {field: missing})
                self.assertEqual(code, grpc.StatusCode.NOT_FOUND)
                self.assertEqual(details["ErrorInfo"].reason, reason)
                self.assertEqual(details["ResourceInfo"].resource_name, missing)

    def test_the_same_id_with_other_content_is_refused_and_with_the_same_is_not(self):
        first = support.order()
        stored = self.delivery.call(DELIVERY_SERVICE, "CreateDelivery", first)
        self.assertEqual(self.delivery.call(DELIVERY_SERVICE, "CreateDelivery", first), stored)
        code, details = self.refused(self.delivery, DELIVERY_SERVICE, "CreateDelivery", {**first, "quantity": 2})
        self.assertEqual(code, grpc.StatusCode.ALREADY_EXISTS)
        self.assertEqual(details["ErrorInfo"].reason, "DELIVERY_EXISTS")

    def test_a_transition_that_is_not_allowed_tells_the_state(self):
        request = support.order()
        self.delivery.call(DELIVERY_SERVICE, "CreateDelivery", request)
        which = {"delivery_id": request["delivery_id"]}
        code, details = self.refused(self.delivery, DELIVERY_SERVICE, "CompleteDelivery", which)
        self.assertEqual(code, grpc.StatusCode.FAILED_PRECONDITION)
        self.assertEqual(details["ErrorInfo"].reason, "INVALID_STATE")
        self.assertEqual(details["ErrorInfo"].metadata["state"], "CONFIRMED")
        code, details = self.refused(self.delivery, DELIVERY_SERVICE, "CancelDelivery", {**which, "version": 7})
        self.assertEqual((code, details["ErrorInfo"].reason), (grpc.StatusCode.ABORTED, "VERSION_MISMATCH"))
