"""`cairn board provision --batch`: the boards of a table, one after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.board_provision_order import (
    Terminal,
    Wanted,
    network_of,
    order_of,
    warn_of,
    wifi_of,
)
from gateway.cli.output import emit_json, print_table, progress

if TYPE_CHECKING:
    from gateway.board.batch import Done, Log, Row
    from gateway.board.provision import Order, Wifi


def provision_batch(
    wanted: Wanted,
    batch_file: Path,
    log_file: Path | None,
    labels_file: Path | None,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    """Go through the table. OperatorFault batch_failed at the end if a board failed."""
    from gateway.board.batch import Log, read_rows, run_batch
    from gateway.cli.board_labels import logged, write_labels
    from gateway.cli.board_provision import set_up

    rows = read_rows(batch_file)
    path = log_file or batch_file.with_suffix(".jsonl")
    log = Log(path)
    shared = wifi_of(wanted)
    orders = _orders(wanted, rows, data_dir, shared)
    _agree_to_all(wanted, rows, orders, log)
    onboarding = network_of(wanted, data_dir)
    warn_of(onboarding)
    with progress("boards") as bar:

        def told(row: "Row", text: str) -> None:
            click.echo(f"{row.name}: {text}", err=True)
            bar(sum(log.is_done(one.name) for one in rows), len(rows))

        def provision(row: "Row", port: str) -> dict[str, Any]:
            person = _Attendant(wanted, row, log, told)
            return set_up(port, onboarding, orders[row.name], person).document(onboarding)

        run_batch(rows, log, provision, _next_port(told), told=told)
    if labels_file is not None:
        write_labels(labels_file, logged(path, None))
    _show(rows, log, as_json=as_json)


class _Attendant(Terminal):
    """Whoever plugs in board after board. What is public was agreed to before the first one."""

    def __init__(
        self, wanted: Wanted, row: "Row", log: "Log", told: Callable[["Row", str], None]
    ) -> None:
        super().__init__(wanted)
        self._row, self._log, self._told = row, log, told

    def step(self, text: str) -> None:
        self._told(self._row, text)

    def met(self, device: str) -> None:
        from gateway.board.batch import BoardSeenError

        name = self._log.name_of(device)
        if name is not None and name != self._row.name:
            raise BoardSeenError(device, name)
        self._told(self._row, f"board {device}")

    def agree(self, statements: list[str], *, overwrites: bool) -> bool:
        return not overwrites or super().agree(statements, overwrites=overwrites)


def _orders(
    wanted: Wanted, rows: "Sequence[Row]", data_dir: Path | None, wifi: "Wifi | None"
) -> "dict[str, Order]":
    """All of them before the first board: a mistyped place is no reason to stop in the middle."""
    from gateway.shell.errors import Code, OperatorFault

    found = {}
    for row in rows:
        try:
            found[row.name] = order_of(_of_row(wanted, row), data_dir, wifi)
        except OperatorFault as fault:
            raise OperatorFault(
                f"Line {row.line} of the table, {row.name}, cannot be done.",
                f"{fault.what} {fault.why}",
                fault.do,
                Code.BATCH_INVALID,
            ) from fault
    return found


def _of_row(wanted: Wanted, row: "Row") -> Wanted:
    """The options, and over them what the row says."""
    fields = row.fields
    given: dict[str, Any] = {
        name: fields[name] for name in ("place", "owner", "antenna") if name in fields
    }
    for name in ("owner_key", "broker_password_file"):
        if name in fields:
            given[name] = Path(fields[name])
    # A row's owner is its owner, of whichever kind the options name one.
    for one, other in (("owner", "owner_key"), ("owner_key", "owner")):
        if one in given and other not in given:
            given[other] = None
    if "sensors" in fields:
        given["sensors"] = row.sensors
    if "coarse" in fields:
        given["coarse"] = row.flag("coarse")
    return replace(wanted, **given)


def _agree_to_all(
    wanted: Wanted, rows: "Sequence[Row]", orders: "Mapping[str, Order]", log: "Log"
) -> None:
    from gateway.board.provision import not_agreed

    statements = [
        f"{row.name}: {place.public()}"
        for row in rows
        if not log.is_done(row.name) and (place := orders[row.name].place) is not None
    ]
    if statements and not Terminal(wanted).agree(statements, overwrites=False):
        raise not_agreed()


def _next_port(told: "Callable[[Row, str], None]") -> "Callable[[Row], str]":
    from gateway.board.batch import Plugged
    from gateway.board.ports import usb_ports

    plugged = Plugged(lambda: [str(one.device) for one in usb_ports()])

    def next_port(row: "Row") -> str:
        if row.port is not None:
            return row.port
        told(row, "plug in its board")
        return plugged.next()

    return next_port


def _show(rows: "Sequence[Row]", log: "Log", *, as_json: bool) -> None:
    """What became of each row; a fault at the end if one failed."""
    from gateway.shell.errors import Code, OperatorFault

    found = [log.done[row.name] for row in rows]
    failed = [one for one in found if not one.ok]
    if as_json:
        emit_json({"done": len(found) - len(failed), "boards": [one.document() for one in found]})
    else:
        print_table(
            ("board", "station", "result"),
            [(one.name, one.device or "", _result(one)) for one in found],
        )
    if failed:
        raise OperatorFault(
            f"{len(failed)} of {len(found)} boards could not be set up.",
            f"The first of them, {failed[0].name}: {_result(failed[0])}",
            "Mend that and run the same command again: the others are skipped.",
            Code.BATCH_FAILED,
        )


def _result(done: "Done") -> str:
    return "done" if done.fault is None else f"{done.fault['what']} ({done.fault['code']})"
