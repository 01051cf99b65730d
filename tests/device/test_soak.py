"""The firmware's own MQTT client in MicroPython: more messages on one connection than ids exist.

umqtt.simple, the usual client, hangs for ever behind packet id 65,535.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.micropython.host import Runner, read_application
from tests.device.runner_rig import FIRMWARE, config_files
from tests.service.mqtt_link_rig import HOST, mosquitto
from tests.service.test_mqtt_link import listening
from tests.unit.firmware.bench import make_config

COUNT = 70_000
SECONDS_MAX = 300  # it takes 5 on an idle core
# More than this would be a leak: 70,000 messages of 64 bytes are 4.5 MB.
HEAP_GROWTH_MAX = 4_096
PROGRAM = """
from cairn import config
from cairn.login import Login
from cairn.mqttlink import MqttLink

async def used(board):
    gc.collect()
    await board.sleep(10)
    return gc.mem_alloc()

async def run(board):
    settings = config.load(board.fs)
    login = Login(board.fs, board.sign, board.public_key(), settings.network_id)
    link = MqttLink(board, settings, login)
    print("name", login.device_name)
    board.spawn(link.run())
    while link.state() != "up":
        await board.sleep(20)
    for number in range(200):
        assert await link.publish(number.to_bytes(4, "big") + bytes(60))
    before, began = await used(board), board.ticks()
    for number in range(200, COUNT):
        assert await link.publish(number.to_bytes(4, "big") + bytes(60))
    assert await link.publish(b"last")
    while link._flight.oldest_ticks() is not None:
        await board.sleep(10)
    told = {"ms": board.ticks() - began, "before": before, "after": await used(board)}
    told["connects"], told["unknown"] = link.connects, link.unknown
    told["next_id"] = link._flight.new_id()
    print("TOLD", json.dumps(told))
    await board.sleep(1_000_000)
"""


def texts(runner: Runner) -> list[str]:
    found = []
    for one in runner.happenings():
        assert one.kind in ("up", "print", "connect"), one
        if one.kind == "print":
            found.append(one.values["text"])
    return found


def wait_for(runner: Runner, head: str, seconds_max: float) -> str:
    until = time.monotonic() + seconds_max
    while time.monotonic() < until:
        for text in texts(runner):
            if text.startswith(head):
                return text.removeprefix(head)
        time.sleep(0.02)
    raise AssertionError(f"{head!r} was not said within {seconds_max} s")


def publish_many(program: str, node_modules: Path) -> dict[str, int]:
    with (
        mosquitto(program) as broker,
        Runner(read_application(FIRMWARE), node_modules) as runner,
    ):
        files = config_files(broker_host=HOST, broker_port=broker.port, time_host=None)
        runner.add(0, files=files, program=f"COUNT = {COUNT}\n{PROGRAM}")
        runner.boot()
        broker.kill()  # so that nothing is sent before there is somebody who hears it
        runner.run_for(10)
        name = wait_for(runner, "name ", 10)
        broker.start()
        topic = f"cairn/1/{make_config().network_id.hex()}/{name}/up"
        with listening(broker, topic, COUNT + 1) as messages:
            runner.real_time()
            told: dict[str, int] = json.loads(wait_for(runner, "TOLD ", SECONDS_MAX))
            got = messages()
    # Behind everything else comes "last"; what came twice would have come before it.
    assert got == [number.to_bytes(4, "big") + bytes(60) for number in range(COUNT)] + [b"last"]
    return told


@pytest.mark.slow
def test_more_messages_than_there_are_packet_ids(
    node_modules: Callable[[str], Path], require_component: Callable[[str], str]
) -> None:
    require_component("mosquitto_sub")
    told = publish_many(require_component("mosquitto"), node_modules("device"))
    assert told["connects"] == 1
    assert told["unknown"] == 0
    assert told["after"] - told["before"] <= HEAP_GROWTH_MAX
    # One id for the subscription, then one for every message, from 1 again behind 65,535.
    assert told["next_id"] == (COUNT + 2) % 65_535 + 1
