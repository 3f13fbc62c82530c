"""From an empty catalogue to a parcel on the doormat."""

import unittest

import support
from support import AMSTERDAM, BOOK, CATALOGUE_SERVICE, DELIVERY_SERVICE, PRODUCT_SERVICE


class Life(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.product, cls.delivery = support.product(), support.delivery()
        cls.imported = support.import_sample(cls.product)

    def test_an_import_answers_each_chunk_and_again_changes_nothing(self):
        self.assertEqual(self.imported["errors"], [])
        again = support.import_sample(self.product)
        self.assertEqual((again["created"], again["updated"]), (0, 0))
        self.assertEqual((again["unchanged"], again["revision"]), (again["rows"], self.imported["revision"]))

        bad = {"product": {"product_id": "milk", "name": ""}}
        good = {"product": self.product.call(PRODUCT_SERVICE, "GetProduct", {"product_id": BOOK})["product"]}
        chunks = [{"rows": [good, bad]}, {"rows": [bad, good, good]}]
        answers = list(self.product.call(CATALOGUE_SERVICE, "ImportCatalogue", chunks))
        self.assertEqual([(answer["first_row"], answer["rows"]) for answer in answers], [("1", 2), ("3", 3)])
        errors = [error for answer in answers for error in answer["errors"]]
        self.assertEqual([error["row"] for error in errors], ["2", "3"])
        for error in errors:
            self.assertEqual(error["reason"], "INVALID_FIELD")
            self.assertCountEqual([field["field"] for field in error["fields"]], ["product_id", "name"])

    def test_a_delivery_lives_from_its_creation_to_its_arrival(self):
        request = support.order(quantity=3, min_revision=self.imported["revision"])
        which = {"delivery_id": request["delivery_id"]}
        created = self.delivery.call(DELIVERY_SERVICE, "CreateDelivery", request)["delivery"]
        for field in ("delivery_id", "product_id", "location_id", "quantity", "external_reference"):
            self.assertEqual(created[field], request[field])
        self.assertEqual((created["state"], created["version"]), ("DELIVERY_STATE_CONFIRMED", 1))

        question = {"product_id": BOOK, "location_id": AMSTERDAM}
        decision = self.product.call(PRODUCT_SERVICE, "CanDeliver", question)["decision"]
        admission = created["admission"]
        self.assertEqual(admission["verdict"], decision["verdict"])
        self.assertEqual(admission["revision"], self.imported["revision"])
        self.assertEqual(admission["deciding_rules"], decision["deciding_rules"])
        self.assertEqual((admission["source"], admission["reason"]), ("ADMISSION_SOURCE_LIVE", "ALLOWED"))

        # Each is sent twice: repeating the transition that was last made answers OK.
        for version, method, state in [(2, "DispatchDelivery", "DISPATCHED"), (3, "CompleteDelivery", "DELIVERED")]:
            moved = self.delivery.call(DELIVERY_SERVICE, method, which)
            self.assertEqual(self.delivery.call(DELIVERY_SERVICE, method, which), moved)
            self.assertEqual(moved["delivery"]["state"], f"DELIVERY_STATE_{state}")
            self.assertEqual(moved["delivery"]["version"], version)
        read = self.delivery.call(DELIVERY_SERVICE, "GetDelivery", which)
        self.assertEqual(read, moved)

    def test_a_watch_of_all_changes_brings_the_catalogue_and_then_a_checkpoint(self):
        changes, revisions = [], []
        watching = self.product.call(PRODUCT_SERVICE, "WatchChanges")
        for answer in watching:
            changes += answer["changes"]
            if "checkpoint" in answer:
                revisions.append(answer["checkpoint"]["revision"])
                break
        watching.cancel()
        self.assertEqual(revisions, [self.imported["revision"]])
        self.assertEqual(len(changes), self.imported["rows"])
        self.assertIn(BOOK, [change["product"]["product_id"] for change in changes if "product" in change])

        # Nothing changed since: the next checkpoint is all there is to say.
        resumed = self.product.call(PRODUCT_SERVICE, "WatchChanges", {"after_revision": revisions[0]})
        first = next(resumed)
        resumed.cancel()
        self.assertEqual(first["changes"], [])
        self.assertEqual(first["checkpoint"]["revision"], revisions[0])
