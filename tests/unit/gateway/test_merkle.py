"""Trees against OpenZeppelin's committed vectors, and proofs that must fail."""

import hashlib
import json

import pytest
from Crypto.Hash import keccak
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import merkle
from gateway.core.merkle import EMPTY_ROOT, Tree, leaf_hashes, pysha3_keccak, verify

SIZES = (1, 2, 3, 5, 7, 8, 100, 1_001)
owners = st.binary(min_size=20, max_size=20)
amounts = st.integers(0, 2**256 - 1)
leaf_sets = st.dictionaries(owners, amounts, min_size=1, max_size=20).map(
    lambda leaves: list(leaves.items())
)


def derived_leaf(i):
    amount = int.from_bytes(hashlib.sha256(b"cairn amount %d" % i).digest(), "big") >> i % 256
    return hashlib.sha256(b"cairn owner %d" % i).digest()[:20], amount


@pytest.fixture(params=SIZES)
def vector(request, repo_root):
    path = repo_root / f"spec/vectors/merkle/leaves-{request.param:04}.json"
    return json.loads(path.read_bytes())


@pytest.fixture(params=["pycryptodome", "pysha3"])
def each_keccak(request, monkeypatch):
    if request.param == "pysha3" and pysha3_keccak is None:
        pytest.skip("component missing: safe-pysha3 has wheels for Linux only")
    chosen = merkle.pycryptodome_keccak if request.param == "pycryptodome" else pysha3_keccak
    monkeypatch.setattr(merkle, "new_keccak", chosen)


@pytest.mark.usefixtures("each_keccak")
def test_roots_and_all_proofs_are_openzeppelins(vector):
    leaves = [derived_leaf(i) for i in range(vector["count"])]
    tree = Tree(leaves)
    proofs = [tree.proof(owner) for owner, _ in leaves]
    assert "0x" + tree.root.hex() == vector["root"]
    joined = b"".join(node for proof in proofs for node in proof)
    assert hashlib.sha256(joined).hexdigest() == vector["proofs_sha256"]
    for (owner, amount), proof in zip(leaves, proofs, strict=True):
        assert verify(tree.root, owner, amount, proof)
    if "leaves" in vector:
        assert [["0x" + owner.hex(), str(amount)] for owner, amount in leaves] == vector["leaves"]
        assert [["0x" + node.hex() for node in proof] for proof in proofs] == vector["proofs"]


@pytest.mark.parametrize(
    "data, digest",
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    ],
)
@pytest.mark.usefixtures("each_keccak")
def test_keccak_is_not_sha3(data, digest):
    assert merkle.new_keccak(data).digest().hex() == digest


@given(st.binary(max_size=300))
def test_the_two_libraries_agree(data):
    chosen = pysha3_keccak or merkle.pycryptodome_keccak
    assert chosen(data).digest() == keccak.new(digest_bits=256, data=data).digest()


@given(leaf_sets, st.randoms(use_true_random=False))
def test_order_of_the_leaves_changes_no_root(leaves, random):
    shuffled = random.sample(leaves, len(leaves))
    assert Tree(shuffled).root == Tree(leaves).root


@given(leaf_sets, st.data())
def test_a_proof_proves_nothing_else(leaves, data):
    tree = Tree(leaves)
    owner, amount = data.draw(st.sampled_from(leaves))
    proof = tree.proof(owner)
    assert verify(tree.root, owner, amount, proof)
    other_amount = data.draw(amounts.filter(lambda other: other != amount))
    assert not verify(tree.root, owner, other_amount, proof)
    other_owner = data.draw(owners.filter(lambda other: other != owner))
    assert not verify(tree.root, other_owner, amount, proof)
    assert not verify(tree.root, owner, amount, [*proof, bytes(32)])
    if proof:
        assert not verify(tree.root, owner, amount, proof[:-1])


@given(st.binary(max_size=40), st.binary(max_size=24), st.integers(), st.lists(st.binary()))
def test_hostile_proofs_are_false(root, owner, amount, proof):
    assert not verify(root, owner, amount, proof)


def test_an_inner_node_is_no_leaf():
    tree = Tree([derived_leaf(i) for i in range(4)])
    inner = tree.nodes[1] + tree.nodes[2]
    assert not verify(tree.root, inner[12:32], int.from_bytes(inner[32:], "big"), [])


def test_a_tree_without_leaves():
    tree = Tree([])
    assert tree.root == EMPTY_ROOT == bytes(32)
    assert tree.nodes == []
    assert not verify(tree.root, bytes(20), 0, [])


def test_an_owner_given_twice_is_a_bug():
    with pytest.raises(ValueError, match="twice"):
        Tree([(bytes(20), 1), (bytes(20), 2)])


@pytest.mark.parametrize("owner, amount", [(bytes(19), 1), (bytes(20), -1), (bytes(20), 2**256)])
def test_what_has_no_encoding_has_no_leaf(owner, amount):
    with pytest.raises(ValueError, match="no leaf"):
        leaf_hashes([(owner, amount)])


def test_a_stranger_has_no_proof():
    with pytest.raises(KeyError):
        Tree([(bytes(20), 1)]).proof(b"\1" * 20)
