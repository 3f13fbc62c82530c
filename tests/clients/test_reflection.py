"""Reflection tells a client all that it needs."""

import unittest

import support

EVERYWHERE = {
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}


class Reflection(unittest.TestCase):
    def test_product_lists_exactly_what_it_serves(self):
        served = support.product().reflection.get_services()
        self.assertCountEqual(served, EVERYWHERE | {support.PRODUCT_SERVICE, support.CATALOGUE_SERVICE})

    def test_delivery_lists_exactly_what_it_serves(self):
        served = support.delivery().reflection.get_services()
        self.assertCountEqual(served, EVERYWHERE | {support.DELIVERY_SERVICE})

    def test_the_details_of_an_error_can_be_looked_up(self):
        for server in (support.product(), support.delivery()):
            for detail in ("ErrorInfo", "BadRequest", "RetryInfo", "ResourceInfo"):
                found = server.reflection.FindFileContainingSymbol(f"google.rpc.{detail}")
                self.assertIn(detail, [message.name for message in found.message_type])
