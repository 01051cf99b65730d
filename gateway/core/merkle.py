"""OpenZeppelin `standard-v1` Merkle trees over (owner, amount). spec/rewards.md section 7.

Same roots, proofs and node order as npm @openzeppelin/merkle-tree 1.0.8 with the leaf encoding
["address", "uint256"]. It knows nothing of epochs or files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from Crypto.Hash import keccak

try:
    from sha3 import keccak_256
except ImportError:
    keccak_256 = None

OWNER_BYTES = 20
HASH_BYTES = 32
EMPTY_ROOT = bytes(HASH_BYTES)
# A tree of 2**64 owners cannot exist; longer proofs are noise.
PROOF_NODES_MAX = 64
_AMOUNT_END = 1 << 256
_ADDRESS_PAD = bytes(12)


class Digest(Protocol):
    """A hash object as both libraries make it."""

    def digest(self) -> bytes: ...


NewKeccak = Callable[[bytes], Digest]


def pycryptodome_keccak(data: bytes) -> Digest:
    """Keccak-256 over `data` by pycryptodome: everywhere, about a third as fast as safe-pysha3."""
    return keccak.new(digest_bits=256, data=data)


# The constructor of safe-pysha3, or None where it has no wheels: it has them for Linux only.
pysha3_keccak: NewKeccak | None = keccak_256
# The constructor itself, not a function around it: a tree is three hashes a leaf and little else.
new_keccak: NewKeccak = pysha3_keccak or pycryptodome_keccak


def leaf_hashes(leaves: Iterable[tuple[bytes, int]]) -> list[bytes]:
    """Return the leaf of each (owner, amount): keccak twice over their ABI encoding.

    An owner that is not 20 bytes or an amount outside uint256 is a caller's bug: ValueError.
    """
    new = new_keccak
    hashes = []
    for owner, amount in leaves:
        if len(owner) != OWNER_BYTES or not 0 <= amount < _AMOUNT_END:
            raise ValueError(f"no leaf: owner {owner.hex()}, amount {amount}")
        inner = new(_ADDRESS_PAD + owner + amount.to_bytes(HASH_BYTES, "big")).digest()
        hashes.append(new(inner).digest())
    return hashes


class Tree:
    """The tree over `leaves`, pairs of a 20-byte owner and an amount; each owner once.

    amounts: amount by owner; nodes: 2n - 1 hashes, root first; index: owner's place in nodes.
    """

    def __init__(self, leaves: Iterable[tuple[bytes, int]]) -> None:
        rows = list(leaves)
        self.amounts = dict(rows)
        if len(self.amounts) != len(rows):
            raise ValueError("an owner is given twice")
        hashes = leaf_hashes(rows)
        order = sorted(range(len(rows)), key=hashes.__getitem__, reverse=True)
        self.index = {rows[row][0]: at for at, row in enumerate(order, max(len(rows) - 1, 0))}
        self.nodes = _nodes([hashes[row] for row in order])

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
    if len(owner) != OWNER_BYTES or not 0 <= amount < _AMOUNT_END:
        return False
    (node,) = leaf_hashes([(owner, amount)])
    for sibling in proof:
        if len(sibling) != HASH_BYTES:
            return False
        node = new_keccak(node + sibling if node < sibling else sibling + node).digest()
    return node == root


def _nodes(leaves: list[bytes]) -> list[bytes]:
    """Return the 2n - 1 nodes, root first, over leaves in the order they have at the end."""
    new = new_keccak
    done = len(leaves) - 1
    nodes = [b""] * done + leaves
    # All nodes behind `done` are there, so every parent from done // 2 on can be made at once.
    while done > 0:
        first = done // 2
        lefts, rights = (
            nodes[2 * first + 1 : 2 * done : 2],
            nodes[2 * first + 2 : 2 * done + 1 : 2],
        )
        nodes[first:done] = [
            new(left + right if left < right else right + left).digest()
            for left, right in zip(lefts, rights, strict=True)
        ]
        done = first
    return nodes
