"""Board and gateway say the same of any bundle of a release (spec/protocol.md section 13.4).

Real bundles are changed somewhere: in the trust document, in the manifest, around both, in a bit.
The one difference that the protocol allows: a gateway calls more keys weak than a board does.
"""

from __future__ import annotations

from random import Random
from typing import Any

from cairn import cbor, cose
from cairn.keyring import Keyring
from cairn.releases import ReleaseError, verified
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.releases import Refusal, Standing, judge
from tests.unit.firmware.bench import ROOT_PUBLIC, root_sign
from tests.unit.firmware.update_kit import (
    ARCHITECTURE,
    KEYS,
    NETWORK_ID,
    MemoryPrograms,
    Release,
    StillBoard,
    driven,
)

SMALL_ORDER = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("ec" + "ff" * 30 + "7f"),
]
NUMBERS = [0, 1, 2, -1, (1 << 53) - 1, 1 << 53, 1 << 63, True, 262_144, 262_145, 16, 8, 9]
TEXTS = [
    *("", "a/../b", "release", "main.py", "x" * 48, "x" * 49, "x" * 32, "x" * 33, "index"),
    *("ABC", "a b", ".", "a/.", "/a", "release/x"),
]
OTHERS: list[Any] = [None, True, 0, -1, 1 << 53, b"", bytes(32), "", "..", "a//b", [], {}]
Tree = Any


def changed(value: Tree, draw: Random) -> Tree:
    """The same with one thing in it changed."""
    if isinstance(value, list) and value and draw.random() < 0.8:
        return _changed_list(value, draw)
    if isinstance(value, int):
        return draw.choice([*NUMBERS, value + 1])
    if isinstance(value, bytes):
        return _changed_bytes(value, draw)
    if isinstance(value, str):
        return draw.choice([*TEXTS, value + "x", value + "\n", value + "é"])
    return draw.choice([0, [], b""])


def _changed_list(value: list[Tree], draw: Random) -> list[Tree]:
    place, other = draw.randrange(len(value)), list(value)
    kind = draw.random()
    if kind < 0.75:
        other[place] = changed(other[place], draw)
    elif kind < 0.8:
        del other[place]
    elif kind < 0.85:
        other.insert(place, other[place])
    elif kind < 0.9:
        other.reverse()
    else:
        other[place] = draw.choice(OTHERS)
    return other


def _changed_bytes(value: bytes, draw: Random) -> bytes:
    kind = draw.random()
    if kind < 0.3:
        return value[:-1]
    if kind < 0.5:
        return draw.choice(SMALL_ORDER)
    other = bytearray(value or b"x")
    other[draw.randrange(len(other))] ^= 1 << draw.randrange(8)
    return bytes(other)


def bundle(draw: Random) -> bytes | None:
    """A bundle, right or not; None: its tree became none that can be encoded."""
    release = Release(
        {"application.mpy": b"p", "cairn/b.mpy": b"q"},
        counter=draw.choice([1, 2, 3]),
        serial=draw.choice([1, 2, 3]),
        threshold=draw.choice([1, 2, 3]),
        signers=tuple(sorted(draw.sample(range(4), draw.randrange(4)))),
        architecture=draw.choice([ARCHITECTURE, ARCHITECTURE, "xtensawin"]),
        network_id=draw.choice([NETWORK_ID] * 4 + [b"elsewher"]),
    )
    trusted: Tree = [16, "release-keys", release.serial, release.threshold]
    trusted.append([KEYS[number][0] for number in range(3)])
    manifest: Tree = cbor.decode(release.manifest)
    for _ in range(draw.choice([0, 0, 1, 2])):
        trusted = changed(trusted, draw)
    if draw.random() < 0.25:
        manifest = changed(manifest, draw)
    root = draw.choice([ROOT_PUBLIC] * 5 + [KEYS[0][0]])
    sign = root_sign if draw.random() < 0.8 else (lambda _: bytes(64))
    try:
        payload, stated = cbor.encode(manifest), cbor.encode(trusted)
    except (cbor.CborError, TypeError, ValueError, OverflowError):
        return None
    trust = cose.sign1(sign, cose.kid_of(root), release.network_id, "root", stated)[0]
    rows = sorted(release.signature(number, payload) for number in release.signers)
    if rows and draw.random() < 0.2:
        rows[draw.randrange(len(rows))][1] = bytes(64)
    whole: Tree = [trust, payload, rows]
    if draw.random() < 0.15:
        whole = changed(whole, draw)
    try:
        data = bytearray(cbor.encode(whole))
    except (cbor.CborError, TypeError, ValueError, OverflowError):
        return None
    if draw.random() < 0.1:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def at_the_board(data: bytes, standing: Standing) -> str:
    board = StillBoard(MemoryPrograms(), None)
    judging = verified(
        data,
        keyring=Keyring(board, NETWORK_ID, ROOT_PUBLIC),
        network_id=NETWORK_ID,
        root_key=ROOT_PUBLIC,
        architecture=ARCHITECTURE,
        floor=max(standing.running, standing.confirmed),
        trust_serial=standing.trust_serial,
    )
    try:
        driven(judging)
    except ReleaseError as error:
        return error.code
    return "ok"


def at_the_gateway(data: bytes, standing: Standing) -> str:
    found = judge(data, standing, NETWORK_ID, ROOT_PUBLIC)
    return str(found.value) if isinstance(found, Refusal) else "ok"


@given(st.integers(0, (1 << 64) - 1))
@example(0)
def test_board_and_gateway_agree(seed: int) -> None:
    draw = Random(seed)
    data = bundle(draw)
    if data is None:
        return
    standing = Standing(
        ARCHITECTURE, draw.choice([0, 1, 2]), draw.choice([0, 1]), draw.choice([0, 1, 2])
    )
    board, gateway = at_the_board(data, standing), at_the_gateway(data, standing)
    assert gateway in (board, "weak_key"), (board, gateway)


def test_the_draws_reach_every_verdict() -> None:
    standing = Standing(ARCHITECTURE, 1, 1, 2)
    drawn = [bundle(Random(seed)) for seed in range(400)]
    met = {at_the_gateway(data, standing) for data in drawn if data is not None}
    assert {"ok", "malformed", "bad_trust", "trust_rolled_back", "other_architecture"} <= met
    assert {"rolled_back", "bad_signature", "too_few_signatures"} <= met
