"""Releases on the board: the common vectors, and bytes that nobody made."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cairn import cbor, releases
from cairn.boards.host import MemoryFiles
from cairn.keyring import Keyring
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.firmware.bench import ROOT_PUBLIC
from tests.unit.firmware.update_kit import (
    ARCHITECTURE,
    NETWORK_ID,
    MemoryPrograms,
    Release,
    StillBoard,
    driven,
)

VECTORS = Path(__file__).parents[3] / "spec" / "vectors"
GOOD = Release({"application.mpy": b"program", "cairn/boards/base.mpy": b"door"})


def cases(folder: str) -> list[Any]:
    paths = sorted((VECTORS / folder).glob("*.json"))
    assert len(paths) > 10
    return [pytest.param(json.loads(path.read_text()), id=path.stem) for path in paths]


def verified(data: bytes, **changes: Any) -> Any:
    board = StillBoard(MemoryPrograms(), None)
    network_id = changes.pop("network_id", NETWORK_ID)
    root_key = changes.pop("root_key", ROOT_PUBLIC)
    asked: dict[str, Any] = {
        "keyring": Keyring(board, network_id, root_key),
        "network_id": network_id,
        "root_key": root_key,
        "architecture": ARCHITECTURE,
        "floor": 1,
        "trust_serial": -1,
    }
    return driven(releases.verified(data, **(asked | changes)))


@pytest.mark.parametrize("case", cases("release_bundle"))
def test_the_common_bundles(case: Any) -> None:
    asked = {
        "network_id": bytes.fromhex(case["network_id"]),
        "root_key": bytes.fromhex(case["root_key"]),
        "architecture": case["architecture"],
        "floor": max(case["running"], case["confirmed"]),
        "trust_serial": case["trust_serial"],
    }
    data = bytes.fromhex(case["bytes"])
    if case["expect"] != "ok":
        with pytest.raises(releases.ReleaseError) as caught:
            verified(data, **asked)
        assert caught.value.code == case["expect"]
        return
    serial, (counter, version, architecture, files) = verified(data, **asked)
    assert (serial, counter, version) == (case["serial"], case["counter"], case["version"])
    assert architecture == case["architecture"]
    assert [[name, size, digest.hex()] for name, size, digest in files] == case["files"]


@pytest.mark.parametrize("case", cases("release_index"))
def test_the_common_indexes(case: Any) -> None:
    data = bytes.fromhex(case["bytes"])
    if case["expect"] != "ok":
        with pytest.raises(releases.ReleaseError, match=case["expect"]):
            releases.parse_index(data)
        return
    rows = [[name, size, digest.hex()] for name, size, digest in releases.parse_index(data)]
    assert rows == case["rows"]


def test_a_good_one_is_taken() -> None:
    assert verified(GOOD.bundle)[1][0] == GOOD.counter


PARSERS = (
    releases.parse_index,
    releases.parse_bundle,
    releases.parse_trust,
    releases.parse_manifest,
)
VALUES = st.recursive(
    st.none() | st.integers(-(1 << 63), (1 << 64) - 1) | st.binary(max_size=80) | st.text(),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=40,
)


@given(st.sampled_from(PARSERS), st.binary(max_size=400) | VALUES.map(cbor.encode))
def test_no_bytes_raise_anything_else(parse: Any, data: bytes) -> None:
    with suppress(releases.ReleaseError):
        parse(data)


@given(st.data())
def test_a_changed_bundle_is_never_taken(data: Any) -> None:
    good = GOOD.bundle
    at = data.draw(st.integers(0, len(good) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "twice", "drop"]))
    if kind == "flip":
        changed = bytearray(good)
        changed[at] ^= 1 << data.draw(st.integers(0, 7))
        changed = bytes(changed)
    elif kind == "cut":
        changed = good[:at]
    elif kind == "twice":
        changed = good[: at + 1] + good[at:]
    else:
        changed = good[:at] + good[at + 1 :]
    with pytest.raises(releases.ReleaseError):
        verified(changed)


@pytest.mark.parametrize(
    "release, code",
    [
        (Release(GOOD.files, signers=(0,)), "too_few_signatures"),
        (Release(GOOD.files, signers=(0, 3)), "too_few_signatures"),
        (Release(GOOD.files, counter=1), "rolled_back"),
        (Release(GOOD.files, architecture="rv32imc"), "other_architecture"),
        (Release(GOOD.files, network_id=b"elsewher"), "bad_trust"),
        (Release({"other.mpy": b"x"}), "malformed"),
    ],
)
def test_what_is_not_for_this_board_is_refused(release: Release, code: str) -> None:
    with pytest.raises(releases.ReleaseError, match=code):
        verified(release.bundle)


def test_an_older_trust_document_is_refused() -> None:
    with pytest.raises(releases.ReleaseError, match="trust_rolled_back"):
        verified(GOOD.bundle, trust_serial=2)


def test_no_verification_is_paid_for_what_cheap_checks_refuse() -> None:
    class Costly(Keyring):
        async def valid(self, *_: Any) -> bool:
            raise AssertionError("a signature was looked at")

    board = StillBoard(MemoryPrograms(), None)
    board.fs = MemoryFiles()
    keyring = Costly(board, NETWORK_ID, ROOT_PUBLIC)
    with pytest.raises(releases.ReleaseError, match="trust_rolled_back"):
        verified(GOOD.bundle, keyring=keyring, trust_serial=9)
