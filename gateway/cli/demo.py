"""`cairn demo`: the whole loop once, on this machine, and what to try next."""

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import PATH, json_option
from gateway.cli.output import FOUND, emit_json, heading, print_facts, print_table

if TYPE_CHECKING:
    from gateway.cli.demo_run import Demo

DEFAULT_SEED = 1
_WHY_THEY_DIFFER = """\
Ten stations were audited by hand (anchored). Whoever at least three independent stations heard,
with a chain of witnesses back to an audited one, counts in full as well (witnessed). About the
rest nobody independent could say whether they lie: each counts 2 %, and all of them together get
at most a twentieth of the pool for data."""


@click.command()
@click.option("--once", is_flag=True, help="Stop when all is done, instead of serving the API.")
@click.option("--seed", type=click.IntRange(0), default=DEFAULT_SEED, show_default=True)
@click.option(
    "--in-process",
    is_flag=True,
    help="Run stations and gateway in this process, without MQTT: bit-identical for a seed.",
)
@click.option(
    "--data",
    "data_dir",
    type=PATH,
    default=Path("cairn-demo"),
    show_default=True,
    help="Directory for the run. Replaced, if an earlier run made it.",
)
@json_option
@click.pass_context
def demo(
    ctx: click.Context, *, once: bool, seed: int, in_process: bool, data_dir: Path, as_json: bool
) -> None:
    """Run 100 stations for a day over MQTT, pay them, and have a stranger's process check it.

    The gateway is a process of its own, and is killed once on the way. Afterwards its API stays
    up until Ctrl-C.
    """
    from gateway.cli.demo_checks import problems
    from gateway.cli.demo_run import demonstration, header

    if not as_json:
        click.echo(header(seed, in_process=in_process))
    started_s = time.monotonic()
    with demonstration(seed, data_dir, in_process=in_process) as result:
        elapsed_s = time.monotonic() - started_s
        found = problems(result.facts())
        if as_json:
            emit_json(demo_json(result, found))
        else:
            _print(result, data_dir, elapsed_s)
        for problem in found:
            click.echo(f"problem: {problem}", err=True)
        if found:
            option = " --in-process" if in_process else ""
            click.echo(f"run it again: cairn demo --seed {seed}{option}", err=True)
        if not found and not once and result.api is not None:
            _serve(result.api, as_json)
    ctx.exit(FOUND if found else 0)


def _serve(api: str, as_json: bool) -> None:
    """Leave the gateway up until somebody has seen enough."""
    if not as_json:
        click.echo("\nThe gateway is still up, until Ctrl-C:")
        for path in ("/v1/stations", "/v1/epochs", "/ready", "/metrics", "/docs"):
            click.echo(f"  {api}{path}")
    try:
        signal.pause()
    except KeyboardInterrupt:
        click.echo("stopping the gateway", err=True)


def demo_json(result: "Demo", found: list[str]) -> dict[str, Any]:
    """The run as one object; amounts in base units as decimal strings."""
    from gateway.cli.demo_liars import exposed_json
    from gateway.core.ids import device_name

    report, totals = result.report, result.manifest.totals
    return {
        "stations": report.stations,
        "messages_signed": report.messages_signed,
        "messages_durable": report.messages_durable,
        "messages_dropped": report.messages_dropped,
        "signatures_cut": report.signatures_cut,
        "rejected": report.rejected,
        "corruptions": report.corruptions,
        "gateway_kills": result.kills,
        "epoch": result.manifest.epoch,
        "pool": str(totals.emission),
        "paid": str(totals.paid),
        "carry": str(totals.carry_after),
        "carry_before": str(totals.carry_before),
        "root": result.manifest.payout_root.hex(),
        "audit": {"ok": result.audit["ok"], "root": result.audit["root"]},
        "liars": [exposed_json(one) for one in result.exposed()],
        "false_alarms": [device_name(row.device) for row in result.false_alarms()],
        "coverage_paid": str(totals.coverage_paid),
        "digest": report.digest,
        "seed": report.seed,
        "simulated": True,
        "transport": "in-process" if result.mqtt is None else "mqtt",
        "mqtt": result.mqtt,
        "api": result.api,
        "bundle": str(result.bundle),
        "problems": found,
    }


def _print(result: "Demo", data_dir: Path, elapsed_s: float) -> None:
    from gateway.cli.stations import print_stations, tokens

    report, manifest = result.report, result.manifest
    totals = manifest.totals
    amounts = [tokens(one) for one in (totals.emission, totals.paid, totals.carry_after)]
    pool, paid, carry = (one.rjust(max(map(len, amounts))) for one in amounts)
    print_stations(result.stations)
    print_facts(
        [
            ("stations", f"{report.stations}, simulated"),
            ("messages signed", str(report.messages_signed)),
            ("messages durable", str(report.messages_durable)),
            ("dropped by boards", _under_gaps(report.messages_dropped)),
            ("cut by power", f"{report.signatures_cut} before they were stored: never sent"),
            ("rejected", f"{report.rejected} of {report.corruptions} corrupted on the way"),
            ("gateway kills", _kills_words(result)),
            ("pool", f"{pool} tokens"),
            ("paid", f"{paid} tokens, {tokens(totals.coverage_paid)} of them for coverage"),
            ("carry", f"{carry} tokens, kept for later days"),
            ("root", manifest.payout_root.hex()),
            ("audit", _audit_words(result)),
            ("time taken", f"{elapsed_s:.1f} s, audit included"),
        ]
    )
    click.echo(f"\n{_WHY_THEY_DIFFER}\n")
    _print_liars(result)
    click.echo("Next:")
    for command in next_commands(result, data_dir):
        click.echo(f"  {command}")


def _print_liars(result: "Demo") -> None:
    from gateway.cli.demo_liars import COLUMNS, NUMBERS, exposed_cells
    from gateway.core.ids import device_name

    exposed, alarms = result.exposed(), result.false_alarms()
    heading(f"{len(exposed)} of the {result.report.stations} stations lied:")
    print_table(COLUMNS, [exposed_cells(one) for one in exposed], right=NUMBERS)
    caught = sum(bool(one.verdicts) for one in exposed)
    honest = result.report.stations - len(exposed)
    names = ", ".join(device_name(row.device) for row in alarms)
    click.echo(
        f"caught {caught} of {len(exposed)}; false alarms among {honest} honest stations: "
        f"{len(alarms)}{f' ({names})' if names else ''}\n"
    )


def _under_gaps(dropped: int) -> str:
    return f"{dropped}, each under a signed gap" if dropped else "0"


def _kills_words(result: "Demo") -> str:
    if result.mqtt is None:
        return f"{result.kills}, inside a commit: simulated"
    return f"{result.kills}, with kill -9, and started again"


def _audit_words(result: "Demo") -> str:
    if result.audit["ok"]:
        return "another process computed the epoch again from the bundle: the same root"
    failed = [check["name"] for check in result.audit["checks"] if not check["ok"]]
    return f"FAILED: {', '.join(failed) or result.audit.get('error', 'no answer')}"


def next_commands(result: "Demo", data_dir: Path) -> list[str]:
    """Commands that work on what this run left: a paid, a standby station, the bundle, a claim."""
    from gateway.core.ids import device_name
    from gateway.core.station_json import slot

    epoch = result.manifest.epoch
    ordered = sorted(result.stations, key=lambda row: (-row.paid, row.device))
    best = ordered[0]
    commands = [f"cairn explain {device_name(best.device)} {epoch} --data {data_dir}"]
    standby = next((row for row in ordered if slot(row) == "standby"), None)
    if standby is not None:
        commands.append(f"cairn explain {device_name(standby.device)} {epoch} --data {data_dir}")
    commands.append(f"cairn audit {result.bundle}")
    owned = next((row for row in ordered if row.owner and row.paid), None)
    if owned is not None:
        commands.append(f"cairn claim proof 0x{owned.owner.hex()} --data {data_dir}")
    return commands
