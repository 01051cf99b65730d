"""Bundles that are refused for their form alone: sizes, CBOR, shapes, names, orders."""

from typing import Any

from craft import Raw, cbor
from release_parts import (
    ALICE,
    BOB,
    FILES,
    INT_LIMIT,
    SIGNERS,
    ReleaseCase,
    bad,
    bundle,
    file,
    manifest,
    many,
    signature,
    signed,
    trust,
)
from signing import NOON_MS


def cases() -> list[ReleaseCase]:
    """Everything malformed."""
    return [*_bundles(), *_trusts(), *_manifests()]


def _bundles() -> list[ReleaseCase]:
    good = bundle()
    payload = cbor(manifest())
    parts = [signed(trust()), payload, [signature(ALICE, payload), signature(BOB, payload)]]
    long_names = [file("application.mpy"), *(file(f"b{n:02}{'x' * 45}") for n in range(1, 64))]
    large = bundle(
        trust(threshold=8, keys=[key.public for key in SIGNERS[:8]]),
        manifest(files=long_names),
        keys=tuple(SIGNERS[:8]),
    )
    return [
        bad("empty", "", b""),
        bad("truncated", "the last byte is missing", good[:-1]),
        bad("trailing", "one byte too many", good + b"\x00"),
        bad("map", "", cbor({1: parts})),
        bad("two-parts", "", cbor(parts[:2])),
        bad("four-parts", "", cbor([*parts, None])),
        bad("indefinite", "an array without a length", b"\x9f" + good[1:] + b"\xff"),
        bad("long-head", "a length that is not in its shortest form", b"\x98\x03" + good[1:]),
        bad("too-large", "8,193 bytes", _padded_to(large, 8_193)),
        bad("trust-as-text", "a text in place of the trust's bytes", cbor(["x", *parts[1:]])),
        bad("manifest-array", "the manifest not as bytes", cbor([parts[0], manifest(), parts[2]])),
        bad("signatures-null", "", cbor([*parts[:2], None])),
        bad("signatures-descending", "", bundle(keys=(BOB, ALICE))),
        bad("signature-twice", "one key cannot sign twice", bundle(keys=(ALICE, ALICE))),
        bad("signature-nine", "", bundle(keys=tuple(SIGNERS))),
        bad("signature-short", "", bundle(rows=lambda _: [[ALICE.kid, bytes(63)]])),
        bad("signature-kid-short", "", bundle(rows=lambda _: [[ALICE.kid[:15], bytes(64)]])),
        bad("signature-three", "", bundle(rows=lambda p: [[*signature(ALICE, p), 0]])),
    ]


def _padded_to(data: bytes, size: int) -> bytes:
    """Behind the end: too large is seen before anything else is."""
    return data + bytes(max(size - len(data), 0))


def _trusts() -> list[ReleaseCase]:
    keys = [key.public for key in SIGNERS]
    stated = [16, "release", ALICE.public, 1, NOON_MS, NOON_MS + 1]
    changes: dict[str, dict[str, Any]] = {
        "version": {"version": 17},
        "text": {"text": "release-key"},
        "serial-zero": {"serial": 0},
        "serial-large": {"serial": INT_LIMIT},
        "serial-true": {"serial": Raw(b"\xf5")},
        "threshold-zero": {"threshold": 0},
        "threshold-above": {"threshold": 3},
        "threshold-float": {"threshold": Raw(b"\xf9\x40\x00")},
        "no-keys": {"threshold": 1, "keys": []},
        "nine-keys": {"keys": keys},
        "key-twice": {"keys": [ALICE.public, ALICE.public]},
        "key-short": {"keys": [ALICE.public, BOB.public[:31]]},
        "keys-null": {"keys": None},
    }
    return [
        *(bad(f"trust-{name}", "", bundle(trust(**changed))) for name, changed in changes.items()),
        bad("trust-statement", "a key statement, which the root signs too", bundle(stated)),
        bad("trust-longer", "", bundle([*trust(), 0])),
        bad("trust-no-envelope", "its payload, unsigned", bundle(cbor(trust()))),
    ]


def _manifests() -> list[ReleaseCase]:
    changes: dict[str, dict[str, Any]] = {
        "version": {"version": 32},
        "counter-zero": {"counter": 0},
        "counter-large": {"counter": INT_LIMIT},
        "counter-true": {"counter": Raw(b"\xf5")},
        "text-empty": {"text": ""},
        "text-long": {"text": "v" * 33},
        "text-line": {"text": "0.2\n"},
        "text-foreign": {"text": "0.2\N{GREEK SMALL LETTER BETA}"},
        "text-bytes": {"text": b"0.2"},
        "architecture-empty": {"architecture": ""},
        "architecture-upper": {"architecture": "RV32"},
        "architecture-index": {"architecture": "index"},
        "architecture-long": {"architecture": "a" * 17},
        "files-none": {"files": []},
        "files-97": {"files": many(97)},
        "files-map": {"files": {1: FILES[0]}},
        "no-program": {"files": FILES[1:]},
    }
    names: dict[str, str] = {
        "empty": "",
        "absolute": "/b",
        "folder": "b/",
        "empty-part": "b//c",
        "dot": "b/./c",
        "up": "b/../../main.py",
        "space": "b c",
        "foreign": "b\N{LATIN SMALL LETTER E WITH ACUTE}",
        "zero": "b\x00",
        "long": "b" * 49,
        "release": "release",
        "main": "main.py",
        "backslash": "b\\c",
    }
    files: dict[str, list[Any]] = {
        "descending": [file("b"), file("application.mpy")],
        "twice": [file("application.mpy"), file("application.mpy")],
        "size-large": [file("application.mpy", 262_145)],
        "size-negative": [["application.mpy", -1, bytes(32)]],
        "size-null": [["application.mpy", None, bytes(32)]],
        "hash-short": [["application.mpy", 1, bytes(31)]],
        "hash-text": [["application.mpy", 1, "0" * 32]],
        "longer": [[*file("application.mpy"), 0]],
    }
    made = {name: manifest(**changed) for name, changed in changes.items()}
    for name, text in names.items():
        made[f"name-{name}"] = manifest(files=sorted([file("application.mpy"), file(text)]))
    for name, rows in files.items():
        made[f"file-{name}"] = manifest(files=rows)
    made["longer"] = [*manifest(), None]
    return [
        *(bad(f"manifest-{name}", "", bundle(None, release)) for name, release in made.items()),
        bad("manifest-trailing", "", bundle(None, Raw(cbor(manifest()) + b"\x00"))),
        bad("manifest-array-head", "", bundle(None, Raw(b"\x98\x05" + cbor(manifest())[1:]))),
    ]
