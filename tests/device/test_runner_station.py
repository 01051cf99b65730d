"""The whole station on MicroPython, with a real Mosquitto and a gateway that knows the chain."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cairn import wire

from gateway.device.image import build_image, unpack
from simulator.micropython.host import Runner, read_application
from tests.device.runner_rig import BARE_STATION, FIRMWARE, SAMPLES, Town, stored
from tests.service.mqtt_link_rig import mosquitto

pytestmark = pytest.mark.slow

STATION = {
    "sample_interval_ms": 30_000,
    "samples_per_message": 1,
    "quantities": [(0, 0, 30_000), (1, 0, 30_000)],
    "status_interval_ms": 600_000,
}


def application(kind: str) -> dict[str, bytes]:
    if kind == "sources":
        return read_application(FIRMWARE)
    return unpack(build_image(architecture="bytecode").data)


@pytest.fixture(params=["sources", "image"])
def town(
    request: pytest.FixtureRequest,
    node_modules: Callable[[str], Path],
    require_component: Callable[[str], str],
) -> Iterator[Town]:
    with (
        mosquitto(require_component("mosquitto")) as broker,
        Runner(application(request.param), node_modules("device")) as runner,
    ):
        place = Town(runner, broker)
        try:
            yield place
        finally:
            place.close()


def start(town: Town, **options: object) -> None:
    town.runner.add(0, files=town.files(**STATION), samples=SAMPLES, **options)
    town.runner.boot()


def test_a_station_delivers_and_frees(town: Town) -> None:
    start(town)
    town.reach(town.delivered(40), step_ms=15_000)
    town.reach(town.gateway.complete)
    assert town.gateway.kinds()[:2] == [wire.HELLO, wire.CLAIM]
    # A receipt that frees enough is verified, and what it covers goes.
    town.reach(lambda: len(stored(town.runner.flash(0))) < 20, step_ms=15_000)
    assert town.reports() == []


def settled(town: Town) -> int:
    """How many messages came, once no more come: the way to us takes real time, the board's own
    time does not pass meanwhile.
    """
    count = -1
    while count < (count := len(town.gateway.taken)):
        time.sleep(0.5)
    return count


def test_wifi_and_the_broker_go_and_come_back(town: Town) -> None:
    runner = town.runner
    start(town)
    town.reach(town.delivered(3))
    for silent in (False, True):
        runner.wifi(0, up=False, silent=silent)
        # What was under way when the Wi-Fi went still arrives.
        runner.run_for(60_000)
        before = settled(town)
        runner.run_for(540_000)
        assert len(town.gateway.taken) == before
        assert max(stored(runner.flash(0))) > max(town.gateway.taken)
        runner.wifi(0, up=True)
        wanted = town.gateway.kinds().count(wire.READINGS) + 10
        town.reach(town.delivered(wanted))
    town.broker.kill()
    runner.run_for(300_000)
    town.broker.start()
    wanted = town.gateway.kinds().count(wire.READINGS) + 8
    town.reach(town.delivered(wanted), step_ms=5_000)
    town.reach(town.gateway.complete)


def test_sensors_are_read_over_their_buses(town: Town) -> None:
    """A BME280 and an SHT4x as registers on an I2C bus, through the firmware's own drivers."""
    sensors = [(1, 0, 0), (3, 1, 0)]
    quantities = [(0, 0, 30_000), (0, 1, 30_000), (1, 0, 30_000), (1, 1, 30_000), (2, 0, 30_000)]
    changes = STATION | {"sensors": sensors, "quantities": quantities}
    chips = [{"values": {0: 2_153, 1: 481, 2: 10_132}}, {"values": {0: 2_101, 1: 502}}]
    town.runner.add(0, files=town.files(**changes), chips=chips)
    town.runner.boot()
    town.reach(town.delivered(3))
    last = town.gateway.fields(wire.READINGS)[-1][7][2]
    assert [column[:2] for column in last] == [list(quantity[:2]) for quantity in quantities]
    given = {(0, 0): 2_153, (0, 1): 2_101, (1, 0): 481, (1, 1): 502, (2, 0): 10_132}
    # Registers are coarser than the wire: within a unit or two.
    assert all(abs(values[0] - given[q, c]) <= 2 for q, c, _, values in last)
    town.runner.set_chips(0, [{"fail": ["nak"]}, chips[1]])
    town.reach(town.delivered(6))
    broken = {(q, c): rest for q, c, *rest in town.gateway.fields(wire.READINGS)[-1][7][2]}
    # No value, and why, from the part that does not answer; the other one goes on.
    assert broken[0, 0] == broken[1, 0] == broken[2, 0] == [0, [None], [[0, 1]]]
    assert abs(broken[0, 1][1][0] - 2_101) <= 2
    assert town.reports() == []


# A small image has no modules to make a station from without its vigil, which is in the way here.
@pytest.mark.parametrize("town", ["sources"], indirect=True)
def test_power_cuts_in_every_kind_of_operation(town: Town) -> None:
    """One boot after the other loses its power in its n-th flash operation, n = 0, 1, 2..."""
    runner = town.runner
    start(town, seed=1, program=BARE_STATION)
    cuts, kept = 0, {}
    for after in range(12):
        for part in ("none", "torn", "whole"):
            runner.arm(0, after, part, back_ms=2_000)
            cuts += 1
            town.reach(lambda: runner.counts(0).boots > cuts, step_ms=20_000, steps=100)  # noqa: B023
            kept |= stored(runner.flash(0))
    town.reach(lambda: kept.keys() <= town.gateway.taken.keys())
    town.reach(town.gateway.complete)
    operations = {one.values["operation"] for one in town.look() if one.kind == "off"}
    kinds = {operation.split()[0] for operation in operations}
    assert kinds >= {"store", "append", "rename"}
    # Everything that ever was on the flash arrived as it was signed. What is missing between the
    # numbers is named as never signed: a block of them is reserved before it is used.
    assert {seq: town.gateway.taken[seq][3] for seq in kept} == kept
    assert {fields[7][3] for fields in town.gateway.fields(wire.GAP)} <= {wire.GAP_UNUSED}
    boots = {fields[2] for fields in town.gateway.fields(wire.READINGS)}
    assert len(boots) > 8
    assert set(town.reports()) <= {"downlink.unknown_id", "link.broken"}


def test_forty_stations_in_one_process(
    record_property: Callable[[str, object], None],
    node_modules: Callable[[str], Path],
    require_component: Callable[[str], str],
) -> None:
    """Figures of two noisy cores; the limits are for what would be another order of magnitude."""
    with (
        mosquitto(require_component("mosquitto")) as broker,
        Runner(application("image"), node_modules("device")) as runner,
    ):
        town = Town(runner, broker)
        try:
            for board in range(40):
                runner.add(board, files=town.files(**STATION), samples=SAMPLES)
            before, began = runner.memory()["rss"], time.monotonic()
            runner.boot()
            took_s, rss = time.monotonic() - began, runner.memory()["rss"] - before
            runner.run_for(120_000)
            assert runner.memory()["workers"] == 40
            senders = {topic for topic, _ in list(town.messages.queue)}
            assert len(senders) == 40
        finally:
            town.close()
        record_property("seconds", took_s)
        record_property("megabytes_each", rss / 40 / 1e6)
        assert took_s < 60
        assert rss < 40 * 40e6
