"""Claim documents: round trip, and every way to be wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.merkle import EMPTY_ROOT, Tree
from gateway.settlement.claims import ClaimVerdict, build_claim, tree_dump, verify_claim

OWNERS = [bytes([i]) * 20 for i in range(1, 6)]
TREE = Tree([(owner, owner[0] * 10**18) for owner in OWNERS])
MANIFEST = bytes(range(32))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def claim(owner=OWNERS[0]):
    return build_claim(TREE, owner, 20_000, MANIFEST)


@pytest.mark.parametrize("owner", OWNERS)
def test_a_claim_survives_json(owner):
    document = json.loads(json.dumps(claim(owner)))
    assert verify_claim(document, TREE.root) is ClaimVerdict.VALID
    assert document["owner"] == "0x" + owner.hex()
    assert document["amount"] == f"{owner[0]}000000000000000000"
    assert document["epoch"] == 20_000
    assert document["manifest"] == "0x" + MANIFEST.hex()


def test_another_root():
    assert verify_claim(claim(), bytes(32)) is ClaimVerdict.OTHER_ROOT
    forged = claim() | {"root": "0x" + EMPTY_ROOT.hex()}
    assert verify_claim(forged, TREE.root) is ClaimVerdict.OTHER_ROOT
    assert verify_claim(forged, EMPTY_ROOT) is ClaimVerdict.NOT_IN_TREE


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "1000000000000000001"},
        {"amount": str(2**256)},
        {"owner": "0x" + OWNERS[1].hex()},
        {"proof": []},
        {"proof": ["0x" + bytes(32).hex()] * 64},
    ],
)
def test_not_in_the_tree(change):
    assert verify_claim(claim() | change, TREE.root) is ClaimVerdict.NOT_IN_TREE


@pytest.mark.parametrize(
    "change",
    [
        {"format": "cairn-claim-2"},
        {"epoch": -1},
        {"epoch": True},
        {"epoch": 2**63},
        {"owner": OWNERS[0].hex()},
        {"owner": "0x" + "AB" * 20},
        {"amount": 10**18},
        {"amount": "01"},
        {"amount": "-1"},
        {"amount": "1\n"},
        {"amount": "٣"},
        {"amount": "9" * 79},
        {"root": "0x00"},
        {"manifest": None},
        {"proof": "0x"},
        {"proof": [7]},
        {"proof": ["0x" + bytes(32).hex()] * 65},
        {"extra": 1},
    ],
)
def test_malformed(change):
    assert verify_claim(claim() | change, TREE.root) is ClaimVerdict.MALFORMED


@pytest.mark.parametrize("key", sorted(claim()))
def test_a_missing_key_is_malformed(key):
    document = claim()
    del document[key]
    assert verify_claim(document, TREE.root) is ClaimVerdict.MALFORMED


@given(json_values, st.binary(max_size=40))
def test_any_json_gives_a_verdict(document, root):
    assert verify_claim(document, root) is ClaimVerdict.MALFORMED


@given(st.sampled_from(sorted(claim())), json_values)
def test_any_one_field_gives_a_verdict(key, value):
    verdict = verify_claim(claim() | {key: value}, TREE.root)
    unchanged = value == claim()[key] and type(value) is type(claim()[key])
    harmless = key == "epoch" and type(value) is int and 0 <= value < 2**63
    assert (verdict is ClaimVerdict.VALID) == (unchanged or harmless)


def test_a_stranger_has_no_claim():
    with pytest.raises(KeyError):
        build_claim(TREE, bytes(20), 1, MANIFEST)


def test_dump_has_every_node_and_leaf():
    dump = tree_dump(TREE)
    assert len(dump["tree"]) == 2 * len(OWNERS) - 1
    assert dump["tree"][0] == "0x" + TREE.root.hex()
    assert [value["value"][0] for value in dump["values"]] == ["0x" + o.hex() for o in OWNERS]


def test_dump_of_no_leaves():
    assert tree_dump(Tree([]))["tree"] == []
