"""What a caller sees while Product is silent: in time, and never a no."""

import time
import unittest

import grpc

import support
from support import DELIVERY_SERVICE

# Longer than Delivery waits for Product (one second), so that the caller's time is not what ends the call.
LONG_SECONDS = 10
# Shorter, so that it is.
SHORT_SECONDS = 0.3
TINY_SECONDS = 0.02


class Silence(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.import_sample(support.product())
        cls.delivery = support.delivery()
        # Connected, and described: what is timed below is one call.
        cls.create(support.order())

    @classmethod
    def create(cls, request, timeout=LONG_SECONDS, client=None):
        return (client or cls.delivery).call(DELIVERY_SERVICE, "CreateDelivery", request, timeout)["delivery"]

    def fails(self, request, timeout, client=None):
        """The error of a call that must fail, and how long it took."""
        began = time.monotonic()
        with self.assertRaises(grpc.RpcError) as raised:
            self.create(request, timeout, client)
        return raised.exception, time.monotonic() - began

    def check_unavailable(self, request, client=None):
        error, took = self.fails(request, LONG_SECONDS, client)
        self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)
        details = support.details(error)
        self.assertEqual(details["ErrorInfo"].domain, "candeliver")
        self.assertEqual(details["ErrorInfo"].reason, "PRODUCT_UNAVAILABLE")
        self.assertGreater(details["RetryInfo"].retry_delay.ToTimedelta().total_seconds(), 0)
        which = {"external_reference": request["external_reference"]}
        listed = (client or self.delivery).call(DELIVERY_SERVICE, "ListDeliveries", which)
        self.assertEqual(listed["deliveries"], [], "nothing was stored")
        return took

    def test_strict_is_unavailable_after_the_time_that_product_has(self):
        with support.product_stopped():
            took = self.check_unavailable(support.order())
        self.assertLess(took, 1 + support.SLACK_SECONDS)

    def test_strict_is_unavailable_at_once_when_product_is_down(self):
        client = support.lonely_delivery()
        client.call(DELIVERY_SERVICE, "ListDeliveries")
        self.assertLess(self.check_unavailable(support.order(), client), 1)

    def test_a_callers_deadline_is_kept_and_the_same_id_can_be_sent_again(self):
        request = support.order()
        with support.product_stopped():
            for timeout in (SHORT_SECONDS, TINY_SECONDS):
                error, took = self.fails(request, timeout)
                self.assertEqual(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
                self.assertLess(took, timeout + support.SLACK_SECONDS)
                # Whichever says so first, the server or the client's own clock, which has no details.
                if details := support.details(error):
                    self.assertEqual(details["ErrorInfo"].reason, "DEADLINE_EXCEEDED")
        self.assertEqual(self.create(request)["state"], "DELIVERY_STATE_CONFIRMED")

    def test_defer_is_pending_and_confirmed_once_product_answers_again(self):
        request = support.order(admission_policy="ADMISSION_POLICY_DEFER")
        with support.product_stopped():
            pending = self.create(request)
            self.assertEqual(pending["state"], "DELIVERY_STATE_PENDING")
            self.assertIn("verify_by", pending["admission"])
            self.assertNotIn("check_time", pending["admission"])
        settled = support.eventually(
            lambda: self.delivery.call(DELIVERY_SERVICE, "GetDelivery", {"delivery_id": request["delivery_id"]}),
            lambda answer: answer["delivery"]["state"] != "DELIVERY_STATE_PENDING",
        )["delivery"]
        self.assertEqual(settled["state"], "DELIVERY_STATE_CONFIRMED")
        self.assertEqual(settled["admission"]["source"], "ADMISSION_SOURCE_DEFERRED")
        self.assertEqual(settled["admission"]["reason"], "ALLOWED")
