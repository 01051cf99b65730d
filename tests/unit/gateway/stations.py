"""A station for tests: signs what it is told to, right or wrong, and keeps a chain if asked."""

from hashlib import sha256

from nacl.signing import SigningKey

from gateway.core.cbor_profile import encode
from gateway.core.cose import Role, sign1
from gateway.core.ids import device_id
from gateway.core.model import DeviceMessage, Kind
from gateway.core.wire import decode

NETWORK = b"testnet!"
NOON_MS = 20_775 * 86_400_000 + 43_200_000
CELL = 0x8928308280FFFFF
READINGS = [0, [], [[1, 0, -2, [2_150]]]]


class Signer:
    def __init__(self, label="signer"):
        self._key = SigningKey(sha256(label.encode()).digest())
        self.public_key = bytes(self._key.verify_key)
        self.kid = device_id(self.public_key)

    def sign(self, data):
        return self._key.sign(data).signature

    def sign1(self, role, fields, network=NETWORK):
        return sign1(self.sign, self.kid, network, role, encode(fields))[0]


class Station(Signer):
    """`make` signs one message and goes on in seq and chain unless a field is given."""

    def __init__(self, label="station"):
        super().__init__(label)
        self.seq = 0
        self.prev = bytes(16)

    def make(self, kind, body, *, version=16, seq=None, prev=None, time_ms=NOON_MS):
        self.seq = self.seq + 1 if seq is None else seq
        fields = [
            version,
            int(kind),
            1,
            self.seq,
            self.prev if prev is None else prev,
            time_ms,
            [1, 40],
            body,
        ]
        data, message_id = sign1(self.sign, self.kid, NETWORK, Role.DEVICE, encode(fields))
        self.prev = message_id[:16]
        return data

    def hello(self, cell=CELL, **header):
        body = [
            self.public_key,
            "cairn",
            [[1, 0, 60_000]],
            [0, 0, 0],
            bytes(32),
            cell,
            None,
        ]
        return self.make(Kind.HELLO, body, **header)

    def readings(self, **header):
        return self.make(Kind.READINGS, READINGS, **header)

    def gap(self, first, last, *, count=0, reason=0, **header):
        return self.make(Kind.GAP, [first, last, count, reason], **header)


def message_of(data: bytes) -> DeviceMessage:
    return decode(data, NETWORK).message
