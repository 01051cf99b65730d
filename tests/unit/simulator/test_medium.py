"""The air: who hears a frame, what collides, and that nothing depends on the order of events."""

import pytest

from simulator.medium import Antenna, Medium, Sound
from simulator.radio import PRESETS, Propagation
from simulator.world import World

STILL = Propagation(3.0, 31.22, 0.0, 100.0, 0.0)
FRAME = bytes(20)
AIR_MS = 186
LORA, ESPNOW = 0, 1


class Ear:
    def __init__(self):
        self.listening_ms = 0
        self.heard = []

    def hear(self, sound):
        self.heard.append(sound)


def air(*places, radios=(LORA,), surroundings=STILL, seed=1, closes_ms=None, **options):
    """(world, medium, ears) of stations at (east, north)."""
    world = World(1_000, seed)
    antennas = [Antenna(east, north, radios, **options) for east, north in places]
    medium = Medium(world, antennas, surroundings, closes_ms)
    ears = [Ear() for _ in antennas]
    for index, ear in enumerate(ears):
        medium.attach(index, ear)
    return world, medium, ears


def test_a_frame_is_heard_when_it_is_over_and_not_by_its_sender():
    world, medium, ears = air((0, 0), (1_000, 0), (90_000, 0))
    medium.tune(1, LORA, 2)
    assert medium.send(0, LORA, 2, 1600, FRAME) is True
    world.run(1_000 + AIR_MS - 1)
    assert ears[1].heard == []
    world.run(1_000 + AIR_MS)
    [sound] = ears[1].heard
    assert (sound.radio, sound.channel, sound.frame) == (LORA, 2, FRAME)
    # 16 dBm - 31.22 dB - 90 dB, in steps of 0.5 dB, with the chip's own error.
    assert sound.rssi_cdbm == pytest.approx(-10_522, abs=400)
    assert sound.rssi_cdbm % 50 == sound.snr_cdb % 25 == 0
    assert ears[0].heard == ears[2].heard == []


def test_a_radio_that_is_not_there_says_none_and_a_busy_one_false():
    world, medium, _ = air((0, 0), (1_000, 0))
    assert medium.send(0, ESPNOW, 0, 1600, FRAME) is None
    assert medium.send(0, LORA, 0, 1600, FRAME) is True
    assert medium.send(0, LORA, 1, 1600, FRAME) is False
    world.run(1_000 + AIR_MS)
    assert medium.send(0, LORA, 1, 1600, FRAME) is True


def test_two_frames_of_one_strength_on_one_channel_are_both_lost():
    world, medium, ears = air((0, 0), (2_000, 0), (1_000, 0))
    medium.send(0, LORA, 0, 1600, b"a" * 20)
    world.run(1_100)
    medium.send(1, LORA, 0, 1600, b"b" * 20)
    world.run(3_000)
    assert ears[2].heard == []
    assert medium.counts.collided > 0


def test_the_stronger_one_is_captured_from_6_db_on():
    world, medium, ears = air((0, 0), (2_000, 0), (400, 0))
    medium.send(1, LORA, 0, 1600, b"far " * 5)
    world.run(1_050)
    medium.send(0, LORA, 0, 1600, b"near" * 5)
    world.run(3_000)
    assert [sound.frame for sound in ears[2].heard] == [b"near" * 5]


def test_a_frame_that_begins_where_another_ends_does_not_collide():
    world, medium, ears = air((0, 0), (2_000, 0), (1_000, 0))
    medium.send(0, LORA, 0, 1600, b"a" * 20)
    world.run(1_000 + AIR_MS)
    medium.send(1, LORA, 0, 1600, b"b" * 20)
    world.run(3_000)
    assert len(ears[2].heard) == 2


def test_a_receiver_hears_the_channel_it_is_tuned_to_and_no_other():
    world, medium, ears = air((0, 0), (1_000, 0), (0, 1_000))
    for number, tuned in enumerate([None, 1, 2, 2, 0]):
        if tuned is not None:
            medium.tune(1, LORA, tuned)
        for channel in range(3):
            medium.send(0, LORA, channel, 1600, bytes([number, channel]) * 10)
            world.run(world.now_ms + 1_000)
    # Before the first call that is channel 0, where one that never tunes stays.
    assert [tuple(sound.frame[:2]) for sound in ears[1].heard] == [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 2),
        (4, 0),
    ]
    assert [tuple(sound.frame[:2]) for sound in ears[2].heard] == [(n, 0) for n in range(5)]
    assert {sound.channel for sound in ears[2].heard} == {0}


def test_frames_on_two_channels_at_once_are_heard_by_whom_they_are_for():
    world, medium, ears = air((0, 0), (2_000, 0), (1_000, 0), (1_000, 100))
    medium.tune(3, LORA, 1)
    medium.send(0, LORA, 0, 1600, b"a" * 20)
    world.run(1_050)
    medium.send(1, LORA, 1, 1600, b"b" * 20)
    world.run(3_000)
    assert [sound.frame for sound in ears[2].heard] == [b"a" * 20]
    assert [sound.frame for sound in ears[3].heard] == [b"b" * 20]


@pytest.mark.parametrize(
    "calls, heard",
    [
        ([(1_000, 1)], 1),
        ([(1_001, 1)], 0),
        ([(900, 1), (1_001, 1)], 1),
        ([(900, 1), (1_100, 2)], 0),
        ([(900, 1), (1_100, 2), (1_101, 1)], 0),
    ],
)
def test_who_is_tuned_away_during_the_frame_loses_it(calls, heard):
    world = World(800, 1)
    medium = Medium(world, [Antenna(0, 0, (LORA,)), Antenna(500, 0, (LORA,))], STILL)
    ear = Ear()
    medium.attach(1, ear)
    for at_ms, channel in calls:
        world.call_at(at_ms, lambda channel=channel: medium.tune(1, LORA, channel))
    world.call_at(1_000, lambda: medium.send(0, LORA, 1, 1600, FRAME))
    world.run(3_000)
    assert len(ear.heard) == heard


def test_a_radio_that_is_not_there_cannot_be_tuned_and_another_is_not():
    world, medium, ears = air((0, 0), (50, 0))
    medium.tune(1, ESPNOW, 2)
    medium.send(0, LORA, 0, 1600, FRAME)
    world.run(3_000)
    assert len(ears[1].heard) == 1


def test_who_sends_hears_nothing_meanwhile():
    world, medium, ears = air((0, 0), (1_000, 0), (1_000, 1_000))
    medium.send(0, LORA, 0, 1600, b"a" * 20)
    world.run(1_050)
    medium.send(1, LORA, 2, 1600, b"b" * 20)
    world.run(3_000)
    assert ears[0].heard == ears[1].heard == []
    assert [sound.frame for sound in ears[2].heard] == [b"a" * 20]


def test_other_radios_of_a_board_do_not_disturb_each_other():
    world, medium, ears = air((0, 0), (60, 0), radios=(LORA, ESPNOW))
    medium.send(0, LORA, 0, 1600, FRAME)
    medium.send(1, ESPNOW, 0, 1600, FRAME)
    world.run(3_000)
    assert [sound.radio for sound in ears[1].heard] == [LORA]
    assert [(sound.radio, sound.snr_cdb) for sound in ears[0].heard] == [(ESPNOW, None)]


def test_esp_now_stays_in_the_neighbourhood():
    world, medium, ears = air((0, 0), (40, 0), (1_500, 0), radios=(LORA, ESPNOW))
    medium.send(0, ESPNOW, 0, 1800, FRAME)
    world.run(3_000)
    assert [len(ear.heard) for ear in ears] == [0, 1, 0]


@pytest.mark.parametrize("since_ms", [None, 1_001, 1_500])
def test_who_is_off_or_wakes_up_during_the_frame_hears_nothing(since_ms):
    world, medium, ears = air((0, 0), (1_000, 0))
    ears[1].listening_ms = since_ms
    medium.send(0, LORA, 0, 1600, FRAME)
    world.run(3_000)
    assert ears[1].heard == []


def test_the_air_is_silent_from_its_end_on():
    world, medium, ears = air((0, 0), (1_000, 0), closes_ms=2_000)
    world.run(1_999)
    medium.send(0, LORA, 0, 1600, b"a" * 20)
    world.run(2_500)
    assert medium.send(0, LORA, 0, 1600, b"b" * 20) is True
    world.run(9_000)
    assert [sound.frame for sound in ears[1].heard] == [b"a" * 20]


def test_an_antenna_is_off_both_ways_and_a_power_one_way():
    def levels(**options):
        world, medium, ears = air((0, 0), (1_000, 0), **options)
        medium.send(0, LORA, 0, 1600, FRAME)
        world.run(3_000)
        return ears[1].heard[0].rssi_cdbm

    plain = levels()
    assert levels(gain_db=3.0) == plain + 600
    assert levels(power_db=3.0) == plain + 300


def town_day(order):
    """What station 4 hears of four others that send in one second, asked for in some order."""
    places = [(0, 0), (1_500, 0), (0, 2_000), (3_000, 500), (1_000, 1_000)]
    world, medium, ears = air(*places, surroundings=PRESETS["town"], seed=9)
    for station in order:
        world.call_at(
            2_000 + 300 * station,
            lambda sender=station: medium.send(sender, LORA, 0, 1600, bytes([sender]) * 20),
        )
    world.run(60_000)
    return ears[4].heard


def test_what_becomes_of_a_frame_does_not_depend_on_the_order_of_events():
    heard = town_day([0, 1, 2, 3])
    assert len(heard) >= 2
    assert heard == town_day([3, 1, 0, 2])


def test_taps_and_spies_learn_of_frames():
    world, medium, _ = air((0, 0), (1_000, 0), (90_000, 0))
    told, spied = [], []
    medium.tap(lambda station, sound: told.append((station, sound.frame)))
    medium.spy(1, spied.append)
    medium.spy(2, spied.append)
    medium.send(0, LORA, 0, 1600, FRAME)
    world.run(3_000)
    assert told == [(0, FRAME)]
    assert [type(sound) for sound in spied] == [Sound]


def test_too_many_stations_are_refused():
    with pytest.raises(ValueError, match="at most 4000"):
        Medium(World(0, 1), [Antenna(0.0, 0.0)] * 4_001, STILL)
