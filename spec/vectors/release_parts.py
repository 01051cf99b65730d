"""What the cases of releases are made of: trust documents, manifests, bundles, one file a case."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from craft import Key, cbor
from signing import NETWORK, ROOT, protected, sig_structure, sign1

# In ascending order of their kids, as they stand in a bundle.
SIGNERS = sorted([Key(f"release {number}") for number in range(9)], key=lambda key: key.kid)
ALICE, BOB, CAROL = SIGNERS[:3]
ARCHITECTURE = "rv32imc"
COUNTER = 7
TRUST_SERIAL = 3
INT_LIMIT = 2**53


class ReleaseCase:
    """One file, with the fields as they are given."""

    def __init__(self, folder: str, name: str, fields: dict[str, Any]) -> None:
        self.folder = folder
        self.name = name
        self.fields = fields

    def write(self, root: Path) -> None:
        """Write `root`/`folder`/`name`.json."""
        folder = root / self.folder
        folder.mkdir(parents=True, exist_ok=True)
        lines = (
            f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in self.fields.items()
        )
        text = "{\n" + ",\n".join(lines) + "\n}\n"
        (folder / f"{self.name}.json").write_text(text, encoding="utf-8")


def file(name: str, size: int = 1_000) -> list[Any]:
    return [name, size, sha256(name.encode()).digest()]


FILES = [file("application.mpy", 90_000), file("cairn/boards/base.mpy"), file("console.mpy")]


def trust(**changed: Any) -> list[Any]:
    """The payload of a trust document, some of it changed."""
    fields = {
        "version": 16,
        "text": "release-keys",
        "serial": TRUST_SERIAL,
        "threshold": 2,
        "keys": [ALICE.public, BOB.public],
    }
    return list((fields | changed).values())


def manifest(**changed: Any) -> list[Any]:
    """A manifest's payload, some of it changed."""
    fields = {
        "version": 16,
        "counter": COUNTER,
        "text": "0.2.0",
        "architecture": ARCHITECTURE,
        "files": FILES,
    }
    return list((fields | changed).values())


def signature(key: Key, payload: bytes, role: str = "release", network: bytes = NETWORK) -> Any:
    """[kid, signature] of one signer."""
    message = sig_structure(protected(key.kid), payload, role, network)
    return [key.kid, key.sign(message)]


def bundle(
    trusted: Any = None,
    release: Any = None,
    keys: tuple[Key, ...] = (ALICE, BOB),
    rows: Callable[[bytes], list[Any]] | None = None,
) -> bytes:
    """A bundle of these parts. rows: makes the signatures in place of `keys`."""
    signed_trust = trusted if isinstance(trusted, bytes) else signed(trusted or trust())
    payload = cbor(manifest() if release is None else release)
    made = [signature(key, payload) for key in keys] if rows is None else rows(payload)
    return cbor([signed_trust, payload, made])


def signed(payload: list[Any]) -> bytes:
    return sign1(cbor(payload), ROOT, "root")


def ok(
    name: str, comment: str, data: bytes, release: list[Any], keys: tuple[Key, ...], **more: Any
) -> ReleaseCase:
    """A bundle that is taken. more: threshold, serial, and what the board is."""
    content = {
        "counter": release[1],
        "version": release[2],
        "serial": more.pop("serial", TRUST_SERIAL),
        "threshold": len(keys),
        "signers": [key.kid.hex() for key in keys],
        "files": [[entry[0], entry[1], entry[2].hex()] for entry in release[4]],
    }
    return case(name, comment, data, "ok", **more, **content)


def case(name: str, comment: str, data: bytes, expect: str, **more: Any) -> ReleaseCase:
    fields = {
        "comment": comment,
        "network_id": NETWORK.hex(),
        "root_key": ROOT.public.hex(),
        "architecture": ARCHITECTURE,
        "running": 6,
        "confirmed": 6,
        "trust_serial": TRUST_SERIAL,
        "bytes": data.hex(),
        "expect": expect,
    }
    return ReleaseCase("release_bundle", name, fields | more)


def bad(name: str, comment: str, data: bytes, expect: str = "malformed") -> ReleaseCase:
    return case(name, comment, data, expect)


def many(count: int) -> list[Any]:
    names = ["application.mpy", *(f"b{number:02}.mpy" for number in range(1, count))]
    return [file(name) for name in names]
