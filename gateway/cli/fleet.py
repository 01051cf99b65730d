"""`cairn fleet`: many stations at once, simulated or replayed, through a real gateway."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import PATH, json_option, load_settings
from gateway.cli.output import FOUND, emit_json, print_facts, print_table, progress

if TYPE_CHECKING:
    from gateway.cli.fleet_run import Broker
    from simulator.fleet import FleetReport
    from simulator.record import Record

Verb = Callable[..., Any]

FAILURES_SHOWN = 20
MICROPYTHON = "micropython"

_fleet_data = click.option(
    "--data",
    "data_dir",
    type=PATH,
    default=Path("cairn-fleet"),
    show_default=True,
    help="Directory for the run. Replaced, if an earlier run made it.",
)
_in_process = click.option(
    "--in-process",
    is_flag=True,
    help="Run stations and gateway in this process, on virtual time alone. The default.",
)


def _over_mqtt(verb: Verb) -> Verb:
    """Give a verb the options of a run against a gateway in another process."""
    for option in (
        click.option(
            "--record",
            "record_path",
            type=PATH,
            help="Over MQTT: write every signed message here, as CBOR.",
        ),
        click.option(
            "--broker-ca", type=PATH, help="Certificate that vouches for an mqtts broker."
        ),
        click.option(
            "--network",
            type=PATH,
            help="Data directory of the broker's network. Overrides the setting data_dir.",
        ),
        click.option(
            "--broker",
            metavar="URL",
            help="Connect every station here (mqtt://HOST:PORT), or `auto`: to the gateway that "
            "runs on the network's data directory. Its clock must be driven.",
        ),
    ):
        verb = option(verb)
    return verb


@click.group()
def fleet() -> None:
    """Fleets of stations, on a virtual clock, with the firmware's own code."""


@fleet.command()
@click.option("--scenario", default="demo", show_default=True, help="A name, or a TOML file.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--runtime",
    type=click.Choice(("cpython", "micropython")),
    default="cpython",
    show_default=True,
    help="What the stations' program runs on. micropython: each on an interpreter of its own, "
    "with the program of a board's image; needs --broker and Node.js.",
)
@click.option(
    "--node-modules",
    type=PATH,
    help="Folder in which npm put MicroPython. Default: that of the checkout's tests.",
)
@_in_process
@_over_mqtt
@_fleet_data
@json_option
@click.pass_context
def run(
    ctx: click.Context,
    /,
    *,
    scenario: str,
    seed: int,
    runtime: str,
    node_modules: Path | None,
    in_process: bool,
    data_dir: Path,
    as_json: bool,
    **over_mqtt: Any,
) -> None:
    """Simulate a fleet to the close of its last day. In one process the same seed gives the same
    digest.
    """
    from gateway.cli.fleet_run import simulate, simulate_over_mqtt

    connection = _connection(in_process, **over_mqtt)
    if node_modules is not None and runtime != MICROPYTHON:
        raise click.UsageError("--node-modules is for --runtime micropython.")
    if connection is None and runtime == MICROPYTHON:
        raise click.UsageError("--runtime micropython needs --broker: boards have real sockets.")
    with progress(f"scenario {scenario}") as show:
        if connection is None:
            report = simulate(scenario, seed, data_dir, show)
        elif runtime == MICROPYTHON:
            from gateway.cli.fleet_boards import simulate_on_boards

            broker, data_dir, record = connection
            report = simulate_on_boards(
                scenario, seed, broker, show, node_modules=node_modules, record=record
            )
        else:
            broker, data_dir, record = connection
            report = simulate_over_mqtt(scenario, seed, broker, data_dir, show, record=record)
    _save(connection, over_mqtt["record_path"])
    _report(ctx, report, data_dir, as_json)


@fleet.command()
@click.option("--csv", "csv_path", type=PATH, required=True, help="Recorded readings.")
@_in_process
@_over_mqtt
@_fleet_data
@json_option
@click.pass_context
def replay(
    ctx: click.Context,
    /,
    *,
    csv_path: Path,
    in_process: bool,
    data_dir: Path,
    as_json: bool,
    **over_mqtt: Any,
) -> None:
    """Sign and send recorded readings as if boards had measured them.

    Columns: station, unix_time, lat, lon, then quantities with their unit in brackets, for
    example temperature[Cel].
    """
    from gateway.cli.fleet_run import replay_csv, replay_over_mqtt

    connection = _connection(in_process, **over_mqtt)
    with progress(f"replaying {csv_path.name}") as show:
        if connection is None:
            report = replay_csv(csv_path, data_dir, show)
        else:
            broker, data_dir, record = connection
            report = replay_over_mqtt(csv_path, broker, data_dir, show, record=record)
    _save(connection, over_mqtt["record_path"])
    _report(ctx, report, data_dir, as_json)


def _connection(
    in_process: bool,
    broker: str | None,
    network: Path | None,
    broker_ca: Path | None,
    record_path: Path | None,
) -> "tuple[Broker, Path, Record | None] | None":
    """The broker, its network's directory and the record to keep; None: in one process."""
    given = {"--network": network, "--broker-ca": broker_ca, "--record": record_path}
    if broker is None:
        lost = [name for name, value in given.items() if value is not None]
        if lost:
            raise click.UsageError(f"{lost[0]} is for runs over MQTT: give --broker too.")
        return None
    if in_process:
        raise click.UsageError("--in-process and --broker exclude each other.")
    from gateway.cli.fleet_run import Broker
    from simulator.record import Record

    loaded = load_settings(data_dir=network)
    record = Record() if record_path is not None else None
    return Broker(broker, loaded, broker_ca), loaded.settings.data_dir, record


def _save(connection: "tuple[Broker, Path, Record | None] | None", path: Path | None) -> None:
    if connection is None or path is None or connection[2] is None:
        return
    try:
        connection[2].save(path)
    except OSError as error:
        from gateway.shell.errors import Code, OperatorFault

        raise OperatorFault(
            f"The record cannot be written to {path}.",
            f"{error.strerror}.",
            "The run itself is complete; name another file with --record.",
            Code.FILE_UNWRITABLE,
        ) from error


def _report(ctx: click.Context, report: "FleetReport", data_dir: Path, as_json: bool) -> None:
    facts = report_json(report)
    if as_json:
        emit_json(facts)
    else:
        _print(facts, data_dir)
    ctx.exit(FOUND if report.failures else 0)


def report_json(report: "FleetReport") -> dict[str, Any]:
    """A run's report; amounts in base units as decimal strings, those of the last epoch on top."""
    epochs = [
        {
            "epoch": one.epoch,
            "pool": str(one.emission),
            "offered": str(one.offered),
            "paid": str(one.paid),
            "carry_before": str(one.carry_before),
            "carry": str(one.carry_after),
            "message_root": one.message_root.hex(),
            "root": one.payout_root.hex(),
            "manifest_hash": one.manifest_hash.hex(),
        }
        for one in report.epochs
    ]
    numbers = {
        name: getattr(report, name)
        for name in (
            "scenario",
            "seed",
            "stations",
            "messages_signed",
            "messages_durable",
            "messages_dropped",
            "signatures_cut",
            "rejected",
            "corruptions",
            "deferred",
            "duplicates",
            "resends",
            "gateway_crashes",
            "board_restarts",
            "digest",
            "replay",
        )
    }
    failures = [{"invariant": one.invariant, "detail": one.detail} for one in report.failures]
    liars = [asdict(one) for one in report.liars]
    facts = {**numbers, "epochs": epochs, "liars": liars, "failures": failures}
    if report.transport is not None:
        facts["transport"] = asdict(report.transport)
    if report.boards is not None:
        facts["boards"] = asdict(report.boards)
    return facts


def _print(facts: dict[str, Any], data_dir: Path) -> None:
    from gateway.cli.stations import tokens

    print_table(
        ["epoch", "pool", "paid", "carry", "root"],
        [
            [
                str(one["epoch"]),
                *(tokens(int(one[name])) for name in ("pool", "paid", "carry")),
                one["root"],
            ]
            for one in facts["epochs"]
        ],
        right=["pool", "paid", "carry"],
    )
    click.echo()
    shown = {**facts, **facts.get("transport", {}), **facts.get("boards", {})}
    plain = [(n, str(value)) for n, value in shown.items() if not isinstance(value, list | dict)]
    said = [(f"reported {code}", str(n)) for code, n in shown.get("reports", {}).items()]
    print_facts([*plain, *said, ("data", str(data_dir))])
    if facts["liars"]:
        click.echo()
        names = ("device", "name", "attack", "tries")
        print_table(names, [[one[name] for name in names] for one in facts["liars"]])
    if shown.get("crashes_left_out"):
        click.echo("the scenario's gateway crashes were left out: nobody was told how", err=True)
    failures = facts["failures"]
    for failure in failures[:FAILURES_SHOWN]:
        click.echo(f"broken: {failure['invariant']}: {failure['detail']}", err=True)
    if len(failures) > FAILURES_SHOWN:
        click.echo(f"broken: {len(failures) - FAILURES_SHOWN} more; --json has all", err=True)
