"""`cairn epoch`: closing UTC days, and what came of them."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import data_option, json_option
from gateway.cli.output import emit_json, print_facts, print_table

if TYPE_CHECKING:
    from gateway.shell.service import Gateway
    from gateway.shell.store.base import StoredEpoch


@click.group()
def epoch() -> None:
    """Epochs: UTC days that are judged, paid and settled."""


@epoch.command()
@click.argument("number", metavar="[EPOCH]", type=click.IntRange(0), required=False)
@data_option
@json_option
def close(number: int | None, data_dir: Path | None, as_json: bool) -> None:
    """Close every epoch that is due, or all up to EPOCH.

    On a simulated network the clock is moved forward as far as EPOCH needs it. A running gateway
    closes epochs itself; while it runs, this is refused.
    """
    from gateway.cli.data import opened
    from gateway.core.registry import Policy
    from gateway.shell.lock import held
    from gateway.shell.published import stored_epoch, summary
    from gateway.shell.service import Gateway

    with opened(data_dir) as data, held(data.network.folder):
        policy = Policy(data.loaded.settings.admission_policy)
        gateway = Gateway.open(data.store, data.keys(), policy)
        simulated = data.network.genesis.simulated
        closed = _close_up_to(gateway, number, simulated=simulated)
        summaries = [summary(stored_epoch(gateway.store, one)) for one in closed]
    if as_json:
        emit_json({"closed": summaries})
        return
    _print_summaries(summaries)


@epoch.command("list")
@data_option
@json_option
def list_(data_dir: Path | None, as_json: bool) -> None:
    """List the closed epochs."""
    from gateway.cli.data import opened
    from gateway.shell.published import stored_epoch, summary

    with opened(data_dir) as data:
        numbers = data.store.epoch_numbers()
        summaries = [summary(stored_epoch(data.store, number)) for number in numbers]
    if as_json:
        emit_json({"epochs": summaries})
        return
    _print_summaries(summaries)


@epoch.command()
@click.argument("number", metavar="EPOCH", type=click.IntRange(0))
@data_option
@json_option
def show(number: int, data_dir: Path | None, as_json: bool) -> None:
    """Show one closed epoch: its manifest and its stations."""
    from gateway.cli.data import opened
    from gateway.cli.stations import print_stations
    from gateway.core.station_table import decode_stations
    from gateway.shell.published import epoch_document, stored_epoch

    with opened(data_dir) as data:
        stored = stored_epoch(data.store, number)
    stations = decode_stations(stored.outcome)
    if as_json:
        emit_json(epoch_document(stored, stations))
        return
    print_stations(stations)
    print_facts(_facts(stored))


def _close_up_to(gateway: "Gateway", number: int | None, *, simulated: bool) -> list[int]:
    from gateway.shell.errors import Code, OperatorFault

    wall_ms = time.time_ns() // 1_000_000
    closed: list[int] = []
    if number is None:
        return [outcome.epoch for outcome in gateway.advance(wall_ms)] if not simulated else []
    while True:
        due, due_ms = gateway.next_close()
        if due > number:
            return closed
        if not simulated and wall_ms < due_ms:
            raise OperatorFault(
                f"Epoch {due} is not due yet.",
                f"It closes at {_utc(due_ms)}; it is {_utc(wall_ms)}.",
                "Wait until then: messages of that day may still arrive.",
                Code.EPOCH_NOT_DUE,
            )
        closed += [outcome.epoch for outcome in gateway.advance(due_ms)]


def _utc(ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _facts(stored: "StoredEpoch") -> list[tuple[str, str]]:
    from gateway.cli.stations import tokens
    from gateway.shell.published import summary

    figures = summary(stored)
    amounts = [
        ("pool", "pool", "what this day brings"),
        ("offered", "offered", "the pool and a part of what was carried"),
        ("paid", "paid", "to the stations above"),
        ("carry_before", "carried in", "what earlier days left"),
        ("carry", "carried on", "pool + carried in - paid"),
    ]
    values = {key: tokens(int(figures[key])) for key, _, _ in amounts}
    width = max(map(len, values.values()))
    return [
        ("epoch", f"{figures['epoch']}, the UTC day {figures['day']}"),
        ("stations", str(figures["stations"])),
        ("messages", str(figures["messages"])),
        *((name, f"{values[key]:>{width}} tokens: {what}") for key, name, what in amounts),
        ("message root", figures["message_root"]),
        ("payout root", figures["root"]),
        ("manifest", stored.manifest_hash.hex()),
    ]


def _print_summaries(summaries: list[dict[str, Any]]) -> None:
    from gateway.cli.stations import tokens

    if not summaries:
        click.echo("no epoch")
        return
    print_table(
        ["epoch", "day", "stations", "messages", "pool", "paid", "carry", "root"],
        [
            [
                str(one["epoch"]),
                one["day"],
                str(one["stations"]),
                str(one["messages"]),
                tokens(int(one["pool"])),
                tokens(int(one["paid"])),
                tokens(int(one["carry"])),
                one["root"],
            ]
            for one in summaries
        ],
        right=["stations", "messages", "pool", "paid", "carry"],
    )
