"""A power cut after every single operation of the storage: what runs, and what must hold then.

Two ways: sweep_log() makes the cuts afterwards, out of the log of one run, which is fast; and
sweep_live() runs anew for every cut, over any storage that can be told when to lose its power.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from cairn import chain
from cairn.boards.base import Files

from tests.device.littlefs_disk import Flash, LittlefsDisk, Operation, PowerCut
from tests.device.outbox_world import World, fast_sign

BOOTS = 4
# 14 kB of outbox in segments that may be half full, two pairs of metadata blocks, small files.
USED_BLOCKS_MAX = 14


class Storage(Protocol):
    """What sweep_live() cuts. Operations are whatever the storage counts."""

    def files(self) -> Files:
        """As at a boot."""
        ...

    def arm(self, operations: int) -> None:
        """Lose the power behind so many more operations."""
        ...

    def power_on(self) -> None:
        """Also forgets arm()."""
        ...


@dataclass(frozen=True)
class Run:
    """One run without a cut: the image that it began with, what was done to it, what happened."""

    start: bytes
    log: list[Operation]
    world: World

    def timelines(
        self, *, every: int = 1, first: int = 0
    ) -> Iterator[tuple[int, bytearray, World]]:
        """(n, image, world) in front of each n-th operation."""
        image = bytearray(self.start)
        world = World(batched=self.world.batched, sign=self.world._sign)
        world.parsed = self.world.parsed
        waiting = iter(self.world.record)
        nxt = next(waiting, None)
        for number, operation in enumerate(self.log):
            while nxt is not None and nxt[0] <= number:
                world.happened(nxt[1], nxt[2])
                nxt = next(waiting, None)
            if number % every == first:
                yield number, image, world
            operation.apply(image, operation.size)


def run(
    messages: int, *, batched: bool, sign: Callable[[bytes], bytes] = fast_sign, blocks: int = 64
) -> Run:
    """A whole life without a cut, in several boots; every operation of the flash is logged."""
    flash = Flash(blocks)
    chain.create(LittlefsDisk(flash, fresh=True))
    start = bytes(flash.image)
    flash.operations = 0
    flash.log.clear()
    world = World(batched=batched, sign=sign, now=lambda: flash.operations)
    for boot in range(BOOTS):
        count = messages // BOOTS
        world.session(LittlefsDisk(flash), count, boot * count, clean=boot % 2 == 0)
    world.finish(LittlefsDisk(flash))
    return Run(start, flash.log, world)


def go_on(flash: Flash, world: World, second_cut: tuple[int, int] | None) -> bool:
    """The boots behind a cut, of which the first may lose its power too. True if it did."""
    cut = False
    if second_cut is not None:
        flash.arm(*second_cut)
        try:
            world.session(LittlefsDisk(flash), 7, 5)
        except PowerCut:
            cut = True
        flash.power_on()
    world.session(LittlefsDisk(flash), 4, 1)
    disk = LittlefsDisk(flash)
    world.finish(disk)
    # Nothing that a cut left behind stays and fills the flash up.
    assert disk.used_blocks <= USED_BLOCKS_MAX
    return cut


def sweep_log(
    made: Run,
    *,
    torn: Callable[[int, Operation], Iterable[int]],
    second: Callable[[int], Iterable[tuple[int, int] | None]],
    every: int = 1,
    first: int = 0,
) -> tuple[int, int]:
    """Cut in front of every operation and torn bytes into it, and again as second says. Returns
    how many cuts there were, and how many second ones.
    """
    cuts = seconds = 0
    for number, image, world in made.timelines(every=every, first=first):
        operation = made.log[number]
        for size in torn(number, operation):
            for again in second(number):
                left = bytearray(image)
                operation.apply(left, size)
                flash = Flash(len(left) // 4096, left)
                seconds += go_on(flash, world.copy(), again)
                cuts += 1
    return cuts, seconds


def sweep_live(
    make: Callable[[], Storage],
    power_cut: type[BaseException],
    *,
    batched: bool,
    messages: int,
    sign: Callable[[bytes], bytes] = fast_sign,
    every: int = 1,
) -> int:
    """Run anew for every operation: a cut behind it, then boots of which the first is cut short
    too. Returns how many cuts it took until a run came through.
    """
    for number in itertools.count(0, every):
        storage = make()
        chain.create(storage.files())
        world = World(batched=batched, sign=sign)
        storage.arm(number)
        whole = False
        with suppress(power_cut):
            for boot in range(BOOTS):
                count = messages // BOOTS
                world.session(storage.files(), count, boot * count, clean=boot % 2 == 0)
            whole = True
        storage.power_on()
        storage.arm(number * 7 % 23)
        with suppress(power_cut):
            world.session(storage.files(), 7, 5)
        storage.power_on()
        world.session(storage.files(), 4, 1)
        world.finish(storage.files())
        if whole:
            return number // every
    raise AssertionError
