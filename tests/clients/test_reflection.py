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
