"""Logins against the gateway's own reader, and counters that never come twice."""

import json
from base64 import urlsafe_b64decode
from contextlib import suppress
from pathlib import Path

import pytest
from cairn import chain, cose, identity, limits, login
from cairn.boards.host import MemoryFiles
from cairn.login import JUMP, Login
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from gateway.core.ids import device_name
from gateway.core.login import Login as Opened
from gateway.core.login import login_password, open_login
from tests.unit.firmware.bench import keypair
from tests.unit.firmware.bench_world import FaultyFiles, PowerCut

NETWORK = b"network!"
NONCE = b"12345678"
PUBLIC, sign = keypair("device")


def make(files: MemoryFiles) -> Login:
    return Login(files, sign, PUBLIC, NETWORK)


def counter_of(password: str) -> int:
    name = identity.device_name(identity.device_id(PUBLIC))
    opened = open_login(password, name, name, NETWORK)
    assert isinstance(opened, Opened), opened
    assert opened.public_key == PUBLIC
    return opened.counter


def counters(made: Login, count: int) -> list[int]:
    return [counter_of(made.password(NONCE)) for _ in range(count)]


def test_it_is_the_password_that_the_gateway_makes() -> None:
    made = make(MemoryFiles())
    assert made.password(NONCE) == login_password(sign, PUBLIC, NETWORK, 1, NONCE)
    assert made.device_name == device_name(cose.kid_of(PUBLIC))
    assert len(made.password(NONCE)) <= 512


def test_it_writes_the_vector(repo_root: Path) -> None:
    vector = json.loads((repo_root / "spec/vectors/login/login.json").read_text())
    public, secret = crypto_sign_seed_keypair(bytes.fromhex(vector["seed"]))
    network = bytes.fromhex(vector["network_id"])
    made = Login(MemoryFiles(), lambda data: crypto_sign(data, secret)[:64], public, network)
    nonce = bytes.fromhex(vector["payload"].split("h'")[2][:16])
    for _ in range(63):
        made.password(nonce)
    text = made.password(nonce)
    assert urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex() == vector["bytes"]


def test_the_counter_rises_over_boots_and_flash_is_spared() -> None:
    files = FaultyFiles()
    first = counters(make(files), 2 * limits.LOGIN_BLOCK + 1)
    assert first == list(range(1, len(first) + 1))
    assert files.calls == 3
    assert counters(make(files), 1)[0] > first[-1]
    assert files.calls == 4


@given(st.integers(0, 3), st.sampled_from(["before", "after"]), st.integers(1, 200))
def test_a_power_cut_repeats_no_counter(call: int, when: str, count: int) -> None:
    files = FaultyFiles()
    files.cut = (call, when)
    used: list[int] = []

    def boot(attempts: int) -> None:
        # What the signature says is another test's: there are many counters here.
        made = Login(files, lambda _: bytes(64), PUBLIC, NETWORK)
        for _ in range(attempts):
            counter = made._next
            made.password(NONCE)
            used.append(counter)

    with suppress(PowerCut):
        boot(count)
    files.cut = None
    boot(3)
    assert used == sorted(set(used))


@given(st.integers(0, 100), st.integers(1, 255))
def test_a_damaged_file_jumps_ahead(place: int, change: int) -> None:
    files = MemoryFiles()
    last = counters(make(files), 5)[-1]
    data = bytearray(files.read(login.FILE) or b"")
    data[place % len(data)] ^= change
    files.write(login.FILE, bytes(data))
    assert counters(make(files), 1)[0] > last + limits.LOGIN_BLOCK


@pytest.mark.parametrize("losses", [1, 2, 5])
def test_a_lost_file_heals_by_refusals(losses: int) -> None:
    """The gateway takes what is above all it has seen; the station never needs many attempts."""
    files = MemoryFiles()
    highest = counters(make(files), 1_000)[-1]
    for loss in range(1, losses + 1):
        files.remove(login.FILE)
        made = make(files)
        refused = 0
        while (counter := counters(made, 1)[0]) <= highest:
            made.refused()
            refused += 1
        assert refused <= loss
        highest = counter
        # It is stored: the next boot needs no refusal.
        highest = counters(make(files), 1)[0]
        assert highest > counter


def test_the_counter_never_leaves_its_range() -> None:
    made = make(MemoryFiles())
    made._next = made._reserved = limits.INT_MAX - JUMP
    made.refused()
    assert counters(made, 1)[0] == limits.INT_MAX - JUMP


def test_a_new_key_starts_a_new_counter() -> None:
    files = MemoryFiles()
    counters(make(files), 100)
    chain.create(files)
    assert files.read(login.FILE) is None
    assert counters(make(files), 1) == [1]


def test_a_nonce_of_another_length_is_a_bug() -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        make(MemoryFiles()).password(b"short")
