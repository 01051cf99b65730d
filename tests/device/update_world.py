"""One board through an update, on real littlefs: what its boots do, and what must hold in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cairn import limits, slots
from cairn.boards.host import MemoryFiles

from tests.device.littlefs_disk import Flash, Operation, PowerCut
from tests.device.update_disk import LittlefsPrograms
from tests.unit.firmware.launch_kit import loader
from tests.unit.firmware.update_kit import Attempt, Release, Server, put_program

BLOCKS = 64
# What was in the other slot before; a part of it comes again.
ANCIENT = {"application.mpy": b"ancient" * 800, "dht.mpy": b"driver" * 200, "z/y/x.mpy": b"deep"}
OLD = {
    "application.mpy": b"old program" * 300,
    "cairn/boards/base.mpy": b"door",
    "dht.mpy": b"driver" * 200,
    "gone.mpy": b"nobody needs it",
}
NEW = {
    "application.mpy": b"new program" * 500,
    "cairn/boards/base.mpy": b"door",
    "cairn/sensors/rack.mpy": b"other door",
    "dht.mpy": b"driver" * 200,
    "empty.mpy": b"",
}
RELEASE = Release(NEW)
BOOTS_MAX = 9


def flashed() -> Flash:
    """The old program in slot a, one before it in slot b, and a log that begins now."""
    flash = Flash(BLOCKS)
    disk = LittlefsPrograms(flash, fresh=True)
    put_program(disk, "b", ANCIENT, 0)
    put_program(disk, "a", OLD, 1)
    flash.operations = 0
    flash.log.clear()
    return flash


@dataclass
class Boot:
    """What one boot was: the slot that ran, and whether it was a trial."""

    slot: str
    trial: bool


def boot(flash: Flash) -> tuple[Boot, LittlefsPrograms]:
    """The loader picks; what it picks must be one of the two programs, and the whole of it."""
    disk = LittlefsPrograms(flash)
    slot, trial = loader(disk).pick()
    assert slot, "no program is whole"
    content = disk.content(slot)
    listed = content.pop("release").split()
    files = {1: OLD, 2: NEW}[int(listed[2])]
    assert {name: content[name] for name in files} == files
    disk.slot = slot
    return Boot(slot, trial), disk


def live(flash: Flash, *, receipts: bool, offered: bool = True) -> list[Boot]:
    """Boots until nothing changes any more. receipts: the new program gets one; offered: the
    release is announced in each boot.
    """
    boots: list[Boot] = []
    vault = MemoryFiles()
    while True:
        now, disk = boot(flash)
        boots.append(now)
        assert len(boots) < BOOTS_MAX, boots
        if now.trial:
            if receipts:
                slots.confirm(disk, vault)
            continue
        floor = slots.floor(disk, vault)
        if not offered or floor is None or floor >= RELEASE.counter:
            return boots
        attempt = Attempt(disk, Server(RELEASE.pages()), RELEASE.offer)
        attempt.board.fs = vault
        while attempt.run() != limits.UPDATE_INSTALLED:
            assert len(attempt.noted) < 3, attempt.noted


def ended(flash: Flash) -> tuple[int, tuple[str, str, int, int, int, int]]:
    """(counter of the program that runs, state of the slots)."""
    now, disk = boot(flash)
    described = slots.running(disk)
    assert described is not None
    assert now.slot == described[0]
    return described[1], slots.state(disk)


def assert_updated(flash: Flash) -> None:
    assert ended(flash) == (2, ("b", "-", 0, 0, 2, 0))


def assert_rolled_back(flash: Flash) -> None:
    counter, state = ended(flash)
    assert counter == 1
    assert (state[0], state[1], state[4], state[5]) == ("a", "-", 1, 2)


def log_of(*, receipts: bool) -> tuple[bytes, list[Operation]]:
    """The flash at the beginning, and every operation on it until nothing changes any more."""
    flash = flashed()
    start = bytes(flash.image)
    live(flash, receipts=receipts)
    return start, list(flash.log)


def sweep(
    *,
    receipts: bool,
    torn: Callable[[int, Operation], list[int]],
    every: int = 1,
    first: int = 0,
    second: Callable[[int], int | None] = lambda _: None,
) -> tuple[int, int]:
    """Cut in front of every operation, and torn bytes into it; behind it the board lives on, with
    a second cut after so many operations more, if second says so. (cuts, second cuts.)
    """
    cuts = seconds = 0
    for number, image in _images(receipts=receipts, torn=torn, every=every, first=first):
        again = second(number)
        for goes_well in (True, False):
            flash = Flash(BLOCKS, bytearray(image))
            if again is not None:
                flash.arm(again, again * 13 % 32)
                try:
                    live(flash, receipts=goes_well)
                except PowerCut:
                    seconds += 1
                flash.power_on()
            else:
                assert boot(flash)[0].slot
            live(flash, receipts=goes_well)
            check(flash, goes_well=goes_well, receipts=receipts)
        cuts += 1
    return cuts, seconds


def check(flash: Flash, *, goes_well: bool, receipts: bool) -> None:
    counter, state = ended(flash)
    if not goes_well:
        # It may have been confirmed before the power went, or have failed.
        assert counter in (1, 2)
        assert state[1] == "-"
        if counter == 1:
            assert_rolled_back(flash)
        else:
            assert receipts
            assert_updated(flash)
    elif state[5]:
        # So many cuts that its tries were used up: only where no receipt came before.
        assert not receipts
        assert_rolled_back(flash)
    else:
        assert_updated(flash)


def _images(
    *, receipts: bool, torn: Callable[[int, Operation], list[int]], every: int, first: int
) -> Iterator[tuple[int, bytearray]]:
    start, log = log_of(receipts=receipts)
    image = bytearray(start)
    for number, operation in enumerate(log):
        if number % every == first:
            for size in torn(number, operation):
                left = bytearray(image)
                operation.apply(left, size)
                yield number, left
        operation.apply(image, operation.size)
