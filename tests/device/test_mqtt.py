"""The MQTT client on a real MicroPython interpreter gives the bytes that CPython gives."""

import asyncio
import importlib.util
import json
import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from cairn import mqtt

from gateway.core.login import Login, open_login
from gateway.core.mqtt import packets as server
from tests.unit.firmware.bench_broker import fields, split_packets

EXERCISE = Path(__file__).parent / "mqtt_exercise.py"
SCRIPT = """
import json
import sys
sys.path.insert(0, "/lib")
from mqtt_exercise import results
with open("/cases.json") as file:
    cases = json.load(file)
sys.stdout.write(json.dumps(await results(cases)))
"""
SEED = 20261124
RunMicroPython = Callable[..., str]


def load_exercise() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mqtt_exercise", EXERCISE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stream_case(rng: random.Random) -> list[object]:
    """What a server sends, sometimes damaged, and the size of its pieces."""
    sent = b""
    for _ in range(rng.randrange(1, 6)):
        payload = rng.randbytes(rng.choice((0, 1, 100, 200, 400)))
        sent += rng.choice(
            (
                server.packet(0x30, server.field("a/b"), payload),
                server.packet(0x32, server.field("a"), b"\x01\x02", payload),
                server.puback(rng.randrange(1, 65_536)),
                server.suback(rng.randrange(1, 65_536), [1, 0]),
                server.connack(server.ReturnCode.ACCEPTED),
                server.PINGRESP,
            )
        )
    if rng.random() < 0.6:
        damaged = bytearray(sent)
        damaged[rng.randrange(min(12, len(sent)))] = rng.randrange(256)
        sent = bytes(damaged)
    return [sent.hex(), rng.choice((1, 7, 1024))]


def make_cases() -> dict[str, object]:
    rng = random.Random(SEED)
    return {
        "streams": [stream_case(rng) for _ in range(200)],
        "packets": [
            {
                "topic": rng.randbytes(rng.randrange(1, 80)).hex(),
                "payload": rng.randbytes(size).hex(),
                "packet_id": rng.choice((1, 127, 128, 255, 256, 65_535)),
            }
            for size in (0, 1, 120, 127, 128, 129, 4_096, 16_383, 16_400)
        ],
        "logins": [
            {
                "seed": rng.randbytes(32).hex(),
                "network_id": rng.randbytes(8).hex(),
                "nonce": rng.randbytes(8).hex(),
            }
            for _ in range(3)
        ],
    }


def test_client_and_link_agree(micropython: RunMicroPython, tmp_path: Path) -> None:
    cases = make_cases()
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    (tmp_path / "main.py").write_text(SCRIPT, encoding="utf-8")
    copies = {tmp_path / "cases.json": "/cases.json", EXERCISE: "/lib/mqtt_exercise.py"}
    there = json.loads(micropython(tmp_path / "main.py", copies))
    here = json.loads(json.dumps(asyncio.run(load_exercise().results(cases))))
    assert there["failures"] == here["failures"] == []
    for part, expected in here.items():
        assert there[part] == expected, f"{part}, seed {SEED}"
    refused = [case for case in here["parsed"] if case and isinstance(case[-1], str)]
    assert 20 <= len(refused) <= 180
    link_did_what_it_should(here)
    for case, (name, passwords) in zip(cases["logins"], here["logins"], strict=True):  # type: ignore[call-overload]
        network_id = bytes.fromhex(case["network_id"])
        opened = [open_login(password, name, name, network_id) for password in passwords[:-1]]
        assert all(isinstance(one, Login) for one in opened)
        assert [one.counter for one in opened] == [1, 2 + (1 << 24), 66 + (1 << 24)]


def link_did_what_it_should(here: dict) -> None:
    packets = [bytes.fromhex(text) for text in here["link"]]
    kinds = [packet[0] for packet in packets]
    assert kinds.count(0x10) == 4
    assert kinds.count(0x82) == 3
    assert kinds.count(0x32) == 22
    assert kinds.count(0x3A) == 2
    assert [packet for packet in packets if packet[0] == 0x40] == list(map(mqtt.puback, (7, 8, 9)))
    connects = [split_packets(bytearray(packet))[0] for packet in packets if packet[0] == 0x10]
    assert len({fields(packet.body[10:])[2] for packet in connects}) == 4
    early, *sent, flying, receipt, tick, counts = here["told"]
    assert early == ["down", False]
    assert sent == [True] * 20
    assert flying == [True, True]
    assert receipt == ["down/receipt", ""]
    assert tick == ["all/tick", b"tick".hex()]
    assert counts == [1, 1, 1, "refused: connack 5"]
