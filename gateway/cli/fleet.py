"""`cairn fleet`: many stations at once, simulated or replayed, through a real gateway."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import PATH, json_option
from gateway.cli.output import FOUND, emit_json, print_facts, print_table, progress

if TYPE_CHECKING:
    from simulator.fleet import FleetReport

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
    expose_value=False,
    help="Run stations and gateway in this process. So far the only way.",
)


@click.group()
def fleet() -> None:
    """Fleets of stations, on a virtual clock, with the firmware's own code."""


@fleet.command()
@click.option("--scenario", default="demo", show_default=True, help="A name, or a TOML file.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@_in_process
@_fleet_data
@json_option
@click.pass_context
def run(ctx: click.Context, scenario: str, seed: int, data_dir: Path, as_json: bool) -> None:
    """Simulate a fleet to the close of its last day. The same seed gives the same digest."""
    from gateway.cli.fleet_run import simulate

    with progress(f"scenario {scenario}") as show:
        report = simulate(scenario, seed, data_dir, show)
    _report(ctx, report, data_dir, as_json)


@fleet.command()
@click.option("--csv", "csv_path", type=PATH, required=True, help="Recorded readings.")
@_in_process
@_fleet_data
@json_option
@click.pass_context
def replay(ctx: click.Context, csv_path: Path, data_dir: Path, as_json: bool) -> None:
    """Sign and send recorded readings as if boards had measured them.

    Columns: station, unix_time, lat, lon, then quantities with their unit in brackets, for
    example temperature[Cel].
    """
    from gateway.cli.fleet_run import replay_csv

    with progress(f"replaying {csv_path.name}") as show:
        report = replay_csv(csv_path, data_dir, show)
    _report(ctx, report, data_dir, as_json)


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
    return {**numbers, "epochs": epochs, "failures": failures}


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
    plain = [(name, str(value)) for name, value in facts.items() if not isinstance(value, list)]
    print_facts([*plain, ("data", str(data_dir))])
    for failure in facts["failures"]:
        click.echo(f"broken: {failure['invariant']}: {failure['detail']}", err=True)
