"""Power cuts at every operation of the flash in a whole update, and in the boots behind it: the
board always starts a program that is whole, and ends on the new one, or on the old one.
"""

from typing import Any

import pytest
from cairn import limits, slots, update

from gateway.device.board_image import program_files
from gateway.device.image import build_image
from tests.device import update_world
from tests.device.littlefs_disk import Operation
from tests.device.update_world import (
    assert_rolled_back,
    assert_updated,
    flashed,
    live,
    log_of,
    sweep,
)
from tests.unit.firmware.launch_kit import loader
from tests.unit.firmware.update_kit import Release

pytestmark = pytest.mark.slow


def torn(number: int, operation: Operation) -> list[int]:
    """In front of every operation, and at two places in it."""
    return [0, 1 + number * 37 % (operation.size - 1), operation.size // 2]


def wandering(number: int) -> int:
    return number * 11 % 90


def test_an_update_that_proves_itself() -> None:
    flash = flashed()
    boots = live(flash, receipts=True)
    assert [(boot.slot, boot.trial) for boot in boots] == [("a", False), ("b", True), ("b", False)]
    assert_updated(flash)


def test_an_update_that_does_not() -> None:
    flash = flashed()
    boots = live(flash, receipts=False)
    assert [boot.slot for boot in boots] == ["a", *"b" * limits.TRIAL_TRIES, "a"]
    assert_rolled_back(flash)


@pytest.mark.parametrize("receipts", [True, False])
def test_a_cut_at_every_fifth_operation(*, receipts: bool) -> None:
    cuts, _ = sweep(receipts=receipts, torn=torn, every=5)
    assert cuts >= 3 * (len(log_of(receipts=receipts)[1]) // 5) > 60


@pytest.mark.parametrize("receipts", [True, False])
def test_a_cut_at_every_operation(*, receipts: bool) -> None:
    cuts, _ = sweep(receipts=receipts, torn=torn)
    assert cuts == 3 * len(log_of(receipts=receipts)[1]) > 350


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(8))
@pytest.mark.parametrize("receipts", [True, False])
def test_the_real_program(monkeypatch: pytest.MonkeyPatch, first: int, *, receipts: bool) -> None:
    """All that a board has, in the flash that it has: one operation in 64, another each time."""
    old = program_files(build_image())
    new = {**old, "application.mpy": old["application.mpy"] + b"more", "more.mpy": b"x" * 9_000}
    del new["gnss.mpy"]
    monkeypatch.setattr(update_world, "BLOCKS", 512)
    monkeypatch.setattr(update_world, "OLD", old)
    monkeypatch.setattr(update_world, "NEW", new)
    monkeypatch.setattr(update_world, "RELEASE", Release(new))
    cuts, _ = sweep(receipts=receipts, torn=torn, every=64, first=8 * first)
    assert cuts > 30


@pytest.mark.parametrize("receipts", [True, False])
def test_two_cuts(*, receipts: bool) -> None:
    cuts, seconds = sweep(receipts=receipts, torn=torn, second=wandering, every=2)
    assert cuts >= len(log_of(receipts=receipts)[1])
    assert seconds > cuts // 2


@pytest.mark.nightly
@pytest.mark.parametrize("step", range(1, 90, 4))
@pytest.mark.parametrize("receipts", [True, False])
def test_two_cuts_everywhere(step: int, *, receipts: bool) -> None:
    def places(_: int, operation: Operation) -> list[int]:
        return [0, 1, operation.size // 2, operation.size - 1, operation.size]

    cuts, _ = sweep(receipts=receipts, torn=places, second=lambda number: (number + step) % 97)
    assert cuts == 5 * len(log_of(receipts=receipts)[1])


# The sweep finds planted bugs.


def assert_found() -> None:
    with pytest.raises((AssertionError, KeyError)):
        both_ways()


def both_ways() -> None:
    sweep(receipts=True, torn=torn, every=3)
    sweep(receipts=False, torn=torn, every=3)


def test_a_trial_that_begins_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    clear = update.Installation._clear

    def early(self: Any, files: Any) -> None:
        clear(self, files)
        slots.offer_trial(self._programs, 2, limits.TRIAL_TRIES)

    monkeypatch.setattr(update.Installation, "_clear", early)
    assert_found()


def test_writing_to_the_slot_that_runs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "other", lambda programs: programs.slot)
    assert_found()


def test_a_confirmation_that_is_not_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "confirm", lambda *_: None)
    assert_found()


def test_a_loader_that_does_not_count_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(disk: Any) -> Any:
        module = loader(disk)
        write = module.write
        module.write = lambda confirmed, trial, tries, counters: write(
            confirmed, trial, tries + (trial != "-"), counters
        )
        return module

    monkeypatch.setattr(update_world, "loader", forgetful)
    assert_found()
