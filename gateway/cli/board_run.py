"""`cairn board run`: from whatever is on the cable to the first accepted reading."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.board_doctor import (
    found_port,
    gateway_of_board,
    named_gateway,
    show_failures,
    show_line,
    walked,
)
from gateway.cli.board_provision_order import Wanted, provision_options
from gateway.cli.options import PATH, data_option, json_option, port_option
from gateway.cli.output import emit_json, print_facts, progress
from gateway.device.image import ARCHITECTURES
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.printable import printable

if TYPE_CHECKING:
    from gateway.board.answer import Answer
    from gateway.board.doctor_report import Finding, Report
    from gateway.board.doctor_serial import SerialBoard
    from gateway.board.doctor_sides import Accepted, GatewaySide
    from gateway.board.follow import Change, Follower

_UNFLASHED = {Code.BOARD_BLANK, Code.BOARD_WITHOUT_CAIRN}


@click.command()
@port_option
@click.option(
    "--firmware",
    type=PATH,
    help="Official MicroPython image: flashed if there is no program on the board.",
)
@click.option(
    "--architecture",
    type=click.Choice(ARCHITECTURES),
    help="Of the program that is flashed: as of `board flash`.",
)
@provision_options
@data_option
@click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="Time for the first accepted reading; then the broken link is looked for.",
)
@json_option
@click.pass_context
def run(
    ctx: click.Context,
    *,
    board_port: str | None,
    firmware: Path | None,
    architecture: str | None,
    wanted: Wanted,
    data_dir: Path | None,
    timeout_s: int,
    as_json: bool,
) -> None:
    """Bring a board to its first accepted reading: flash and set up what is missing, then follow.

    A board that is set up is only restarted and followed; options of `board provision` set it up
    anew where it differs. What the board says and what the gateway sees is told link by link, and
    ends with the first reading that the gateway accepts. Exit code 1 if none came: then the doctor
    names the broken link.
    """
    from gateway.board.doctor_serial import SerialBoard

    follow = _Run(wanted, data_dir, as_json=as_json)
    board = SerialBoard(lambda: found_port(board_port), heard=follow.heard)
    try:
        try:
            board.enter()
        except OperatorFault as fault:
            if firmware is None or fault.code not in _UNFLASHED:
                raise
            board.close()
            _flash(ctx, board_port, firmware, architecture, yes=wanted.yes)
            follow.done.append("flashed")
            board.enter()
        code = follow.work(board, timeout_s)
    finally:
        board.close()
    ctx.exit(code)


class _Run:
    """One run: what was done, what was seen, and how it is told."""

    def __init__(self, wanted: Wanted, data_dir: Path | None, *, as_json: bool) -> None:
        self._wanted = wanted
        self._data_dir = data_dir
        self._as_json = as_json
        self._follower: Follower | None = None
        self.done: list[str] = []

    def heard(self, line: str) -> None:
        """A line of the running station."""
        if self._follower is not None:
            self.tell(self._follower.line(line))

    def tell(self, changes: "Sequence[Change]") -> None:
        for one in changes:
            state = "" if one.state is None else one.state.value
            do = f" -> {one.do}" if one.do else ""
            text = f"{state:<8}{one.link:<10} {one.what}{do}"
            click.echo(printable(text), err=True)

    def work(self, board: "SerialBoard", timeout_s: int) -> int:
        """Set up, restart, follow; the exit code."""
        from gateway.board.follow import Follower
        from gateway.board.run import follow

        answer, gateway = self._set_up(board)
        stopped = self._unfit(answer, gateway)
        if stopped is not None:
            return self._ended(str(answer.facts.get("device")), gateway, None, stopped)
        assert gateway is not None
        name = str(answer.facts["device"])
        self._follower = Follower(name, gateway.device(name))
        click.echo(f"restarting {name}, and following it to its first reading ...", err=True)
        board.restart()
        with progress("waiting for the first accepted reading") as bar:
            accepted = follow(
                board,
                gateway,
                name,
                self._follower,
                timeout_s=timeout_s,
                tell=self.tell,
                waited=lambda seconds: bar(int(seconds), timeout_s),
            )
        report = None if accepted is not None else self._examined(board, gateway, name)
        return self._ended(name, gateway, accepted, report)

    def _set_up(self, board: "SerialBoard") -> "tuple[Answer, GatewaySide | None]":
        answer = board.whoami()
        if answer.ok and (self._wanted.named or not _is_set_up(answer)):
            self._provision(board)
            answer = board.whoami()
        gateway = named_gateway(self._wanted.gateway_url, self._data_dir)
        return answer, gateway or gateway_of_board(_time_url(answer), self._data_dir)

    def _provision(self, board: "SerialBoard") -> None:
        from gateway.board.provision import provision
        from gateway.cli.board_provision_order import (
            Terminal,
            network_of,
            order_of,
            warn_of,
            wifi_of,
        )

        onboarding = network_of(self._wanted, self._data_dir)
        warn_of(onboarding)
        order = order_of(self._wanted, self._data_dir, wifi_of(self._wanted))
        outcome = provision(board.console, onboarding, order, Terminal(self._wanted))
        if outcome.changed:
            self.done.append("provisioned")

    def _unfit(self, answer: "Answer", gateway: "GatewaySide | None") -> "Report | None":
        """A board that cannot come to a reading as it is, in the doctor's words."""
        from gateway.board import doctor_board
        from gateway.board.doctor_report import Link, Report, State, failed
        from gateway.board.doctor_sides import NetworkLook

        known = None if gateway is None else gateway.network()
        network = known if isinstance(known, NetworkLook) else None
        finding: Finding = doctor_board.firmware(answer, network)
        if finding.state is not State.FAILED and gateway is None:
            finding = failed(
                Link.REGISTRY,
                "gateway_unnamed",
                "Nobody said which gateway accepts readings of this board.",
                "No gateway runs on the data directory here, and the board names none.",
                "Name it with `--gateway URL`.",
            )
        return Report([finding]) if finding.state is State.FAILED else None

    def _examined(self, board: "SerialBoard", gateway: "GatewaySide", name: str) -> "Report":
        """No reading came in time: walk along the links."""
        from gateway.board.doctor_report import Report

        click.echo("no reading was accepted in time; looking for the broken link ...", err=True)
        with walked(name, board, gateway, 0, self._data_dir) as visit:
            for finding in visit.walk():
                if not self._as_json:
                    show_line(finding)
        return Report(visit.findings, visit.station, gateway.url)

    def _ended(
        self,
        name: str,
        gateway: "GatewaySide | None",
        accepted: "Accepted | None",
        report: "Report | None",
    ) -> int:
        url = None if gateway is None else gateway.url
        if self._as_json:
            changes = [] if self._follower is None else self._follower.changes
            emit_json(
                {
                    "ok": accepted is not None,
                    "station": name,
                    "gateway": url,
                    "done": self.done,
                    "accepted": None if accepted is None else accepted.document(),
                    "changes": [one.document() for one in changes],
                    "doctor": None if report is None else report.document(),
                }
            )
        elif accepted is not None:
            _show_accepted(name, url, accepted)
        elif report is not None:
            show_failures(report)
            if not report.failures:
                click.echo("Every link holds now: it was only slow. `cairn board run` follows on.")
        if accepted is not None:
            return 0
        return 1 if report is None else report.exit_code() or 1


def _show_accepted(name: str, url: str | None, accepted: "Accepted") -> None:
    from gateway.board.doctor_gateway import utc

    print_facts(
        [
            ("station", name),
            ("accepted", utc(accepted.recv_ms)),
            ("reading", accepted.message_id),
            ("verdict", accepted.verdict),
            ("values", f"public after their ten minutes: {url}/v1/stations/{name}/readings"),
        ]
    )


def _flash(
    ctx: click.Context,
    board_port: str | None,
    firmware: Path,
    architecture: str | None,
    *,
    yes: bool,
) -> None:
    from gateway.cli.board_flash import flash

    # What flashing tells at its end is a step here, and no result.
    with redirect_stdout(sys.stderr):
        ctx.invoke(
            flash,
            board_port=board_port,
            board=None,
            firmware=firmware,
            url=None,
            digest=None,
            architecture=architecture,
            wait_seconds=60.0,
            yes=yes,
            as_json=False,
        )


def _is_set_up(answer: "Answer") -> bool:
    return bool(answer.facts.get("config")) and answer.facts.get("wifi") is True


def _time_url(answer: "Answer") -> str | None:
    from gateway.board.doctor import time_url

    config = answer.facts.get("config")
    return time_url(config.get("time") if isinstance(config, dict) else None)
