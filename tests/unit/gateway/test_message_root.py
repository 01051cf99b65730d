"""The message root against a recursive RFC 9162 tree."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.message_root import EMPTY_ROOT, message_root


def rfc_9162(leaves):
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + rfc_9162(leaves[:split]) + rfc_9162(leaves[split:])).digest()


@given(st.sets(st.binary(min_size=32, max_size=32), min_size=1, max_size=40))
def test_it_is_the_tree_of_rfc_9162_over_sorted_ids(ids):
    assert message_root(ids) == rfc_9162(sorted(ids))


def test_repetition_and_emptiness():
    one = b"\x01" * 32
    assert message_root([one, one]) == sha256(b"\x00" + one).digest()
    assert message_root([]) == EMPTY_ROOT == bytes(32)
