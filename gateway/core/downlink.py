"""What the gateway sends, role `gateway` (protocol section 7): payloads, and where they go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gateway.core.cbor_profile import encode
from gateway.core.model import Kind
from gateway.core.receipts import ReceiptBody
from gateway.core.wire import VERSION

TO_ALL = b""
# Tells its reader what happened just now; to whoever subscribes later it would be a lie.
_NOTICE = "notice"
ENTROPY = "entropy"
RELEASE = "release"


class Downlink(NamedTuple):
    """Bytes for one device (topic `<device>/down/<tail>`), or for all (b"": `all/<tail>`).

    They are signed, but for the entropy link, which its chain proves.
    """

    device: bytes
    tail: str
    data: bytes

    @property
    def retained(self) -> bool:
        """Is the newest one kept for whoever subscribes later?"""
        return self.tail != _NOTICE

    @property
    def qos(self) -> int:
        """A link that comes late is worth nothing, so nobody waits for its acknowledgement."""
        return 0 if self.tail == ENTROPY else 1


def downlink_payload(
    kind: Kind, to: bytes, key_serial: int, time_ms: int, body: list[Any]
) -> bytes:
    """Payload of any gateway kind; `to` is a device id or TO_ALL, key_serial the signing key's."""
    return encode([VERSION, kind.value, to, key_serial, time_ms, body])


def time_body(nonce: bytes) -> list[Any]:
    """Answer to a nonce of 16 bytes; the time itself is the payload's time_ms."""
    return [nonce]


def receipt_body(receipt: ReceiptBody) -> list[Any]:
    return list(receipt)


def keys_body(statements: Sequence[bytes]) -> list[Any]:
    """Key statements, each the exact bytes of its COSE_Sign1."""
    return list(statements)


def entropy_commit_body(chain_end: bytes, first_slot: int, slots: int) -> list[Any]:
    return [chain_end, first_slot, slots]


def entropy_commit_tail(day: int) -> str:
    """Today's and tomorrow's commits are retained side by side."""
    return f"entropy-commit/{day % 2}"


def entropy_link(slot: int, chain: bytes, external: bytes) -> Downlink:
    """The entropy of a slot, for all: the value of its day's chain, and what is mixed in."""
    return Downlink(TO_ALL, ENTROPY, encode([slot, chain, external]))


def config_request_body(config_id: bytes, settings: Sequence[tuple[str, Any]]) -> list[Any]:
    return [config_id, [list(setting) for setting in settings]]


def tick_body(slot: int) -> list[Any]:
    return [slot]


def release_body(index_hash: bytes, counter: int) -> list[Any]:
    """The release that boards should run; 32 zero bytes and 0: none."""
    return [index_hash, counter]


def notice_body(code: int, text: str, detail: bytes) -> list[Any]:
    return [code, text, detail]
