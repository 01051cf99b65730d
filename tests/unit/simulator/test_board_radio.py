"""A simulated board's receiver: tuned as its firmware says, and to channel 0 after each boot."""

import pytest

from simulator.board import SimulatedBoard, key_seed
from simulator.medium import Antenna, Medium
from simulator.radio import Propagation
from simulator.world import World

STILL = Propagation(3.0, 31.22, 0.0, 100.0, 0.0)
LORA = 0


class NoSensors:
    async def sample(self):
        return []


async def nobody(host, port):
    raise OSError


@pytest.fixture
def pair():
    """(world, sender, receiver), both on."""
    world = World(0, seed=4)
    air = Medium(world, [Antenna(0.0, 0.0, (LORA,)), Antenna(500.0, 0.0, (LORA,))], STILL)
    boards = []
    for index in range(2):
        seed = key_seed(4, index)
        board = SimulatedBoard(world, index, seed, NoSensors(), nobody, air=air, radios=(LORA,))
        board.power_on()
        boards.append(board)
    return world, *boards


def heard_of_three_channels(world, sender, receiver):
    """Channels of the frames that the receiver gets when each channel is used once."""
    heard = []

    async def listen():
        while True:
            heard.append((await receiver.radio_receive())[1])

    receiver.spawn(listen())
    world.run(world.now_ms + 1)
    for channel in range(3):
        assert sender.radio_send(LORA, channel, 1600, bytes(20)) is True
        world.run(world.now_ms + 1_000)
    return heard


@pytest.mark.parametrize("channel", range(3))
def test_it_hears_the_channel_that_the_firmware_asks_for(pair, channel):
    world, sender, receiver = pair
    receiver.radio_listen(LORA, channel)
    assert heard_of_three_channels(world, sender, receiver) == [channel]


def test_firmware_that_does_not_tune_hears_channel_0_alone(pair):
    assert heard_of_three_channels(*pair) == [0]


def test_a_reboot_forgets_the_channel(pair):
    world, sender, receiver = pair
    receiver.radio_listen(LORA, 2)
    receiver.power_off()
    receiver.power_on()
    assert heard_of_three_channels(world, sender, receiver) == [0]
