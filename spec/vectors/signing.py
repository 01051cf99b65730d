"""COSE_Sign1 messages of the vectors, right and wrong ones, and what a case file holds."""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from craft import Key, Raw, cbor, diagnostic

DEVICE = Key("device")
STRANGER = Key("stranger")
ROOT = Key("root")
GATEWAY = Key("gateway")
OPERATOR = Key("operator")
OWNER = Key("owner")

DAY = 20_775
DAY_MS = 86_400_000
NOON_MS = DAY * DAY_MS + DAY_MS // 2
GENESIS = [1, "vectors", ROOT.public, 20_700 * DAY_MS, sha256(b"rules").digest(), 1]
NETWORK = sha256(cbor(GENESIS)).digest()[:8]
PREV = sha256(b"the message before").digest()[:16]
FIRST = bytes(16)


@dataclass
class Case:
    """One file. registered: the device's key is known before the message comes."""

    folder: str
    name: str
    comment: str
    data: bytes
    expect: str
    key: Key = field(default_factory=lambda: DEVICE)
    role: str = "device"
    device: bytes | None = None
    registered: bool = True
    extra: dict[str, Any] = field(default_factory=dict)

    def write(self, root: Path) -> None:
        device = self.key.kid if self.device is None else self.device
        fields = {
            "comment": self.comment,
            "network_id": NETWORK.hex(),
            "role": self.role,
            "public_key": self.key.public.hex(),
            "device": device.hex(),
            "registered": self.registered,
            "bytes": self.data.hex(),
            "expect": self.expect,
            **self.extra,
        }
        folder = root / self.folder
        folder.mkdir(parents=True, exist_ok=True)
        lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items())
        text = "{\n" + ",\n".join(lines) + "\n}\n"
        (folder / f"{self.name}.json").write_text(text)


def protected(kid: bytes) -> bytes:
    return cbor({1: -8, 4: kid})


def sig_structure(header: bytes, payload: bytes, role: str, network: bytes = NETWORK) -> bytes:
    aad = cbor(["cairn", 1, network, role])
    return cbor(["Signature1", header, aad, payload])


def sign1(payload: bytes, key: Key = DEVICE, role: str = "device") -> bytes:
    """A message that is right in all but, perhaps, its payload."""
    return crooked(payload, key, role)


def crooked(
    payload: bytes,
    key: Key = DEVICE,
    role: str = "device",
    *,
    network: bytes = NETWORK,
    header: bytes | None = None,
    signature: bytes | None = None,
    **parts: Any,
) -> bytes:
    """A message with some parts replaced, validly signed unless the signature is one of them.

    parts: tag, header_item, unprotected, payload_item, more (items behind the fourth).
    """
    header = protected(key.kid) if header is None else header
    if signature is None:
        signature = key.sign(sig_structure(header, payload, role, network))
    items = [
        parts.get("header_item", header),
        parts.get("unprotected", {}),
        parts.get("payload_item", payload),
        signature,
        *parts.get("more", []),
    ]
    return parts.get("tag", b"\xd2") + cbor(items)


def message(body: Any, kind: int = 1, **changed: Any) -> list[Any]:
    """The eight payload fields, some of them changed."""
    fields = {
        "version": 16,
        "kind": kind,
        "boot": 3,
        "seq": 42,
        "prev": PREV,
        "time_ms": NOON_MS,
        "time_quality": [1, 40],
        "body": body,
    }
    return list((fields | changed).values())


def valid(
    folder: str,
    name: str,
    comment: str,
    fields: list[Any],
    *,
    expect: str = "ok",
    registered: bool = True,
    values: dict[str, Any] | None = None,
) -> Case:
    """A device message that is admitted, with all that a reader can compare."""
    payload = cbor(fields)
    extra = content(fields, DEVICE, "device") | (values or {})
    return Case(folder, name, comment, sign1(payload), expect, registered=registered, extra=extra)


def signed(
    folder: str, name: str, fields: list[Any], key: Key, role: str, *, comment: str = ""
) -> Case:
    """A message of another role that is in order."""
    extra = content(fields, key, role)
    return Case(
        folder, name, comment, sign1(cbor(fields), key, role), "ok", key, role, extra=extra
    )


def content(fields: list[Any], key: Key, role: str) -> dict[str, str]:
    """The seed, so that anyone can sign it again; the payload; the message id."""
    to_be_signed = sig_structure(protected(key.kid), cbor(fields), role)
    return {
        "seed": key.seed.hex(),
        "payload": diagnostic(fields),
        "message_id": sha256(to_be_signed).hexdigest(),
    }


def bad(name: str, comment: str, data: bytes, expect: str, **more: Any) -> Case:
    return Case("invalid", name, comment, data, expect, **more)


def bad_payload(name: str, comment: str, payload: Any, expect: str) -> Case:
    """A validly signed message whose payload is wrong; payload: value, or Raw bytes."""
    return bad(name, comment, sign1(cbor(payload)), expect)


def raw(text: str) -> Raw:
    return Raw(bytes.fromhex(text))
