"""`cairn board virtual`: a board for everybody who has none."""

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import PATH, json_option, load_settings
from gateway.cli.output import emit_json, print_facts
from gateway.shell.errors import Code, OperatorFault

if TYPE_CHECKING:
    from simulator.virtual import VirtualBoard

_CHIPS = ("esp32", "esp32s3", "esp32c3")
_MEGABYTE = 1 << 20
_LOOK_S = 0.2
_BUTTONS = """\
Buttons (a key on this terminal, or a letter on standard input):
  b  hold BOOT, press RESET: it waits for cairn board flash
  r  press RESET
  p  switch its power off, and on again
  u  pull the cable out, and plug it in again
  w  switch its Wi-Fi networks off, and on again (a connection that is there stays)
  q  end (or Ctrl-C); what is in its flash stays
Its USB port with DTR and RTS (rfc2217://...) needs no buttons. What it prints follows.
"""


@click.command()
@click.option("--chip", type=click.Choice(_CHIPS), default=_CHIPS[0], show_default=True)
@click.option(
    "--folder",
    type=PATH,
    default=None,
    help="Where its flash is kept. Default: virtual-board in the data directory.",
)
@click.option(
    "--flash-mb",
    type=click.Choice(("2", "4", "8", "16")),
    default="4",
    show_default=True,
    help="Size of its flash.",
)
@click.option(
    "--wifi",
    "networks",
    multiple=True,
    metavar="NAME:PASSWORD",
    help="A network around it; may be given again. Default: home:secret-wifi.",
)
@json_option
def virtual(
    *, chip: str, folder: Path | None, flash_mb: str, networks: tuple[str, ...], as_json: bool
) -> None:
    """Run a board that is not there, until Ctrl-C: ports, flash, and MicroPython on it.

    It speaks the serial protocol of the chip's ROM, so it can be flashed, and after that it runs
    a real MicroPython, so it can be set up and report. A BME280 (I2C 0) and a DHT22 (pin 4) are on
    it. It has no ESP32's CPU: flash it with --architecture bytecode.
    """
    folder = folder or load_settings().settings.data_dir / "virtual-board"
    wifi = dict(map(_network, networks or ("home:secret-wifi",)))
    with _board(folder, chip, int(flash_mb) * _MEGABYTE, wifi) as board:
        facts = {"port": board.pty, "usb_port": board.url, "chip": chip, "folder": str(folder)}
        if as_json:
            emit_json(facts)
        else:
            print_facts(
                [
                    ("port", board.pty),
                    ("USB port", board.url),
                    ("chip", chip),
                    ("Wi-Fi", ", ".join(wifi)),
                    ("flash", str(folder)),
                ]
            )
            click.echo(_BUTTONS, err=True)
        sys.stdout.flush()
        with suppress(KeyboardInterrupt), _keys() as keys:
            _attend(board, keys)


def _network(text: str) -> tuple[str, str]:
    name, _, password = text.partition(":")
    return name, password


@contextmanager
def _board(
    folder: Path, chip: str, flash_bytes: int, wifi: dict[str, str]
) -> "Iterator[VirtualBoard]":
    from gateway.board.ports import tools_missing
    from simulator.virtual import Unready, VirtualBoard

    try:
        board = VirtualBoard(folder, chip=chip, flash_bytes=flash_bytes, wifi=wifi)
    except Unready as missing:
        raise tools_missing(str(missing)) from missing
    except OSError as error:
        raise OperatorFault(
            "The folder of the board's flash cannot be used.",
            f"{folder}: {error.strerror}.",
            "Give another --folder.",
            Code.FILE_UNWRITABLE,
        ) from error
    with board:
        yield board


@contextmanager
def _keys() -> Iterator[int]:
    """Standard input's descriptor, on which a terminal gives each key at once."""
    descriptor = sys.stdin.fileno()
    if not os.isatty(descriptor):
        yield descriptor
        return
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _attend(board: "VirtualBoard", keys: int) -> None:
    """Press what is asked for and show what it prints, until the end."""
    air = dict(board.air)
    presses: dict[bytes, Callable[[], None]] = {
        b"b": board.hold_boot_and_reset,
        b"r": board.press_reset,
        b"p": lambda: board.power_on() if board.state == "off" else board.power_cut(),
        b"u": lambda: _cable(board),
        b"w": lambda: board.air.clear() if board.air else board.air.update(air),
    }
    shown = 0
    watched = [keys]
    while True:
        readable, _, _ = select.select(watched, [], [], _LOOK_S)
        shown, text = board.printed_since(shown)
        click.echo(text, err=True, nl=False)
        if not readable:
            continue
        key = os.read(keys, 1)
        if key == b"q":
            return
        if not key:
            # Nobody types: it runs until it is interrupted.
            watched = []
        elif key in presses:
            presses[key]()


def _cable(board: "VirtualBoard") -> None:
    if board.state == "off":
        board.plug_in()
        click.echo(f"plugged in: {board.pty}", err=True)
    else:
        board.unplug()
