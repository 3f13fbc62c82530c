"""The examples of docs/clients.md, each as its reader would start it."""

import os
import pathlib
import subprocess
import sys
import unittest

import support
from support import AMSTERDAM, BERLIN, BOOK, MILK, DELIVERY_SERVICE

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = {
    "Python": ([sys.executable, ROOT / "docs/clients/create_delivery.py"], ""),
    "JavaScript": (["node", ROOT / "docs/clients/create_delivery.mjs"], ""),
    "Rust": ([pathlib.Path(os.environ["BINARIES"]) / "examples/create_delivery"], "http://"),
}


def run(language, address, product, location):
    command, scheme = EXAMPLES[language]
    # Where npm put its packages.
    return subprocess.run([*command, scheme + address, product, location], cwd=ROOT / "target/clients-node",
                          capture_output=True, text=True, timeout=support.PATIENCE_SECONDS)


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.import_sample(support.product())

    def test_each_creates_a_delivery_that_is_there(self):
        for language in EXAMPLES:
            with self.subTest(language):
                ended = run(language, os.environ["DELIVERY_ADDRESS"], BOOK, AMSTERDAM)
                self.assertEqual((ended.returncode, ended.stderr), (0, ""))
                delivery_id, state = ended.stdout.split()
                self.assertEqual(state, "CONFIRMED")
                stored = support.delivery().call(DELIVERY_SERVICE, "GetDelivery", {"delivery_id": delivery_id})
                self.assertEqual(stored["delivery"]["product_id"], BOOK)

    def test_each_takes_a_no_for_an_answer(self):
        for language in EXAMPLES:
            with self.subTest(language):
                ended = run(language, os.environ["DELIVERY_ADDRESS"], MILK, BERLIN)
                self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (2, "not deliverable: DENIED\n", ""))

    def test_each_gives_up_what_is_too_long(self):
        for language in EXAMPLES:
            with self.subTest(language):
                ended = run(language, os.environ["DELIVERY_ADDRESS"], "x" * 20_000, AMSTERDAM)
                self.assertEqual((ended.returncode, ended.stdout), (1, ""))
                self.assertIn("MESSAGE_TOO_LARGE", ended.stderr)

    def test_each_tries_again_and_gives_up_in_the_end(self):
        for language in EXAMPLES:
            with self.subTest(language):
                ended = run(language, os.environ["LONELY_DELIVERY_ADDRESS"], BOOK, AMSTERDAM)
                self.assertEqual((ended.returncode, ended.stdout), (1, ""))
                self.assertIn("PRODUCT_UNAVAILABLE", ended.stderr)
