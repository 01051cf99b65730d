"""Claim documents: what an owner shows to be paid, and how anybody checks one.

spec/rewards.md section 7. It knows trees and epochs' names, not how the amounts came about, and
performs no I/O.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from gateway.core.merkle import PROOF_NODES_MAX, Tree, verify

FORMAT = "cairn-claim-1"
_KEYS = {"format", "epoch", "owner", "amount", "proof", "root", "manifest"}
_EPOCH_MAX = 2**63 - 1
_HASH = re.compile(r"0x[0-9a-f]{64}")
_OWNER = re.compile(r"0x[0-9a-f]{40}")
_AMOUNT = re.compile(r"0|[1-9][0-9]{0,77}")


class ClaimVerdict(StrEnum):
    """What a claim document is worth against a root that the verifier trusts."""

    VALID = "valid"
    MALFORMED = "malformed"
    OTHER_ROOT = "other_root"
    NOT_IN_TREE = "not_in_tree"


def build_claim(tree: Tree, owner: bytes, epoch: int, manifest_hash: bytes) -> dict[str, Any]:
    """Return the JSON-able claim of `owner` (20 bytes); KeyError if the tree lacks the owner.

    amount: cumulative base units up to and including `epoch`, as a decimal string.
    """
    return {
        "format": FORMAT,
        "epoch": epoch,
        "owner": _hex(owner),
        "amount": str(tree.amounts[owner]),
        "proof": [_hex(sibling) for sibling in tree.proof(owner)],
        "root": _hex(tree.root),
        "manifest": _hex(manifest_hash),
    }


def verify_claim(document: object, root: bytes) -> ClaimVerdict:
    """Check a parsed claim document, from whatever source, against a trusted payout root.

    epoch and manifest say where the root was published; the root alone decides.
    """
    if not isinstance(document, dict) or not _is_well_formed(document):
        return ClaimVerdict.MALFORMED
    if document["root"] != _hex(root):
        return ClaimVerdict.OTHER_ROOT
    owner = bytes.fromhex(document["owner"][2:])
    proof = [bytes.fromhex(sibling[2:]) for sibling in document["proof"]]
    proved = verify(root, owner, int(document["amount"]), proof)
    return ClaimVerdict.VALID if proved else ClaimVerdict.NOT_IN_TREE


def tree_dump(tree: Tree) -> dict[str, Any]:
    """Return the tree as `StandardMerkleTree.load` of @openzeppelin/merkle-tree reads it."""
    return {
        "format": "standard-v1",
        "leafEncoding": ["address", "uint256"],
        "tree": [_hex(node) for node in tree.nodes],
        "values": [
            {"value": [_hex(owner), str(amount)], "treeIndex": tree.index[owner]}
            for owner, amount in tree.amounts.items()
        ],
    }


def _is_well_formed(document: dict[Any, Any]) -> bool:
    epoch, proof = document.get("epoch"), document.get("proof")
    return (
        document.keys() == _KEYS
        and document["format"] == FORMAT
        and type(epoch) is int
        and 0 <= epoch <= _EPOCH_MAX
        and _matches(_OWNER, document["owner"])
        and _matches(_AMOUNT, document["amount"])
        and _matches(_HASH, document["root"])
        and _matches(_HASH, document["manifest"])
        and isinstance(proof, list)
        and len(proof) <= PROOF_NODES_MAX
        and all(_matches(_HASH, sibling) for sibling in proof)
    )


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
