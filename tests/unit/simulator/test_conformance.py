"""The simulator's disk, board, stream and link against the contract of cairn/boards/base.py."""

import random

import pytest

from simulator.board import ResponseStream, SimulatedBoard, key_seed
from simulator.disk import Disk
from simulator.link import DirectLink
from simulator.medium import Antenna, Medium
from simulator.network import Faults, Network
from simulator.radio import PRESETS
from simulator.sensors import FAULT_BUS_SILENT
from simulator.world import World
from tests.unit.firmware import conformance

START_MS = 1_700_000_000_000


class Sensors:
    async def sample(self):
        return [(0, 0, -2, 2150, 0), (1, 0, -1, None, FAULT_BUS_SILENT)]


async def echo(host, port):
    return ResponseStream(lambda request: request, 7, 11)


def drive(case, *, drift_ppm=0, held=False, radios=()):
    """Run case(board, world) on a fresh board to its end."""
    world = World(START_MS, seed=3)
    air = Medium(world, [Antenna(0.0, 0.0, radios)], PRESETS["town"]) if radios else None
    board = SimulatedBoard(
        world,
        0,
        key_seed(3, 0),
        Sensors(),
        echo,
        drift_ppm=drift_ppm,
        held=held,
        air=air,
        radios=radios,
    )
    board.power_on()
    done = []

    async def run():
        await case(board, world)
        done.append(True)

    board.spawn(run())
    world.run(START_MS + 60_000)
    assert done == [True]
    board.power_off()


@pytest.mark.parametrize("case", conformance.FILES)
def test_files(case):
    case(lambda: Disk(random.Random(1)))


@pytest.mark.parametrize("drift_ppm", [0, 150, -150])
@pytest.mark.parametrize("case", conformance.EVENTS + conformance.BOARDS)
def test_board(case, drift_ppm):
    drive(lambda board, _: case(board), drift_ppm=drift_ppm, held=drift_ppm == 0)


@pytest.mark.parametrize("radios", [(0,), (0, 1), (2,)])
@pytest.mark.parametrize("case", conformance.BOARDS)
def test_board_with_radios(case, radios):
    drive(lambda board, _: case(board), radios=radios)


@pytest.mark.parametrize("case", conformance.STREAMS)
def test_stream(case):
    drive(lambda board, _: case(board, "gateway", 80))


@pytest.mark.parametrize("case", conformance.LINKS)
def test_link(case):
    async def with_link(board, world):
        far = []
        network = Network(Faults(), 3, START_MS, START_MS + 60_000, stations=1)
        link = DirectLink(
            world, network, 0, lambda: True, lambda _, delivery: far.append(delivery.data)
        )
        await case(board, link, far, link.deliver)

    drive(with_link)


def test_link_is_down_when_the_gateway_or_the_network_is():
    world = World(START_MS, seed=3)
    up = [True]
    everybody = Faults(partitions=1, partition_minutes=1, partition_stations_ppm=1_000_000)
    network = Network(everybody, 3, START_MS, START_MS + 60_000, stations=1)
    sent = []
    link = DirectLink(world, network, 0, lambda: up[0], lambda *_: sent.append(1))
    assert link.state() == "down"
    network.heal()
    assert link.state() == "up"
    up[0] = False
    assert link.state() == "down"
    with pytest.raises(StopIteration, match="False"):
        link.publish(b"x").send(None)
    world.run(START_MS + 60_000)
    assert sent == []


def test_what_the_clock_says_is_lost_only_in_an_outage():
    world = World(START_MS, seed=3)
    lossy = Faults(drop_ppm=1_000_000)
    network = Network(lossy, 3, START_MS, START_MS + 60_000, stations=1)
    up = [True]
    link = DirectLink(world, network, 0, lambda: up[0], lambda *_: None)
    link.deliver("all/tick", b"lost")
    link.hand("all/entropy", b"heard")
    up[0] = False
    link.hand("all/entropy", b"nobody sends")
    world.run(START_MS + 60_000)
    with pytest.raises(StopIteration) as got:
        link.receive().send(None)
    assert got.value.value == ("all/entropy", b"heard")
    assert link.receive().send(None) is not None
