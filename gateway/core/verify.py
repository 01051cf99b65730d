"""The two questions that we ask Ed25519: is this signature valid, and may this key be used.

The rule is ZIP 215 (spec/protocol.md section 2.6, https://zips.z.cash/zip-0215), under which
single and batch verification agree.
"""

from __future__ import annotations

import ed25519_zebra
from nacl.bindings import crypto_core_ed25519_is_valid_point

PUBLIC_KEY_BYTES = 32


def signature_valid(public_key: bytes, signature: bytes, to_be_signed: bytes) -> bool:
    """Say whether the signature is valid under ZIP 215; wrong lengths and bad points are not."""
    return bool(ed25519_zebra.ed_verify(signature, to_be_signed, public_key))


def key_acceptable(public_key: bytes) -> bool:
    """Say whether a key is canonical, on the curve, of prime order and not the identity.

    Asked once, where a key becomes known: ZIP 215 verifies anything under a small-order key.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        return False
    return bool(crypto_core_ed25519_is_valid_point(public_key))
