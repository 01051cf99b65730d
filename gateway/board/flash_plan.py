"""What is written where, and what must not be: pure, from the image's table and the board's."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.device.official import Official, Partition, Range
from gateway.shell.errors import Code, OperatorFault

# In clear in the NVS of a board with a key: the name of our part of it. Of a board that was set
# up: the name of its configuration there.
KEY_MARK = b"cairn"
CONFIG_MARK = b"config"
# MicroPython's own layout, to look for the mark where no table says where it is.
USUAL_NVS = Partition("nvs", 1, 2, 0x9000, 0x6000)

# By the name of the chip, the machine code that it runs.
ARCHITECTURES = {"esp32": "xtensawin", "esp32s3": "xtensawin", "esp32c3": "rv32imc"}


@dataclass(frozen=True)
class Found:
    """What is on the board before: its table (None: there is none), whether NVS holds a key of
    ours, and a configuration.
    """

    chip: str
    flash_bytes: int
    partitions: tuple[Partition, ...] | None
    keyed: bool
    provisioned: bool


@dataclass(frozen=True)
class Plan:
    """ranges: what is written; protected: where not one byte may change."""

    ranges: tuple[Range, ...]
    protected: tuple[Partition, ...]

    @property
    def size(self) -> int:
        return sum(len(one.data) for one in self.ranges)


def key_rows(partitions: Iterable[Partition] | None) -> tuple[Partition, ...]:
    """Where a board keeps its key: as its own table says; else, for an earlier flashing may have
    been cut short, where MicroPython has it.
    """
    return tuple(one for one in partitions or () if one.keeps_keys) or (USUAL_NVS,)


def architecture_for(chip: str) -> str:
    """The machine code that the chip runs."""
    return ARCHITECTURES[chip]


def check_board(chip: str, asked: str | None) -> None:
    """Refuse a chip that Cairn does not run on, or another one than was asked for."""
    if chip not in ARCHITECTURES:
        raise OperatorFault(
            "Cairn does not run on this chip.",
            f"It is an {chip}.",
            "Take a board with an ESP32, an ESP32-S3 or an ESP32-C3.",
            Code.CHIP_WRONG,
        )
    if asked is not None and chip != asked:
        raise OperatorFault(
            f"The board is no {asked}.",
            f"Its chip says that it is an {chip}.",
            f"Say --board {chip}, with an image for it, or plug in the other board.",
            Code.CHIP_WRONG,
        )


def check_image(official: Official, found: Found) -> Partition:
    """Where the file system goes; OperatorFault if the image is for another chip, for more flash,
    or keeps NVS elsewhere than a board with a key.
    """
    if official.chip != found.chip:
        raise OperatorFault(
            "The image is for another chip.",
            f"It is for {official.chip}, and the board is an {found.chip}.",
            "Take the image of your board.",
            Code.IMAGE_OTHER_CHIP,
        )
    space = official.file_system(found.flash_bytes)
    needed = max(official.flash_bytes, space.end, *(one.end for one in official.partitions))
    if needed > found.flash_bytes or not space.size:
        raise OperatorFault(
            "The board's flash is too small for the image.",
            f"It has {_mib(found.flash_bytes)}, and the image needs {_mib(needed)} "
            "and room for a file system.",
            "Take the image for a smaller flash, or a board with 4 MiB.",
            Code.FLASH_TOO_SMALL,
        )
    if found.keyed:
        # Found elsewhere, the key would be left behind and a new one made.
        for row in key_rows(found.partitions):
            if not any(_same_place(row, other) for other in official.protected):
                raise _in_the_way(f"the image has no NVS where the board's is ({_place(row)})")
    return space


def make_plan(official: Official, found: Found, file_system: bytes) -> Plan:
    """Everything to be written in order, if nothing of it touches NVS; OperatorFault else."""
    space = check_image(official, found)
    if len(file_system) > space.size:
        raise ValueError("the file system is larger than its partition")
    protected = official.protected
    ranges = (*official.ranges, Range("file system", space.offset, file_system))
    for one in ranges:
        for row in protected:
            if one.offset < row.end and row.offset < one.end:
                raise _in_the_way(f"writing {one.name} would erase {row.name} ({_place(row)})")
    return Plan(tuple(sorted(ranges, key=lambda one: one.offset)), protected)


def _in_the_way(why: str) -> OperatorFault:
    return OperatorFault(
        "The image would take the board's key away.",
        f"{why[0].upper()}{why[1:]}.",
        "Take an image with the same partition table. To give the board up with its key: "
        "esptool erase-flash, then flash it as a new one.",
        Code.NVS_IN_THE_WAY,
    )


def _same_place(one: Partition, other: Partition) -> bool:
    return (one.offset, one.size) == (other.offset, other.size)


def _place(row: Partition) -> str:
    return f"{row.offset:#x} to {row.end:#x}"


def _mib(size: int) -> str:
    return f"{size / (1 << 20):g} MiB"
