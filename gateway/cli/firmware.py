"""`cairn firmware`: the program of a board."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import click

from gateway.cli.options import PATH, json_option
from gateway.cli.output import emit_json, print_facts, print_table, progress
from gateway.device.board_image import board_files, firmware_version
from gateway.device.flash import BLOCK_BYTES, PARTITION_BLOCKS, pack
from gateway.device.image import ARCHITECTURES, build_image
from gateway.shell.errors import Code, OperatorFault

_KIB = 1024


@click.group()
def firmware() -> None:
    """What runs on a board."""


@firmware.command()
@click.option(
    "--architecture",
    type=click.Choice(ARCHITECTURES),
    default="xtensawin",
    show_default=True,
    help="xtensawin: ESP32, S2, S3; rv32imc: C3, C6; bytecode: any, without machine code.",
)
@click.option(
    "--partition",
    "partition_kib",
    type=click.IntRange(min=64),
    default=PARTITION_BLOCKS * BLOCK_BYTES // _KIB,
    show_default=True,
    metavar="KIB",
    help="Size of the board's partition `vfs`.",
)
@click.option(
    "--source",
    type=PATH,
    help="Folder with cairn/ and main.py. Default: the firmware of this version.",
)
@click.option(
    "--counter",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of the release that these sources are; 0: none, so that any release replaces it.",
)
@click.option(
    "--offer",
    "offer_file",
    type=PATH,
    help="Configuration that a board without one adopts (an encoded one, as a file).",
)
@click.option(
    "--output",
    type=PATH,
    help="File to write. Default: cairn-ARCHITECTURE.littlefs.",
)
@click.option(
    "--names",
    "names_file",
    type=PATH,
    help="File to write what the short names in a traceback stand for, as JSON.",
)
@click.option(
    "--plain",
    is_flag=True,
    help="Module by module as written: needs twice the heap, for debugging.",
)
@json_option
def build(
    *,
    architecture: str,
    partition_kib: int,
    source: Path | None,
    counter: int,
    offer_file: Path | None,
    output: Path | None,
    names_file: Path | None,
    plain: bool,
    as_json: bool,
) -> None:
    """Build the file system that is flashed beside MicroPython.

    The same sources give the same bytes. In it are the loader and the program in the first of two
    slots; updates over the air come into the other. `cairn board flash` does this and flashes it;
    by hand it goes to where the board's partition `vfs` begins, 0x200000 with 4 MB of flash:
    esptool write-flash 0x200000 cairn-xtensawin.littlefs
    """
    blocks = partition_kib * _KIB // BLOCK_BYTES
    offer = None if offer_file is None else _read(offer_file)
    with progress("modules") as told:
        image = build_image(source, architecture, blocks=blocks, minified=not plain, told=told)
    version = firmware_version(source)
    files = board_files(image, version=version, counter=counter, offer=offer)
    data = pack(files, blocks)
    path = output or Path(f"cairn-{architecture}.littlefs")
    _write(path, data)
    if names_file is not None:
        _write(names_file, json.dumps(image.names, indent=1).encode())
    result = {
        "file": str(path),
        "architecture": architecture,
        "version": version,
        "counter": counter,
        "blocks": blocks,
        "bytes": len(data),
        "sha256": sha256(data).hexdigest(),
        "files": _listed(files),
    }
    if as_json:
        emit_json(result)
        return
    _show(result)


def _listed(files: Mapping[str, bytes]) -> list[dict[str, object]]:
    return [
        {"name": name, "bytes": len(content), "sha256": sha256(content).hexdigest()}
        for name, content in sorted(files.items())
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorFault(
            "A file cannot be read.",
            f"{path}: {error.strerror}.",
            "Name another one.",
            Code.FILE_UNREADABLE,
        ) from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OperatorFault(
            "A file cannot be written.",
            f"{path}: {error.strerror}.",
            "Name another one.",
            Code.FILE_UNWRITABLE,
        ) from error


def _show(result: dict[str, Any]) -> None:
    print_table(
        ["file", "bytes", "sha256"],
        [[file["name"], str(file["bytes"]), file["sha256"][:16]] for file in result["files"]],
        right=["bytes"],
    )
    click.echo()
    names = ("file", "architecture", "version", "counter", "bytes", "sha256")
    print_facts([(name, str(result[name])) for name in names])
