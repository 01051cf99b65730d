import pytest

from gateway.core.verify import key_acceptable, signature_valid
from tests.unit.gateway.stations import Signer

MESSAGE = b"a message"


def test_an_honest_signature_and_key_are_good():
    signer = Signer()
    assert key_acceptable(signer.public_key)
    assert signature_valid(signer.public_key, signer.sign(MESSAGE), MESSAGE)


def test_any_flipped_bit_is_bad():
    signer = Signer()
    signature = signer.sign(MESSAGE)
    for bit in range(0, 512, 7):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not signature_valid(signer.public_key, bytes(flipped), MESSAGE)


@pytest.mark.parametrize("size", [0, 31, 33, 63, 65])
def test_wrong_lengths_are_bad_and_no_error(size):
    signer = Signer()
    assert not signature_valid(signer.public_key, bytes(size), MESSAGE)
    assert not signature_valid(bytes(size), signer.sign(MESSAGE), MESSAGE)
    assert not key_acceptable(bytes(size))
