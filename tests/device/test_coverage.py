"""Coverage on a real MicroPython interpreter gives the bytes that CPython gives."""

import hmac
import importlib.util
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from cairn import cbor, cose, wire

from gateway.core.wire import Decoded, decode

EXERCISE = Path(__file__).parent / "coverage_exercise.py"
SCRIPT = """
import json
import sys
sys.path.insert(0, "/lib")
from coverage_exercise import results
sys.stdout.write(json.dumps(results()))
"""
RunMicroPython = Callable[..., str]


def load_exercise() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_exercise", EXERCISE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bodies(messages: list[str], network_id: bytes, kind: int) -> list[Any]:
    found = []
    for text in messages:
        decoded = decode(bytes.fromhex(text), network_id)
        assert isinstance(decoded, Decoded), decoded
        fields = cbor.decode(cose.open1(bytes.fromhex(text), network_id, "device").payload)
        if fields[1] == kind:
            found.append(fields[7])
    return found


def test_two_stations_hear_each_other(micropython: RunMicroPython, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    there = json.loads(micropython(script, {EXERCISE: "/lib/coverage_exercise.py"}))
    exercise = load_exercise()
    here = json.loads(json.dumps(exercise.results()))
    assert there == here
    check(here, exercise)


def check(told: dict[str, Any], exercise: ModuleType) -> None:
    """What both did is what the protocol wants: beacons, rows of the other, reveals that fit."""
    network_id = bytes.fromhex(told["network_id"])
    assert told["refused"] == [[0, ""]] * 2
    links = range(exercise.LINK_HOURS[0] * 60, exercise.LINK_HOURS[-1] * 60 + 60)
    slots = [exercise.DAY * exercise.SLOTS + minute for minute in links]
    channels = [entropy_of(slot, exercise)[31] % 3 for slot in slots]
    assert set(channels) == {0, 1, 2}
    assert [[channel for *_, channel in tuned] for tuned in told["tuned"]] == [channels] * 2
    for own, other in ((0, 1), (1, 0)):
        messages = told["messages"][own]
        commits = dict(bodies(messages, network_id, wire.COMMIT))
        assert set(commits) == {exercise.DAY, exercise.DAY + 1}
        ((day, x),) = bodies(messages, network_id, wire.REVEAL)
        assert sha256(x).digest() == commits[day]
        tags = {frame for *_, frame in told["sent"][own]}
        assert len(tags) >= 6
        assert len(told["sent"][own]) == 2 * len(tags)
        rows = [row for _, part in bodies(messages, network_id, wire.BEACON) for row in part]
        assert len(rows) == 2 * len(tags)
        by_slot = dict(zip(slots, channels, strict=True))
        assert {(slot, channel) for slot, radio, channel, _ in rows if radio == 0} == {
            (slot, by_slot[slot]) for slot, *_ in rows
        }
        drawn = {frame_of(x, slot, messages[0], network_id, exercise) for slot, *_ in rows}
        assert drawn == tags
        heard = [
            (radio, tag.hex())
            for _, radio, _, seen, *_ in bodies(messages, network_id, wire.WITNESS)
            for tag in seen
        ]
        assert sorted(heard) == sorted(
            (radio, frame[8:]) for _, radio, _, _, frame in told["sent"][other]
        )
        claims = [body[7][1] for body in bodies(messages, network_id, wire.STATUS)]
        assert max(claims) >= 1 << 23


def frame_of(x: bytes, slot: int, message: str, network_id: bytes, exercise: ModuleType) -> str:
    device = cose.open1(bytes.fromhex(message), network_id, "device").kid
    message = b"cairn/beacon" + network_id + device + slot.to_bytes(8, "big")
    drawn = hmac.digest(x, message + entropy_of(slot, exercise), "sha256")
    return (b"\x01" + network_id[:3] + drawn[16:]).hex()


def entropy_of(slot: int, exercise: ModuleType) -> bytes:
    value = exercise.Gateway().values[slot - exercise.DAY * exercise.SLOTS + 1]
    return sha256(value + b"external").digest()
