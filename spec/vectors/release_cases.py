"""Releases (protocol.md section 13): bundles that a board takes or refuses, indexes, hello texts.

Every refused case is wrong in one thing alone, and signed anew after it was made wrong.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import release_malformed
from craft import ORDER, Raw, cbor, compress, torsion_point
from release_parts import (
    ALICE,
    BOB,
    CAROL,
    COUNTER,
    INT_LIMIT,
    SIGNERS,
    TRUST_SERIAL,
    ReleaseCase,
    bad,
    bundle,
    case,
    file,
    manifest,
    many,
    ok,
    signature,
    trust,
)
from signing import GATEWAY, ROOT, STRANGER, sign1

_TRUST = "bad_trust"


def cases() -> list[ReleaseCase]:
    """Every case of the three folders."""
    return [
        *_taken(),
        *release_malformed.cases(),
        *_refused(),
        *_indexes(),
        *_shown(),
    ]


# ---- taken


def _taken() -> list[ReleaseCase]:
    both = (ALICE, BOB)
    plain = manifest()
    three = trust(keys=[ALICE.public, BOB.public, CAROL.public])
    edge = manifest(counter=INT_LIMIT - 1, text="~" * 32, files=many(96))
    least = manifest(text=" ", files=[file("application.mpy", 0)])
    largest = manifest(files=[file("application.mpy", 262_144), file("b/" + "n" * 46)])
    newer = trust(serial=INT_LIMIT - 1)
    eight = trust(threshold=8, keys=[key.public for key in SIGNERS[:8]])

    def behind(payload: bytes) -> list[Any]:
        spoiled = signature(CAROL, payload + b"!")
        return [signature(ALICE, payload), signature(BOB, payload), spoiled]

    def beside(payload: bytes) -> list[Any]:
        stranger = [STRANGER.kid, bytes(64)]
        return sorted([stranger, *(signature(key, payload) for key in both)])

    return [
        ok("two-of-two", "", bundle(), plain, both),
        ok("one-of-two", "", bundle(trust(threshold=1), keys=(BOB,)), plain, (BOB,)),
        ok("eight-of-eight", "", bundle(eight, keys=tuple(SIGNERS[:8])), plain, (*SIGNERS[:8],)),
        ok("edges", "96 files, the longest texts and numbers", bundle(None, edge), edge, both),
        ok("least", "one empty file, a version of one space", bundle(None, least), least, both),
        ok("largest-file", "and the longest name", bundle(None, largest), largest, both),
        ok(
            "newer-trust",
            "a higher serial than the board has kept",
            bundle(newer),
            plain,
            both,
            serial=INT_LIMIT - 1,
        ),
        ok("first", "a board that a cable flashed", bundle(), plain, both, running=0, confirmed=0),
        ok(
            "stranger-beside",
            "a signature that nobody trusts does not count",
            bundle(rows=beside),
            plain,
            both,
        ),
        ok(
            "behind-enough",
            "what stands behind enough valid signatures is not looked at",
            bundle(three, rows=behind),
            plain,
            both,
        ),
    ]


# ---- refused for what they say


def _refused() -> list[ReleaseCase]:
    document = cbor(trust())
    elsewhere = sign1(document, ROOT, "root")
    spoiled = elsewhere[:-1] + bytes([elsewhere[-1] ^ 1])
    weak = trust(keys=[ALICE.public, BOB.public, compress(torsion_point())])
    other = trust(keys=[ALICE.public, CAROL.public])

    def crooked(**how: Any) -> Callable[[bytes], list[Any]]:
        return lambda payload: [signature(ALICE, payload), signature(BOB, payload, **how)]

    def of_another(payload: bytes) -> list[Any]:
        newer = cbor(manifest(counter=COUNTER + 1))
        return [signature(ALICE, payload), signature(BOB, newer)]

    def large_s(payload: bytes) -> list[Any]:
        kid, made = signature(BOB, payload)
        s = int.from_bytes(made[32:], "little") + ORDER
        return [signature(ALICE, payload), [kid, made[:32] + s.to_bytes(32, "little")]]

    return [
        bad("trust-stranger", "another root", bundle(sign1(document, STRANGER, "root")), _TRUST),
        bad(
            "trust-gateway", "the gateway's key", bundle(sign1(document, GATEWAY, "root")), _TRUST
        ),
        bad(
            "trust-role",
            "signed for another role",
            bundle(sign1(document, ROOT, "gateway")),
            _TRUST,
        ),
        bad("trust-spoiled", "one bit of its signature", bundle(spoiled), _TRUST),
        bad("trust-weak-key", "a third key of order 8", bundle(weak), "weak_key"),
        bad("trust-older", "", bundle(trust(serial=TRUST_SERIAL - 1)), "trust_rolled_back"),
        bad(
            "architecture",
            "for another chip",
            bundle(None, manifest(architecture="xtensawin")),
            "other_architecture",
        ),
        case("counter-running", "", bundle(), "rolled_back", running=COUNTER, confirmed=0),
        case("counter-confirmed", "", bundle(), "rolled_back", running=0, confirmed=COUNTER),
        case("counter-lower", "", bundle(), "rolled_back", running=COUNTER + 1),
        bad("unsigned", "", bundle(keys=()), "too_few_signatures"),
        bad("one-of-two-needed", "", bundle(keys=(ALICE,)), "too_few_signatures"),
        bad("revoked", "Bob's key was replaced by Carol's", bundle(other), "too_few_signatures"),
        bad("stranger", "", bundle(rows=_with_stranger), "too_few_signatures"),
        bad("signature-role", "", bundle(rows=crooked(role="operator")), "bad_signature"),
        bad("signature-network", "", bundle(rows=crooked(network=bytes(8))), "bad_signature"),
        bad(
            "signature-of-another", "of a newer manifest", bundle(rows=of_another), "bad_signature"
        ),
        bad("signature-large-s", "S not below L", bundle(rows=large_s), "bad_signature"),
    ]


def _with_stranger(payload: bytes) -> list[Any]:
    return sorted([signature(ALICE, payload), signature(STRANGER, payload)])


# ---- index and hello text


def _indexes() -> list[ReleaseCase]:
    row = ["rv32imc", 2_000, sha256(b"bundle").digest()]
    other = ["xtensawin", 8_192, sha256(b"other bundle").digest()]
    good = {
        "one": [row],
        "two": [row, other],
        "eight": [[f"a{n}", 1, bytes(32)] for n in range(8)],
    }
    wrong: dict[str, Any] = {
        "empty": [],
        "null": None,
        "descending": [other, row],
        "twice": [row, row],
        "nine": [[f"a{n}", 1, bytes(32)] for n in range(9)],
        "size-zero": [[row[0], 0, row[2]]],
        "size-large": [[row[0], 8_193, row[2]]],
        "hash-short": [[row[0], 1, bytes(31)]],
        "name-index": [["index", 1, bytes(32)]],
        "name-path": [["../x", 1, bytes(32)]],
        "row-longer": [[*row, 0]],
        "trailing": Raw(cbor([row]) + b"\x00"),
    }
    made = []
    for name, rows in good.items():
        shown = [[one[0], one[1], one[2].hex()] for one in rows]
        fields = {"comment": "", "bytes": cbor(rows).hex(), "expect": "ok", "rows": shown}
        made.append(ReleaseCase("release_index", name, fields))
    for name, value in wrong.items():
        fields = {"comment": "", "bytes": cbor(value).hex(), "expect": "malformed"}
        made.append(ReleaseCase("release_index", name, fields))
    return made


def _shown() -> list[ReleaseCase]:
    """counter null: a program without slots; version null: not how ours names itself."""
    texts: dict[str, tuple[str, str | None, int | None, int]] = {
        "plain": ("cairn 0.1.0", "0.1.0", None, 0),
        "cable": ("cairn 0.1.0 r0", "0.1.0", 0, 0),
        "slot": ("cairn 0.2.0 r7", "0.2.0", 7, 0),
        "failed": ("cairn 0.2.0 r7 x8", "0.2.0", 7, 8),
        "longest": ("cairn 1.2.3 r999999 x999999", "1.2.3", 999_999, 999_999),
        "other-program": ("test", None, None, 0),
        "no-version": ("cairn ", None, None, 0),
        "leading-zero": ("cairn 0.2.0 r07", None, None, 0),
        "failed-zero": ("cairn 0.2.0 r7 x0", None, None, 0),
        "failed-alone": ("cairn 0.2.0 x8", None, None, 0),
        "behind": ("cairn 0.2.0 r7 x8 y", None, None, 0),
    }
    return [
        ReleaseCase(
            "release_shown",
            name,
            {"text": text, "version": version, "counter": counter, "failed": failed},
        )
        for name, (text, version, counter, failed) in texts.items()
    ]
