"""OpenZeppelin `standard-v1` Merkle trees over (owner, amount). spec/rewards.md section 7.

Same roots, proofs and node order as npm @openzeppelin/merkle-tree 1.0.8 with the leaf encoding
["address", "uint256"]. It knows nothing of epochs or files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module

from Crypto.Hash import keccak as pycryptodome_keccak

OWNER_BYTES = 20
HASH_BYTES = 32
EMPTY_ROOT = bytes(HASH_BYTES)
# A tree of 2**64 owners cannot exist; longer proofs are noise.
PROOF_NODES_MAX = 64
_AMOUNT_BITS = 256
_ADDRESS_PAD = bytes(12)

Keccak = Callable[[bytes], bytes]


def pycryptodome_keccak256(data: bytes) -> bytes:
    """Keccak-256 by pycryptodome: everywhere, about a third as fast as safe-pysha3."""
    return pycryptodome_keccak.new(digest_bits=256, data=data).digest()


def pysha3_keccak256() -> Keccak | None:
    """Return Keccak-256 by safe-pysha3, which has wheels for Linux only, or None without it."""
    try:
        new = import_module("sha3").keccak_256
    except ImportError:
        return None

    def keccak256(data: bytes) -> bytes:
        digest: bytes = new(data).digest()
        return digest

    return keccak256


keccak256: Keccak = pysha3_keccak256() or pycryptodome_keccak256


def leaf_hash(owner: bytes, amount: int) -> bytes:
    """Return the leaf of (owner, amount): keccak twice over their ABI encoding.

    An owner that is not 20 bytes or an amount outside uint256 is a caller's bug: ValueError.
    """
    if len(owner) != OWNER_BYTES or not 0 <= amount < 1 << _AMOUNT_BITS:
        raise ValueError(f"no leaf: owner {owner.hex()}, amount {amount}")
    return keccak256(keccak256(_ADDRESS_PAD + owner + amount.to_bytes(HASH_BYTES, "big")))


class Tree:
    """The tree over `leaves`, pairs of a 20-byte owner and an amount; each owner once."""

    def __init__(self, leaves: Iterable[tuple[bytes, int]]) -> None:
        self.amounts = dict(rows := list(leaves))
        if len(self.amounts) != len(rows):
            raise ValueError("an owner is given twice")
        hashed = sorted([(leaf_hash(owner, amount), owner) for owner, amount in rows])
        size = max(2 * len(hashed) - 1, 0)
        self.index = {owner: size - 1 - rank for rank, (_, owner) in enumerate(hashed)}
        self.nodes = _nodes([leaf for leaf, _ in hashed])

    @property
    def root(self) -> bytes:
        """The root; 32 zero bytes of a tree without leaves."""
        return self.nodes[0] if self.nodes else EMPTY_ROOT

    def proof(self, owner: bytes) -> list[bytes]:
        """Return the siblings from the owner's leaf upwards; KeyError for a stranger."""
        position, siblings = self.index[owner], []
        while position:
            siblings.append(self.nodes[position + 1 if position % 2 else position - 1])
            position = (position - 1) // 2
        return siblings


def verify(root: bytes, owner: bytes, amount: int, proof: Sequence[bytes]) -> bool:
    """Say whether `proof` leads from (owner, amount) to `root`; any input, never an exception."""
    if len(root) != HASH_BYTES or root == EMPTY_ROOT or len(proof) > PROOF_NODES_MAX:
        return False
    if len(owner) != OWNER_BYTES or not 0 <= amount < 1 << _AMOUNT_BITS:
        return False
    node = leaf_hash(owner, amount)
    for sibling in proof:
        if len(sibling) != HASH_BYTES:
            return False
        node = keccak256(node + sibling if node < sibling else sibling + node)
    return node == root


def _nodes(leaves: list[bytes]) -> list[bytes]:
    """Return the 2n - 1 nodes, root first, over leaves that are sorted ascending."""
    count = len(leaves)
    nodes = [b""] * (count - 1) + leaves[::-1]
    hash_pair = keccak256
    for parent in range(count - 2, -1, -1):
        left, right = nodes[2 * parent + 1], nodes[2 * parent + 2]
        nodes[parent] = hash_pair(left + right if left < right else right + left)
    return nodes
