"""A station that signs what a test tells it to: sequence and chain kept, nothing else."""

import hashlib

from nacl.signing import SigningKey

from gateway.core.cbor_profile import encode
from gateway.core.cose import Role, sign1
from gateway.core.ids import device_id
from gateway.core.login import login_password
from gateway.core.model import Kind

CELL = 0x891F1D48947FFFF  # H3 resolution 9, in Berlin
TEMPERATURE = 0
INTERVAL_MS = 300_000


class SigningStation:
    """Knows its key, its network, and the last message that it signed."""

    def __init__(self, number: int, network_id: bytes, cell: int = CELL) -> None:
        self._key = SigningKey(hashlib.sha256(f"station {number}".encode()).digest())
        self.public_key = bytes(self._key.verify_key)
        self.device = device_id(self.public_key)
        self._network_id = network_id
        self._cell = cell
        self.seq = 0
        self._prev = bytes(16)

    def message(self, kind: Kind, time_ms: int, body: list[object], source: int = 5) -> bytes:
        """Sign the next message."""
        self.seq += 1
        payload = encode(
            [16, kind.value, 1, self.seq, self._prev, time_ms, [source, 0], body],
        )
        data, message_id = sign1(
            lambda tbs: self._key.sign(tbs).signature,
            self.device,
            self._network_id,
            Role.DEVICE,
            payload,
        )
        self._prev = message_id[:16]
        return data

    def hello(self, time_ms: int, firmware: str = "test") -> bytes:
        declared = [[TEMPERATURE, 0, INTERVAL_MS]]
        body = [self.public_key, firmware, declared, [0, 0, 0], bytes(32), self._cell, None]
        return self.message(Kind.HELLO, time_ms, body)

    def claim(self, time_ms: int, owner: bytes) -> bytes:
        return self.message(Kind.CLAIM, time_ms, [owner, 0, None])

    def reading(self, time_ms: int, value: int) -> bytes:
        """One sample, taken now, in hundredths of a degree."""
        return self.message(Kind.READINGS, time_ms, [0, [], [[TEMPERATURE, 0, -2, [value]]]])

    def login(self, counter: int) -> str:
        """The password of a login with this counter."""
        return login_password(
            lambda tbs: self._key.sign(tbs).signature,
            self.public_key,
            self._network_id,
            counter,
            counter.to_bytes(8, "big"),
        )
