"""The Merkle root over message ids: protocol section 10.4, the tree shape of RFC 9162."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

EMPTY_ROOT = bytes(32)


def message_root(message_ids: Iterable[bytes]) -> bytes:
    """Return the root over the set of `message_ids`; 32 zero bytes if there are none.

    Leaves are SHA-256(0x00 || id) in ascending order of id, nodes SHA-256(0x01 || left || right);
    an odd node is promoted.
    """
    sha256 = hashlib.sha256
    level = [sha256(b"\x00" + leaf).digest() for leaf in sorted(set(message_ids))]
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha256(b"\x01" + left + right).digest() for left, right in pairs] + odd
    return level[0]
