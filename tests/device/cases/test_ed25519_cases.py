"""SHA-512, signing and verifying on both interpreters; the wanted values are other programs'."""

import unittest
from binascii import unhexlify

from cairn import ed25519, ed25519_comb, ed25519_point, ed25519_verify, sha512

SEED = bytes(range(32))
MESSAGE = b"what a station reported"
HEDGE = bytes(range(32, 64))
PUBLIC_KEY = unhexlify("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8")
# RFC 8032 section 7.1, test 3: seed, public key, message, signature.
RFC_8032 = (
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    ),
)
HEDGED = (
    "d4c202076e3b4e998f505811c2162e4a7a68c60a64d884889beaa5a3a2a47dd7"
    "f947cef32ed69a649f31d043eb531d09000d929f92554649cff1d954e03b1f0b"
)
# First 8 bytes of the SHA-512 of the first n of the bytes 7 * i & 255, by OpenSSL.
DIGESTS = (
    (0, "cf83e1357eefb8bd"),
    (1, "b8244d028981d693"),
    (111, "d2026b9857418e96"),
    (112, "4dc754b8985c03b8"),
    (127, "78de13cc28717e3e"),
    (128, "6e7f10bc87eacc3e"),
    (129, "cdc5b3e2f22ed039"),
    (240, "44f1b40dcf17562f"),
    (300, "c59cdec0ad3e782b"),
)


class Hash(unittest.TestCase):
    def test_digests(self):
        data = bytes([7 * i & 255 for i in range(300)])
        for size, wanted in DIGESTS:
            self.assertEqual(sha512.Sha512(data[:size]).digest()[:8], unhexlify(wanted))

    def test_pieces(self):
        data = bytes([7 * i & 255 for i in range(300)])
        pieces = sha512.Sha512()
        for start in range(0, 300, 77):
            pieces.update(data[start : start + 77])
        self.assertEqual(pieces.digest(), sha512.Sha512(data).digest())


class Signing(unittest.TestCase):
    def test_without_native_code_the_integers_sign(self):
        self.assertTrue(ed25519.points is ed25519_point)
        self.assertTrue(ed25519_verify.points is ed25519_point)
        self.assertEqual(sha512.WORK_BYTES, 64)

    def test_rfc_8032(self):
        seed, public_key, message, signature = [unhexlify(text) for text in RFC_8032]
        signer = ed25519.Signer(seed)
        self.assertEqual(signer.public_key, public_key)
        self.assertEqual(signer.sign(message), signature)

    def test_hedged_and_blinded(self):
        for blind in (b"", bytes(32), b"\xff" * 32, bytes(range(64, 96))):
            signer = ed25519.Signer(SEED, blind)
            self.assertEqual(signer.public_key, PUBLIC_KEY)
            self.assertEqual(signer.sign(MESSAGE, HEDGE, blind), unhexlify(HEDGED))

    def test_edge_scalars(self):
        order = ed25519_comb.L
        one = ed25519_point.base_multiply(1)
        for scalar in (0, 1, 2, order - 1, order - 2):
            point = ed25519_point.base_multiply(scalar)
            opposite = ed25519_point.base_multiply(order - scalar if scalar else 0)
            total = ed25519_point.add(point, ed25519_point.addend_of(opposite))
            self.assertTrue(ed25519_point.is_identity(total))
        self.assertEqual(
            ed25519_point.encode_point(one), b"\x58" + b"\x66" * 31
        )  # y = 4/5, x is even

    def test_wrong_lengths(self):
        with self.assertRaises(ValueError):
            ed25519.Signer(bytes(31))
        with self.assertRaises(ValueError):
            ed25519.Signer(SEED).sign(MESSAGE, bytes(31))
        with self.assertRaises(ValueError):
            ed25519.Signer(SEED, bytes(33))


class Verifying(unittest.TestCase):
    def test_good_and_bad(self):
        signature = unhexlify(HEDGED)
        self.assertTrue(ed25519_verify.verify(PUBLIC_KEY, MESSAGE, signature))
        self.assertFalse(ed25519_verify.verify(PUBLIC_KEY, MESSAGE + b".", signature))
        for place in (0, 31, 32, 62):
            changed = bytearray(signature)
            changed[place] ^= 1
            self.assertFalse(ed25519_verify.verify(PUBLIC_KEY, MESSAGE, bytes(changed)))

    def test_s_of_the_order_and_more_is_refused(self):
        signature = unhexlify(HEDGED)
        s = int.from_bytes(signature[32:], "little") + ed25519_comb.L
        raised = signature[:32] + s.to_bytes(32, "little")
        self.assertFalse(ed25519_verify.verify(PUBLIC_KEY, MESSAGE, raised))

    def test_encodings_that_are_no_points_are_refused(self):
        refused = 0
        for y in range(8):
            data = bytes([y]) + bytes(31)
            if ed25519_point.decode_point(data) is None:
                refused += 1
                self.assertFalse(ed25519_verify.verify(data, MESSAGE, unhexlify(HEDGED)))
        self.assertEqual(refused, 2)

    def test_in_slices(self):
        check = ed25519_verify.Verification(PUBLIC_KEY, MESSAGE, unhexlify(HEDGED))
        steps = 1
        while check.step() is None:
            steps += 1
        self.assertEqual(steps, 21)
        self.assertTrue(check.step())
