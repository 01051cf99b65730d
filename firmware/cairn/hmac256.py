"""HMAC-SHA256 (RFC 2104) for one key and many messages; the board has no hmac module."""

from hashlib import sha256

_BLOCK_BYTES = 64


class Hmac256:
    """Keeps the two padded blocks of a key of at most 64 bytes."""

    def __init__(self, key: bytes) -> None:
        block = key + bytes(_BLOCK_BYTES - len(key))
        self._inner = bytes([byte ^ 0x36 for byte in block])
        self._outer = bytes([byte ^ 0x5C for byte in block])

    def digest(self, message: bytes) -> bytes:
        """32 bytes."""
        return sha256(self._outer + sha256(self._inner + message).digest()).digest()
