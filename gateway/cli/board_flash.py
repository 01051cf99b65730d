"""`cairn board flash`: MicroPython and the station's program, onto a board."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.board.flash_plan import ARCHITECTURES as CHIPS
from gateway.cli.options import PATH, json_option, port_of, port_option
from gateway.cli.output import emit_json, print_facts, progress
from gateway.device.image import ARCHITECTURES
from gateway.shell.errors import OperatorFault
from gateway.shell.printable import printable

if TYPE_CHECKING:
    from gateway.board.flash import Flashing
    from gateway.board.flash_states import State
    from gateway.cli.output import Progress

_HEX_DIGITS = 64


@click.command()
@port_option
@click.option(
    "--board",
    type=click.Choice(tuple(CHIPS)),
    help="Refuse another chip. Default: what the chip says it is.",
)
@click.option(
    "--firmware",
    type=PATH,
    help="Official MicroPython image of the board (ESP32_GENERIC-....bin).",
)
@click.option("--download", "url", metavar="URL", help="Load that image from there instead.")
@click.option("--sha256", "digest", metavar="HEX", help="SHA-256 that the image must have.")
@click.option(
    "--architecture",
    type=click.Choice(ARCHITECTURES),
    help="Machine code of the program. Default: the chip's; bytecode runs on any.",
)
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for BOOT and RESET, if the board cannot be reset through the port.",
)
@click.option("--yes", is_flag=True, help="Flash a board that was set up before, without asking.")
@json_option
def flash(
    *,
    board_port: str | None,
    board: str | None,
    firmware: Path | None,
    url: str | None,
    digest: str | None,
    architecture: str | None,
    wait_seconds: float,
    yes: bool,
    as_json: bool,
) -> None:
    """Write MicroPython and the station's program onto a board, check both, and restart it.

    Bootloader, partition table, application and file system are written apart from each other:
    the part of the flash that holds the board's key, login, configuration and Wi-Fi is never
    written, and its hash is compared before and after. What is there already is left out, so
    that a second try is short.
    """
    from gateway.board.flash import Flashing, Wanted
    from gateway.board.flash_download import images_folder

    _check_options(firmware, url, digest)
    wanted = Wanted(
        port=port_of(board_port),
        firmware=firmware,
        url=url or "",
        digest=(digest or "").lower(),
        folder=images_folder(),
        board=board,
        architecture=architecture,
        wait_seconds=wait_seconds,
    )
    with _shown(yes=yes, talkative=not as_json) as show:
        flashing = Flashing(wanted, show)
        fault = _run(flashing, as_json=as_json)
    _tell(flashing, fault, as_json=as_json)


def _check_options(firmware: Path | None, url: str | None, digest: str | None) -> None:
    if (firmware is None) == (url is None):
        raise click.UsageError("Name an image: either --firmware FILE or --download URL.")
    if url is not None and digest is None:
        raise click.UsageError("--download needs --sha256: the hash that its source publishes.")
    if digest is not None and (
        len(digest) != _HEX_DIGITS or not set(digest.lower()) <= set("0123456789abcdef")
    ):
        raise click.UsageError("--sha256 is 64 hexadecimal digits.")


def _run(flashing: "Flashing", *, as_json: bool) -> OperatorFault | None:
    try:
        flashing.run()
    except OperatorFault as fault:
        if not as_json:
            raise
        return fault
    except KeyboardInterrupt:
        from gateway.board.flash_faults import NOT_WRITTEN, WRITTEN

        click.echo(WRITTEN if flashing.written else NOT_WRITTEN, err=True)
        raise
    return None


def _tell(flashing: "Flashing", fault: OperatorFault | None, *, as_json: bool) -> None:
    from gateway.board.flash_report import report

    told = report(flashing, fault)
    if as_json:
        emit_json(told)
    else:
        _print(told)
    if fault is not None:
        raise fault


def _print(told: dict[str, Any]) -> None:
    board = told["board"]
    facts = [
        ("chip", f"{board['chip']}, {board['flash_bytes'] >> 20} MiB flash, {board['mac']}"),
        ("micropython", printable(told["firmware"]["version"]) or "of an unnamed version"),
        ("program", told["architecture"]),
        ("kept", ", ".join(one["name"] for one in told["protected"]) + ": unchanged"),
    ]
    print_facts(facts)
    known = board["provisioned"]
    click.echo(
        "The board goes on where it was: cairn board run follows it."
        if known
        else "Now set it up: cairn board run",
        err=True,
    )


class _Watch:
    """Tells a person on stderr where it is."""

    def __init__(self, bars: ExitStack, *, yes: bool, talkative: bool) -> None:
        self._bars = bars
        self._yes = yes
        self._talkative = talkative
        self._bar: Progress | None = None
        self._title = ""

    def state(self, state: "State") -> None:
        from gateway.board.flash_states import SENTENCES, State

        self._bars.close()
        self._bar = None
        self._title = str(state)
        # Failing is told at length.
        if self._talkative and state is not State.FAILED:
            click.echo(SENTENCES[state], err=True)

    def progress(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = self._bars.enter_context(progress(self._title))
        self._bar(done, total)

    def hint(self, text: str) -> None:
        self._bars.close()
        self._bar = None
        click.echo(text, err=True)

    def consent(self, text: str) -> bool:
        click.echo(text, err=True)
        if self._yes:
            return True
        return sys.stdin.isatty() and click.confirm("Flash it?", err=True)


@contextmanager
def _shown(*, yes: bool, talkative: bool) -> Iterator[_Watch]:
    with ExitStack() as bars:
        yield _Watch(bars, yes=yes, talkative=talkative)
