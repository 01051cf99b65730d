"""`cairn board doctor`: which link between a board and its first accepted reading is broken."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import data_option, json_option, load_settings, port_of, port_option
from gateway.cli.output import Progress, emit_json, heading, print_facts, progress
from gateway.shell.printable import printable

if TYPE_CHECKING:
    from gateway.board.doctor import Visit
    from gateway.board.doctor_report import Finding, Report
    from gateway.board.doctor_serial import SerialBoard
    from gateway.board.doctor_sides import GatewaySide

gateway_option = click.option(
    "--gateway",
    "gateway_url",
    metavar="URL",
    help="The gateway's HTTP API. Default: the one that runs on --data, else the one that the "
    "board was given.",
)


@click.command()
@port_option
@gateway_option
@data_option
@click.option(
    "--station",
    metavar="NAME",
    help="Without --port: no cable, and the gateway's links of this station alone. With it: the "
    "board has to be this one.",
)
@click.option(
    "--wait",
    "wait_s",
    type=click.IntRange(0),
    default=90,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the gateway to hear the board once it runs again.",
)
@json_option
@click.pass_context
def doctor(
    ctx: click.Context,
    *,
    board_port: str | None,
    gateway_url: str | None,
    data_dir: Path | None,
    station: str | None,
    wait_s: int,
    as_json: bool,
) -> None:
    """Walk from the cable to the first accepted reading, and say which link is broken.

    The links: serial, firmware, sensors, Wi-Fi, DNS, broker, TLS, clock, signature, registry,
    reading. It stops at the first that is broken; a broken sensor stops nothing. The board is
    interrupted, and runs again afterwards. Exit codes: 0 all holds, 1 something is broken, 3 board
    or gateway cannot be reached.
    """
    _check_name(station)
    gateway = named_gateway(gateway_url, data_dir)
    if station is not None and board_port is None:
        with walked(station, None, gateway or local_gateway(data_dir), wait_s) as visit:
            ctx.exit(_told(visit, as_json=as_json))
    from gateway.board.doctor_serial import SerialBoard

    board = SerialBoard(lambda: found_port(board_port))
    try:
        with walked(station, board, gateway, wait_s, data_dir) as visit:
            code = _told(visit, as_json=as_json)
    finally:
        board.close()
    ctx.exit(code)


def found_port(board_port: str | None) -> str:
    """The port that was named or set; auto looks for it."""
    from gateway.board.ports import find_port

    return find_port(port_of(board_port))


def named_gateway(url: str | None, data_dir: Path | None) -> "GatewaySide | None":
    """The gateway that was asked for, by its URL or by its data directory."""
    from gateway.board.doctor_http import HttpGateway

    if url is not None:
        return HttpGateway(url)
    return None if data_dir is None else local_gateway(data_dir)


def local_gateway(data_dir: Path | None) -> "GatewaySide | None":
    """The gateway that runs on the data directory; None if none does."""
    from gateway.board.doctor_http import HttpGateway
    from gateway.shell.lock import running

    addresses = running(load_settings(data_dir=data_dir).settings.data_dir)
    return None if addresses is None else HttpGateway(addresses.http)


def gateway_of_board(url: str | None, data_dir: Path | None) -> "GatewaySide | None":
    """The one that the board was given, or, if this computer cannot ask that, the local one."""
    from gateway.board.doctor_http import HttpGateway
    from gateway.board.doctor_sides import Unreached

    given = None if url is None else HttpGateway(url)
    if given is not None and not isinstance(given.network(), Unreached):
        return given
    return local_gateway(data_dir) or given


@contextmanager
def walked(
    station: str | None,
    board: "SerialBoard | None",
    gateway: "GatewaySide | None",
    wait_s: int,
    data_dir: Path | None = None,
) -> "Iterator[Visit]":
    """A visit that is ready to walk, with a bar on stderr as long as the gateway is waited for."""
    import time

    from gateway.board.doctor import Patient, Visit
    from gateway.board.doctor_http import patience

    with ExitStack() as stack:
        bars: list[Progress] = []

        def waited(seconds: float) -> None:
            if not bars:
                # Only now: whoever finds a fresh reading does not wait.
                title = "waiting for the gateway to hear the board"
                bars.append(stack.enter_context(progress(title)))
            bars[0](int(seconds), wait_s)

        listen: Callable[[float], None] = time.sleep if board is None else board.listen
        yield Visit(
            Patient(
                station,
                board,
                gateway,
                lambda url: gateway_of_board(url, data_dir),
                patience(wait_s, waited, listen),
                lambda: time.time_ns() // 1_000_000,
            )
        )


def _told(visit: "Visit", *, as_json: bool) -> int:
    from gateway.board.doctor_report import Report

    for finding in visit.walk():
        if not as_json:
            show_line(finding)
    url = None if visit.gateway is None else visit.gateway.url
    report = Report(visit.findings, visit.station, url)
    if as_json:
        emit_json(report.document())
    else:
        show_failures(report)
    return report.exit_code()


def show_line(finding: "Finding") -> None:
    """A link on one line, as soon as it was looked at."""
    why = f" ({printable(finding.why)})" if finding.state == "SKIPPED" and finding.why else ""
    click.echo(f"{finding.state:<8}{finding.link:<10} {printable(finding.what)}{why}")


def show_failures(report: "Report") -> None:
    """What is broken, at length: what, why, what to do, the code."""
    for one in report.failures:
        click.echo()
        heading(f"{one.link}: {printable(one.what)}")
        facts = [("why", one.why), ("do", one.do), ("code", one.code)]
        # A traceback of the board has several lines.
        lines = [(f"  {name}", printable(" ".join(text.split()))) for name, text in facts if text]
        print_facts(lines)


def _check_name(station: str | None) -> None:
    from gateway.core.ids import parse_device

    if station is not None and parse_device(station) is None:
        raise click.BadParameter("a station is 26 characters of base32", param_hint="--station")
