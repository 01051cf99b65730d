"""Flash with power cuts: the contract of `Files`, and that every cut falls where it may."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.disk import Disk
from simulator.world import Stopped


def test_files_are_read_back_and_listed():
    disk = Disk(random.Random(1))
    disk.write("outbox/2", b"two")
    disk.append("outbox/1", b"o")
    disk.append("outbox/1", b"ne")
    disk.write("chain", b"x")
    assert disk.names("outbox/") == ["outbox/1", "outbox/2"]
    assert disk.read("outbox/1") == b"one"
    disk.remove("outbox/1")
    disk.remove("outbox/1")
    assert disk.read("outbox/1") is None


def test_full_flash_is_an_error_and_changes_nothing():
    disk = Disk(random.Random(1), capacity_bytes=4)
    disk.write("a", b"1234")
    with pytest.raises(OSError, match="no space"):
        disk.write("a", b"12345")
    with pytest.raises(OSError, match="no space"):
        disk.append("b", b"1")
    assert disk.read("a") == b"1234"
    assert disk.names("") == ["a"]
    disk.remove("a")
    disk.write("b", b"1234")


def write_on(disk):
    while True:
        disk.write("atomic", b"new")
        disk.append("log", b"abcd")


@given(st.integers(0, 2**32), st.integers(0, 3))
def test_cut_leaves_old_or_new_file_and_a_prefix_of_an_append(seed, calls):
    disk = Disk(random.Random(seed))
    disk.write("atomic", b"old")
    disk.write("log", b"")
    disk.arm(calls)
    with pytest.raises(Stopped):
        write_on(disk)
    for call in (lambda: disk.read("log"), lambda: disk.write("log", b"")):
        with pytest.raises(Stopped):
            call()
    disk.power_on()
    assert disk.read("atomic") in (b"old", b"new")
    content = disk.read("log")
    whole, torn = divmod(len(content), 4)
    assert content == b"abcd" * whole + b"abcd"[:torn]
    assert whole <= 2


def test_cuts_fall_before_inside_and_after_the_call():
    outcomes = set()
    for seed in range(100):
        disk = Disk(random.Random(seed))
        disk.arm(0)
        with pytest.raises(Stopped):
            disk.append("log", b"abc")
        disk.power_on()
        outcomes.add(disk.read("log"))
    assert outcomes == {None, b"a", b"ab", b"abc"}
