"""What the gateway says under its key (protocol section 7): every downlink, signed.

It knows the key, its serial and the payloads; when something is to be said is decided elsewhere.
"""

from hashlib import sha256
from typing import Any

from gateway.core.cbor_profile import encode
from gateway.core.cose import ID16_BYTES, Role
from gateway.core.downlink import (
    RELEASE,
    TO_ALL,
    Downlink,
    downlink_payload,
    entropy_commit_body,
    keys_body,
    notice_body,
    receipt_body,
    release_body,
    tick_body,
    time_body,
)
from gateway.core.model import Kind
from gateway.core.receipts import ReceiptBody
from gateway.core.verdicts import Verdict
from gateway.shell.network import NetworkKeys, sign_with

REFUSAL_CODE = 2


class Voice:
    """Signs with the gateway key of a network; serial is that of the key's statement."""

    def __init__(self, keys: NetworkKeys, serial: int) -> None:
        self._keys = keys
        self._serial = serial

    def receipt(self, device: bytes, body: ReceiptBody) -> Downlink:
        data = self._signed(Kind.RECEIPT, device, body.gateway_ms, receipt_body(body))
        return Downlink(device, "receipt", data)

    def keys(self, time_ms: int) -> Downlink:
        """The key statements, for all."""
        body = keys_body(self._keys.statements)
        return Downlink(TO_ALL, "keys", self._signed(Kind.KEYS, TO_ALL, time_ms, body))

    def tick(self, slot: int, time_ms: int) -> Downlink:
        """A slot of the driven clock begins."""
        return Downlink(TO_ALL, "tick", self._signed(Kind.TICK, TO_ALL, time_ms, tick_body(slot)))

    def entropy_commit(self, chain_end: bytes, first_slot: int, slots: int, time_ms: int) -> bytes:
        """The commitment to a day's chain, as bytes: they are kept, and said again as they are."""
        body = entropy_commit_body(chain_end, first_slot, slots)
        return self._signed(Kind.ENTROPY_COMMIT, TO_ALL, time_ms, body)

    def release(self, index_hash: bytes, counter: int, time_ms: int) -> Downlink:
        """Which release boards should run; 32 zero bytes and 0: none."""
        body = release_body(index_hash, counter)
        return Downlink(TO_ALL, RELEASE, self._signed(Kind.RELEASE, TO_ALL, time_ms, body))

    def refusal(self, device: bytes, verdict: Verdict, data: bytes, time_ms: int) -> Downlink:
        """Tells a sender which of its messages (by the hash of its bytes) was refused, and why."""
        detail = sha256(data).digest()[:ID16_BYTES]
        body = notice_body(REFUSAL_CODE, verdict.name.lower(), detail)
        return Downlink(device, "notice", self._signed(Kind.NOTICE, device, time_ms, body))

    def notice(self, code: int, text: str, detail: bytes, time_ms: int) -> bytes:
        """A notice to all, as bytes: it goes into a bundle and not over the air."""
        return self._signed(Kind.NOTICE, TO_ALL, time_ms, notice_body(code, text, detail))

    def time(self, nonce: bytes, time_ms: int) -> bytes:
        """CBOR [key statement, time message], the answer to `GET /v1/time`."""
        message = self._signed(Kind.TIME, TO_ALL, time_ms, time_body(nonce))
        return encode([self._keys.statements[0], message])

    def _signed(self, kind: Kind, to: bytes, time_ms: int, body: list[Any]) -> bytes:
        payload = downlink_payload(kind, to, self._serial, time_ms, body)
        data, _ = sign_with(self._keys.gateway, self._keys.network_id, Role.GATEWAY, payload)
        return data
