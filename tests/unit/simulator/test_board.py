"""The simulated board: signatures as the firmware makes them, its own clock, its restarts."""

import pytest
from cairn.ed25519 import Signer
from cairn.ed25519_verify import verify
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from simulator.board import ResponseStream, SimulatedBoard, device_id, key_seed
from simulator.world import Stopped, World


class NoSensors:
    async def sample(self):
        return []


async def nobody(host, port):
    raise OSError("no network")


def board(world, index=0, **options):
    made = SimulatedBoard(
        world, index, key_seed(world.seed, index), NoSensors(), nobody, **options
    )
    made.power_on()
    return made


@settings(max_examples=2_000)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_c_library_signs_as_the_firmware_does(seed, message):
    public_key, secret_key = crypto_sign_seed_keypair(seed)
    signer = Signer(seed)
    assert signer.public_key == public_key
    assert signer.sign(message) == crypto_sign(message, secret_key)[:64]


def test_board_signs_with_the_key_it_shows():
    simulated = board(World(0, seed=1))
    signature = simulated.sign(b"message")
    assert signature == Signer(key_seed(1, 0)).sign(b"message")
    assert verify(simulated.public_key(), b"message", signature)
    assert len(device_id(simulated.public_key())) == 16


def test_boards_draw_their_own_entropy_again_and_again():
    one, again = (board(World(0, seed=1), 3) for _ in range(2))
    assert one.entropy(16) == again.entropy(16)
    assert one.entropy(16) != board(World(0, seed=1), 4).entropy(16)
    assert one.entropy(16) != board(World(0, seed=2), 3).entropy(16)


@given(st.integers(-500, 500), st.integers(0, 10**8), st.integers(0, 10**7))
def test_sleep_lasts_at_least_as_long_by_the_boards_own_clock(drift_ppm, before_ms, sleep_ms):
    world = World(0, seed=1)
    simulated = board(world, drift_ppm=drift_ppm)
    world.run(before_ms)
    woken = []

    async def sleeper():
        started = simulated.ticks()
        await simulated.sleep(sleep_ms)
        woken.append(simulated.ticks() - started)

    simulated.spawn(sleeper())
    world.run(before_ms + 2 * sleep_ms + 10)
    [slept_ms] = woken
    assert sleep_ms <= slept_ms <= sleep_ms + 4


def test_only_a_held_clock_knows_the_time():
    world = World(1_700_000_000_000, seed=1)
    assert board(world).now_ms() is None
    assert board(world, held=True).now_ms() == 1_700_000_000_000


def test_restart_ends_the_boot_and_is_reported():
    world = World(0, seed=1)
    seen = []
    simulated = board(world, 7, on_restart=lambda index, reason: seen.append((index, reason)))

    async def main():
        simulated.fs.write("kept", b"1")
        await simulated.sleep(5)
        simulated.restart("config")

    simulated.spawn(main())
    world.run(10)
    assert seen == [(7, "config")]
    assert not simulated.group.alive
    with pytest.raises(Stopped):
        simulated.fs.read("kept")
    simulated.power_on()
    assert simulated.fs.read("kept") == b"1"
    assert simulated.ticks() == 0
    assert simulated.boots == 2


def exchange(respond, there_ms=30, back_ms=50):
    world = World(0, seed=1)
    simulated = board(world)
    seen = []

    async def main():
        stream = ResponseStream(respond, there_ms, back_ms)
        await stream.write(b"ask")
        try:
            while chunk := await stream.read(4):
                seen.append((chunk, world.now_ms))
        except OSError as error:
            seen.append((str(error), world.now_ms))
        stream.close()
        stream.close()

    simulated.spawn(main())
    world.run(1_000)
    return seen


def test_stream_carries_one_exchange_at_the_price_of_a_round_trip():
    assert exchange(lambda request: request + b" me") == [(b"ask ", 80), (b"me", 80)]


def test_nobody_answering_is_an_os_error():
    assert exchange(lambda _: None) == [("connection reset by peer", 30)]
