"""The example of this directory: what a case looks like that runs on both interpreters.

A case file holds classes of `unittest.TestCase` and nothing that runs by itself; it imports
unittest, cairn, simulator.chips and what the firmware may import, and keeps
setUpClass, no pytest). pytest collects it on CPython; ../test_cases.py runs it on MicroPython.
"""

import unittest

from cairn import cbor


class Codec(unittest.TestCase):
    def setUp(self):
        self.value = [1, -1, b"\x00", "grün", [None], {2: 3}]

    def test_what_was_encoded_is_decoded_again(self):
        self.assertEqual(cbor.decode(cbor.encode(self.value)), self.value)

    def test_a_float_is_refused(self):
        with self.assertRaises(cbor.CborError):
            cbor.decode(b"\xf9\x3c\x00")
