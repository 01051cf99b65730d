"""A power cut behind and inside every flash operation of a station's life on MicroPython.

The life is run once, with every operation told; what the flash held at each of its cuts is then
booted on a board of its own. Nothing that was stored may be lost, no number may be signed twice,
and the chain goes on from the last message or a gap says why not.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cairn import cbor, cose, wire

from simulator.micropython.host import Happening, Runner, read_application
from tests.conftest import NIGHTLY
from tests.device.runner_rig import BARE_STATION, FIRMWARE, SAMPLES, Town, stored, town
from tests.unit.firmware.bench import make_config

SEED = 20261124
MINUTE_MS = 60_000
FIRST = 30
AT_ONCE = 10
OUTBOX_BYTES = 65_536
NETWORK_ID = make_config().network_id


@dataclass
class Cut:
    """files: what the flash holds; signed: seq -> message of all that was ever on it whole."""

    name: str
    files: dict[str, bytes]
    signed: dict[int, bytes]


def follow(happened: list[Happening], files: dict[str, bytes]) -> Iterator[Cut]:
    """Each operation's two cuts: torn inside it, and behind it."""
    rng = random.Random(SEED)
    signed: dict[int, bytes] = {}
    operations = [one.values for one in happened if one.kind == "flash"]
    for number, values in enumerate(operations):
        kind, name, data = values["operation"], values["name"], values["data"]
        label = f"{number} {kind} {name}"
        if data:
            torn = data[: rng.randrange(len(data))]
            before = files.get(name, b"") if kind == "append" else b""
            left = files | {name: before + torn}
            # Whole records of a batch that was torn behind them are stored too.
            yield Cut(f"{label} torn", left, signed | stored(left))
        if kind == "append":
            files = files | {name: files.get(name, b"") + data}
        elif kind == "store":
            files = files | {name: data}
        elif kind in ("remove", "rename"):
            files = dict(files)
            moved = files.pop(name, b"")
            if kind == "rename":
                files[values["to"]] = moved
        signed |= stored(files)
        yield Cut(label, files, dict(signed))


def a_life(place: Town, store_every_ms: int) -> list[Cut]:
    """In reach, until a receipt frees; then an outage that fills the outbox."""
    runner = place.runner
    files = place.files(
        sample_interval_ms=30_000,
        samples_per_message=1,
        quantities=[(0, 0, 30_000), (1, 0, 30_000)],
        status_interval_ms=10 * MINUTE_MS,
        outbox_bytes_max=OUTBOX_BYTES,
        store_every_ms=store_every_ms,
    )
    runner.add(0, files=files, samples=SAMPLES, seed=SEED, program=BARE_STATION, tell_flash=True)
    runner.boot()
    place.reach(place.delivered(1), step_ms=MINUTE_MS)
    place.reach(lambda: "outbox/00000001" not in runner.flash(0), step_ms=MINUTE_MS)
    runner.wifi(0, up=False)
    runner.run_for(220 * MINUTE_MS)
    cuts = list(follow(place.look(), files))
    assert cuts[-1].files == runner.flash(0)
    return cuts


def chosen(cuts: list[Cut], every: int) -> list[Cut]:
    """All of the first, all that is not an append, and some of the others."""
    return [
        cut
        for number, cut in enumerate(cuts)
        if number < FIRST or number % every == 0 or "remove" in cut.name
    ]


def boot_all(runner: Runner, cuts: list[Cut], minutes: int) -> None:
    """Boot each on a board of its own, out of reach, and judge what it signs."""
    for board, cut in enumerate(cuts):
        runner.add(board, cut.files, samples=SAMPLES, program=BARE_STATION, wifi=False)
    for first in range(0, len(cuts), AT_ONCE):
        boards = list(range(first, min(first + AT_ONCE, len(cuts))))
        runner.boot(boards)
        start_ms = runner.now_ms()
        runner.run_to(start_ms + minutes * MINUTE_MS, boards)
        for board in boards:
            judge(cuts[board], runner.flash(board))
            runner.cut(board)


def judge(cut: Cut, after: dict[str, bytes]) -> None:
    held, now = stored(cut.files), stored(after)
    new = {seq: message for seq, message in now.items() if seq not in held}
    bodies = {
        seq: cbor.decode(cose.open1(one, NETWORK_ID, "device").payload) for seq, one in now.items()
    }
    dropped = {
        seq
        for fields in bodies.values()
        if fields[1] == wire.GAP and fields[7][3] == wire.GAP_DROPPED
        for seq in range(fields[7][0], fields[7][1] + 1)
    }
    assert {seq for seq in held if seq not in now} <= dropped, cut.name
    assert all(now[seq] == held[seq] for seq in held if seq in now), cut.name
    assert new, cut.name
    highest = max(cut.signed, default=0)
    assert min(new) > highest, f"{cut.name}: signed {min(new)} again"
    # The first new message continues the last that was stored, and the others each other.
    last = id16(cut.signed[highest]) if highest else bytes(16)
    for seq in sorted(new):
        if not (bodies[seq][1] == wire.GAP and bodies[seq][7][3] == wire.GAP_CHAIN_LOST):
            assert bodies[seq][4] == last, f"{cut.name}: {seq} continues nothing"
        last = id16(new[seq])
    # Every number below the highest is a message or named by a gap.
    covered = set(cut.signed) | set(new)
    for fields in (*bodies.values(), *map(fields_of, cut.signed.values())):
        if fields[1] == wire.GAP:
            covered |= set(range(fields[7][0], fields[7][1] + 1))
    assert set(range(1, max(new) + 1)) <= covered, cut.name


def fields_of(message: bytes) -> list[Any]:
    fields: list[Any] = cbor.decode(cose.open1(message, NETWORK_ID, "device").payload)
    return fields


def id16(message: bytes) -> bytes:
    return sha256(cose.open1(message, NETWORK_ID, "device").to_be_signed).digest()[:16]


# Behind the first operations every n-th is enough by day: they repeat.
@pytest.mark.slow
@pytest.mark.parametrize(
    "store_every_ms,every,minutes", [(0, 16, 4), (180_000, 6, 15)], ids=["at once", "batched"]
)
def test_a_cut_at_every_operation(
    store_every_ms: int,
    every: int,
    minutes: int,
    node_modules: Callable[[str], Path],
    require_component: Callable[[str], str],
) -> None:
    modules = node_modules("device")
    with town(require_component("mosquitto"), modules) as place:
        cuts = a_life(place, store_every_ms)
        kinds = {cut.name.split()[1] for cut in cuts}
        assert kinds == {"mkdir", "store", "append", "rename", "remove"}
        assert place.gateway.fields(wire.GAP) == []
    taken = chosen(cuts, 1 if NIGHTLY else every)
    assert len(taken) >= 40
    with Runner(read_application(FIRMWARE), modules, start_ms=place.runner.now_ms()) as runner:
        boot_all(runner, taken, minutes)
