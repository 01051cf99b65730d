"""Hardware that lies: what its firmware is made to hear, and what is put on the air."""

from functools import partial

import pytest

from simulator.board import SimulatedBoard, key_seed
from simulator.lying_boards import (
    ForgingBoard,
    GriefingBoard,
    ReplayingBoard,
    RingBoard,
    WormholeBoard,
    forged,
)
from simulator.medium import Antenna, Medium
from simulator.radio import NOISE_DBM, PRESETS, Propagation
from simulator.seeds import stream
from simulator.world import World

FRAME = bytes(range(20))
STILL = Propagation(3.0, 31.22, 0.0, 100.0, 0.0)
HOUR_MS = 3_600_000


class NoSensors:
    async def sample(self):
        return []


async def nobody(host, port):
    raise OSError


class Bench:
    """Boards at places, each with a task that keeps what its firmware would hear."""

    def __init__(self, *stations, surroundings=STILL):
        """stations: (east, north, hardware)."""
        self.world = World(0, seed=6)
        antennas = [Antenna(east, north, (0, 1)) for east, north, _ in stations]
        self.air = Medium(self.world, antennas, surroundings)
        self.boards = []
        self.heard = []
        for index, (_, _, hardware) in enumerate(stations):
            board = hardware(
                self.world,
                index,
                key_seed(6, index),
                NoSensors(),
                nobody,
                air=self.air,
                radios=(0, 1),
            )
            board.power_on()
            self.boards.append(board)
            self.heard.append([])
            board.spawn(self._listen(index))
        self.world.run(0)

    async def _listen(self, index):
        while True:
            received = await self.boards[index].radio_receive()
            self.heard[index].append((self.world.now_ms, received))

    def send(self, index, radio=0, frame=FRAME):
        return self.boards[index].radio_send(radio, 0, 1600, frame)

    def frames(self, index):
        return [received[5] for _, received in self.heard[index]]


@pytest.fixture
def ring():
    claimed = [Antenna(0.0, 0.0), Antenna(700.0, 0.0), Antenna(3_000.0, 0.0)]
    hardware = [
        partial(RingBoard, ring="ring 0", claimed=claim, propagation=PRESETS["town"])
        for claim in claimed
    ]
    return Bench(
        *((1.0 * index, 0.0, one) for index, one in enumerate(hardware)),
        (50.0, 0.0, SimulatedBoard),
    )


def test_a_ring_hears_itself_alone_as_from_the_claimed_places(ring):
    for _ in range(200):
        assert ring.send(0) is True
        ring.world.run(ring.world.now_ms + 60_000)
    assert ring.frames(0) == ring.frames(3) == []
    levels = [[r[2] / 100 for _, r in ring.heard[index]] for index in (1, 2)]
    assert [len(one) for one in levels] == [200, 200]
    near, far = (sum(one) / len(one) for one in levels)
    # 16 dBm - 31.2 dB - 31 log10(700 m and 3,000 m), give or take one shadow of 8 dB.
    assert near == pytest.approx(-103.4, abs=24)
    assert far == pytest.approx(-123.0, abs=24)
    again = (levels[0][0] - near, levels[0][1] - near)
    assert again[0] != again[1], "no fading: every frame is alike"


def test_a_ring_has_one_shadow_per_pair(ring):
    there, back = ring.boards[0], ring.boards[1]
    ahead = [there._loss_db(back) for _ in range(400)]
    behind = [back._loss_db(there) for _ in range(400)]
    assert sum(ahead) / 400 == pytest.approx(sum(behind) / 400, abs=1.0)


def test_a_wormhole_carries_frames_both_ways():
    near = partial(WormholeBoard, tunnel="w", near=True)
    far = partial(WormholeBoard, tunnel="w", near=False)
    bench = Bench((0, 0, near), (200_000, 0, far), (1_000, 0, SimulatedBoard))
    bench.send(2)
    bench.world.run(5_000)
    assert bench.frames(0) == bench.frames(1) == [FRAME]
    assert bench.heard[1][0][0] > bench.heard[0][0][0], "faster than the internet"
    bench.send(1, frame=b"far." * 5)
    bench.world.run(10_000)
    assert bench.frames(2) == [b"far." * 5]


def test_a_forger_reports_frames_out_of_its_reach_with_levels_that_fit_to_nothing():
    bench = Bench((0, 0, SimulatedBoard), (900, 0, SimulatedBoard), (300_000, 0, ForgingBoard))
    for _ in range(50):
        bench.send(0)
        bench.world.run(bench.world.now_ms + 1_000)
    assert len(bench.frames(2)) == 50
    levels = {received[2] for _, received in bench.heard[2]}
    assert len(levels) > 10
    for _, (_, _, rssi_cdbm, snr_cdb, _, _) in bench.heard[2]:
        assert snr_cdb == pytest.approx(min(rssi_cdbm - 100 * NOISE_DBM, 1_300), abs=500)


def test_a_replayer_repeats_after_an_hour_and_copies_another():
    replayer = partial(ReplayingBoard, copied=1)
    bench = Bench((0, 0, SimulatedBoard), (900, 0, SimulatedBoard), (0, 900, replayer))
    bench.send(0)
    bench.world.run(2 * HOUR_MS)
    times_ms = [at_ms for at_ms, _ in bench.heard[2]]
    assert bench.frames(2) == [FRAME] * 3
    own_ms = bench.heard[1][0][0]
    assert times_ms == [own_ms, pytest.approx(own_ms + 70, abs=60), own_ms + HOUR_MS]
    copied = bench.heard[2][1][1]
    assert copied[2] == bench.heard[1][0][1][2]


def test_a_griefer_reports_another_level_each_time():
    bench = Bench((0, 0, SimulatedBoard), (900, 0, GriefingBoard))
    for _ in range(40):
        bench.send(0)
        bench.world.run(bench.world.now_ms + 1_000)
    levels = [received[2] for _, received in bench.heard[1]]
    assert len(levels) == 40
    assert max(levels) - min(levels) > 3_000


def test_nothing_is_made_up_for_a_board_that_is_off():
    bench = Bench((0, 0, SimulatedBoard), (300_000, 0, ForgingBoard))
    bench.boards[1].power_off()
    bench.send(0)
    bench.world.run(5_000)
    assert bench.frames(1) == []


def test_a_made_up_sound_is_as_coarse_as_a_chips():
    sound = forged(0, 1, -101.27, FRAME, stream(1, "x"))
    assert sound.rssi_cdbm == -10_150
    assert sound.snr_cdb % 25 == 0
    assert forged(1, 0, -60.0, FRAME, stream(1, "x")).snr_cdb is None
