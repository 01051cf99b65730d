"""Power cuts at every operation of real littlefs, and of the simulator's disk: nothing that was
accepted is lost, no seq is signed twice, the chain goes on, and so does the board.
"""

import random
import sys
from collections.abc import Callable, Iterable, Iterator

import pytest
from cairn import chain, wire
from cairn.boards.base import Files
from cairn.journal import Journal
from cairn.outbox import Outbox
from nacl.signing import SigningKey

from simulator.disk import Disk
from simulator.world import Stopped
from tests.device import outbox_world
from tests.device.littlefs_disk import Flash, LittlefsDisk, Operation, PowerCut
from tests.device.outbox_world import World
from tests.device.power_cut_sweep import Run, run, sweep_live, sweep_log

KEY = SigningKey(bytes(32))


def real_sign(message: bytes) -> bytes:
    return KEY.sign(message).signature


def whole_and_torn(number: int, operation: Operation) -> list[int]:
    """In front of every operation, and somewhere in the middle of every other one."""
    return [0, 1 + number * 37 % (operation.size - 1)] if number % 2 else [0]


def two_in_three(number: int) -> list[tuple[int, int] | None]:
    """Two cuts in three are followed by one in the boot after it, also torn."""
    return [(number * 7 % 61, number % 5 * 16) if number % 3 else None]


def assert_eventful(made: Run) -> None:
    """The run has in it what it is about."""
    world = made.world
    kinds = [world._parse(message)[0] for message in world.published.values()]
    assert world.dropped > 12
    assert world.freed > 20
    assert kinds.count(wire.GAP) >= 4
    assert len(set(kinds)) == 4


@pytest.mark.slow
@pytest.mark.parametrize("batched,messages", [(True, 320), (False, 140)])
def test_cut_at_every_operation_of_littlefs(*, batched: bool, messages: int) -> None:
    made = run(messages, batched=batched)
    assert_eventful(made)
    cuts, seconds = sweep_log(made, torn=whole_and_torn, second=two_in_three)
    assert cuts >= len(made.log) * 3 // 2 > 2_500
    assert seconds > cuts // 4


def test_cut_with_real_signatures() -> None:
    made = run(80, batched=True, sign=real_sign)
    cuts, _ = sweep_log(made, torn=whole_and_torn, second=two_in_three, every=4)
    assert cuts > 100
    for message in made.world.published.values():
        opened = made.world.opened(message)
        KEY.verify_key.verify(opened.to_be_signed, opened.signature)


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("batched", [True, False])
def test_two_cuts_everywhere(*, batched: bool, part: int) -> None:
    """Every operation, torn at five places, each with a second cut that wanders through all the
    operations of the next boot.
    """

    def torn(_: int, operation: Operation) -> Iterable[int]:
        size = operation.size
        return [0, 1, size // 2, size - 1, size]

    def second(number: int) -> Iterator[tuple[int, int] | None]:
        yield None
        for step in range(3):
            yield ((number * 11 + step * 29) % 90, number % 5 * 16)

    made = run(320, batched=batched)
    cuts, seconds = sweep_log(made, torn=torn, second=second, every=8, first=part)
    assert cuts >= 20 * (len(made.log) // 8)
    assert seconds > cuts // 4


class SimulatedStorage:
    """simulator/disk.py's model: a cut falls before, inside or after a call, as drawn."""

    def __init__(self, seed: int) -> None:
        self.disk = Disk(random.Random(seed))

    def files(self) -> Files:
        return self.disk

    def arm(self, operations: int) -> None:
        self.disk.arm(operations)

    def power_on(self) -> None:
        self.disk.disarm()
        self.disk.power_on()


class FlashStorage:
    def __init__(self) -> None:
        self.flash = Flash()
        LittlefsDisk(self.flash, fresh=True)

    def files(self) -> Files:
        return LittlefsDisk(self.flash)

    def arm(self, operations: int) -> None:
        self.flash.arm(operations, operations % 32)

    def power_on(self) -> None:
        self.flash.power_on()


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.slow
def test_cut_at_every_call_of_the_simulators_disk(*, batched: bool) -> None:
    for seed in range(4):
        cuts = sweep_live(
            lambda seed=seed: SimulatedStorage(seed), Stopped, batched=batched, messages=160
        )
        assert cuts > (50 if batched else 150)


def test_cut_while_it_runs_is_the_same_as_cut_out_of_the_log() -> None:
    cuts = sweep_live(FlashStorage, PowerCut, batched=True, messages=120, every=9)
    assert cuts > 50


# The sweep finds planted bugs.


def planted(monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        sweep_log(run(160, batched=True), torn=whole_and_torn, second=two_in_three, every=5)


def test_publishing_before_storing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def offer_all(self: Journal) -> None:
        while self._waiting:
            self._sender.offer(self._waiting.pop(0))

    planted(monkeypatch, lambda patch: patch.setattr(Journal, "_offer_stored", offer_all))


def test_dropping_before_the_gap_is_stored_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    append = Journal._append

    def lazy(self: Journal, kind: int, *rest: object) -> None:
        flush, self._outbox.flush = self._outbox.flush, lambda: None  # type: ignore[method-assign]
        append(self, kind, *rest)
        self._outbox.flush = flush  # type: ignore[method-assign]

    planted(monkeypatch, lambda patch: patch.setattr(Journal, "_append", lazy))


def test_a_chain_that_forgets_its_reserve_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda patch: patch.setattr("cairn.chain._stored", lambda _: (0, 1)))


def test_freeing_what_nobody_has_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    free = Outbox.free
    everything = lambda *_: True  # noqa: E731 - a verdict, not a function of its own
    planted(
        monkeypatch,
        lambda patch: patch.setattr(Outbox, "free", lambda self, _: free(self, everything)),
    )


# What it costs.


def flash_work(*, batched: bool, messages: int = 300) -> tuple[float, float]:
    """Operations and erases of the flash for each message, seq reservation included; nothing is
    dropped or freed.
    """
    flash = Flash(blocks=128)
    disk = LittlefsDisk(flash, fresh=True)
    chain.create(disk)
    flash.operations = flash.erases = 0
    world = World(batched=batched)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox_world, "BYTES_MAX", 400_000)
        journal, _, _ = world.boot(disk)
    for number in range(messages):
        journal.write(wire.READINGS, [number, bytes(70)], outbox_world.NOW)
    journal.flush()
    return flash.operations / messages, flash.erases / messages


def test_batches_spare_the_flash(capsys: pytest.CaptureFixture[str]) -> None:
    each, together = flash_work(batched=False), flash_work(batched=True)
    with capsys.disabled():
        sys.stdout.write(
            f"\nflash operations a message: {each[0]:.1f} one by one, {together[0]:.1f} in "
            f"batches; erases {each[1]:.2f} and {together[1]:.2f}\n"
        )
    assert together[0] <= each[0] / 4
    assert together[1] <= each[1] / 4
