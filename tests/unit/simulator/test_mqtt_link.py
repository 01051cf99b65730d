"""The link between Node and MqttLink: the scenario's faults, ticks at their time, wall time."""

import random

import cbor2
import pytest
from cairn.boards import base

from simulator.board import SimulatedBoard, key_seed
from simulator.mqtt_link import CarriedLink, LinkBoard
from simulator.network import Faults, Network
from simulator.watch import SLOT_MS
from simulator.wire import Wire
from simulator.world import Group, Queue, World

START_MS = 100 * SLOT_MS
STATION = 2


def message(seq):
    payload = cbor2.dumps([16, 1, 1, seq, bytes(16), 0, [1, 0], []])
    return cbor2.dumps(cbor2.CBORTag(18, [b"", {}, payload, bytes(64)]))


class Inner(base.Link):
    """In the place of MqttLink."""

    def __init__(self, world):
        self.sent = []
        self.takes = True
        self.up = "up"
        self.downlinks = Queue(world)

    async def publish(self, data):
        if self.takes:
            self.sent.append(data)
        return self.takes

    async def receive(self):
        return await self.downlinks.get()

    def state(self):
        return self.up


class Traffic:
    def __init__(self):
        self.told = []

    def offered(self, station, header, _message):
        self.told.append(("offered", station, header.seq))

    def handed(self, station, header):
        self.told.append(("handed", station, None if header is None else header.seq))

    def withdrawn(self, station, header):
        self.told.append(("withdrawn", station, None if header is None else header.seq))

    def receipted(self, station, data):
        self.told.append(("receipted", station, data))

    def ticked(self, _station, data):
        return int(data)


class Rig:
    def __init__(self, **faults):
        self.world = World(START_MS, seed=1)
        end_ms = START_MS + 86_400_000
        self.network = Network(Faults(**faults), 1, START_MS, end_ms, 4)
        self.inner = Inner(self.world)
        self.traffic = Traffic()
        self.link = CarriedLink(self.world, self.network, STATION, self.inner, self.traffic)
        self.group = Group("board")
        self.world.spawn(self.link.forward(), self.group)
        self.world.spawn(self.link.send_late(), self.group)
        self.received = []
        self.world.spawn(self._receive(), self.group)

    async def _receive(self):
        while True:
            tail, data = await self.link.receive()
            self.received.append((self.world.now_ms, tail, data))

    def publish(self, *messages, run_ms=0):
        results = []

        async def send():
            results.extend([await self.link.publish(data) for data in messages])

        self.world.spawn(send(), self.group)
        self.world.run(self.world.now_ms + run_ms)
        return results


def test_a_good_network_hands_over_at_once():
    rig = Rig()
    assert rig.publish(message(5)) == [True]
    assert rig.inner.sent == [message(5)]
    assert rig.traffic.told == [("offered", STATION, 5), ("handed", STATION, 5)]
    assert rig.link.published == 1


def test_what_the_connection_does_not_take_is_withdrawn():
    rig = Rig()
    rig.inner.takes = False
    assert rig.publish(message(5)) == [False]
    assert rig.traffic.told[-1] == ("withdrawn", STATION, 5)


def test_a_dropped_message_is_handed_to_nobody():
    rig = Rig(drop_ppm=1_000_000)
    assert rig.publish(message(5), run_ms=SLOT_MS) == [True]
    assert rig.inner.sent == []
    assert rig.traffic.told == [("offered", STATION, 5)]


def test_a_duplicate_leaves_twice_and_a_damaged_one_is_waited_for_by_nobody():
    rig = Rig(duplicate_ppm=1_000_000)
    rig.publish(message(5), run_ms=SLOT_MS)
    assert rig.inner.sent == [message(5)] * 2
    rig = Rig(corrupt_ppm=1_000_000)
    rig.publish(message(5), run_ms=SLOT_MS)
    [sent] = rig.inner.sent
    assert sent != message(5)
    assert len(sent) == len(message(5))
    assert ("handed", STATION, None) in rig.traffic.told


def test_a_delay_is_virtual_and_a_link_that_is_down_then_loses_it():
    rig = Rig(reorder_ppm=1_000_000, reorder_delay_s=3_600)
    rig.publish(*map(message, range(1, 30)), run_ms=60_000)
    early = list(rig.inner.sent)
    assert len(early) < 29
    rig.world.run(START_MS + 1_800_000)
    half = list(rig.inner.sent)
    assert 0 < len(half) < 29
    assert half != sorted(half)
    rig.inner.up = "down"
    rig.world.run(START_MS + 4_000_000)
    assert rig.inner.sent == half


def test_a_partition_is_down_whatever_the_connection_says():
    rig = Rig(partitions=1, partition_minutes=1_440, partition_stations_ppm=1_000_000)
    assert rig.link.state() == "down"
    assert rig.publish(message(1)) == [False]
    assert rig.network.counts.refused == 1
    rig.network.heal()
    assert rig.link.state() == "up"


def test_a_tick_comes_when_its_slot_begins_and_a_stale_one_never():
    rig = Rig()
    rig.world.run(START_MS + SLOT_MS - 1)
    for slot in (99, 100, 101):
        rig.inner.downlinks.put(("all/tick", str(slot).encode()))
    rig.world.run(rig.world.now_ms)
    assert rig.received == []
    rig.world.run(START_MS + 2 * SLOT_MS)
    assert rig.received == [(START_MS + SLOT_MS, "all/tick", b"101")]


def test_receipts_suffer_and_keys_do_not():
    rig = Rig(drop_ppm=1_000_000)
    for item in (("down/receipt", b"r"), ("all/keys", b"k"), ("down/notice", b"n")):
        rig.inner.downlinks.put(item)
    rig.world.run(START_MS + SLOT_MS)
    assert [item[1:] for item in rig.received] == [("all/keys", b"k"), ("down/notice", b"n")]
    # It did reach the connection, so the driver need not wait for it.
    assert ("receipted", STATION, b"r") in rig.traffic.told


@pytest.fixture
def link_board():
    world = World(START_MS, seed=1)
    wire = Wire(world)
    board = SimulatedBoard(world, 0, key_seed(1, 0), None, None)
    board.power_on()
    reachable = [True]
    made = LinkBoard(wire, board, random.Random(1), lambda: reachable[0])
    yield made, board, wire, reachable
    wire.close()


def test_a_link_lives_on_wall_time_and_dies_with_its_board(link_board):
    made, board, wire, _ = link_board
    seen = []

    async def task():
        ticks = made.ticks()
        await made.sleep(20)
        seen.append(made.ticks() - ticks)
        await made.event().wait(20)
        seen.append("again")
        await made.sleep(0)
        await made.sleep(60_000)
        seen.append("never")

    made.spawn(task())
    while len(seen) < 2:
        wire.pump(1)
    assert 20 <= seen[0] < 5_000
    assert wire.world.now_ms == START_MS
    board.power_off()
    made.hurry()
    wire.pump(0)
    assert seen[1:] == ["again"]


def test_hurry_ends_a_back_off(link_board):
    made, _, wire, _ = link_board
    seen = []

    async def task():
        await made.sleep(3_600_000)
        seen.append("early")

    made.spawn(task())
    wire.pump(0)
    assert seen == []
    made.hurry()
    wire.pump(0)
    assert seen == ["early"]


def test_a_connect_in_a_partition_hangs_until_it_is_over(link_board):
    made, _, wire, reachable = link_board
    reachable[0] = False
    results = []

    async def task():
        try:
            await made.stream("127.0.0.1", 1, None)
        except OSError as error:
            results.append(error)

    made.spawn(task())
    for _ in range(3):
        wire.pump(0)
    made.hurry()
    wire.pump(0)
    assert results == []
    reachable[0] = True
    made.hurry()
    while not results:
        wire.pump(0.1)
    assert made.connections == 0


def test_a_link_draws_no_entropy_of_the_board(link_board):
    made, board, _, _ = link_board
    other = SimulatedBoard(made._wire.world, 0, key_seed(1, 0), None, None)
    made.entropy(100)
    assert board.entropy(16) == other.entropy(16)


def test_a_login_is_no_message():
    world = World(0, seed=1)
    signed = []
    board = SimulatedBoard(
        world, 0, key_seed(1, 0), None, None, on_sign=lambda *args: signed.append(args)
    )
    assert board.sign_login(b"x") == board.sign(b"x")
    assert signed == [(0, b"x")]
