"""`cairn explain`: why a station was paid what it was paid."""

import shlex
from pathlib import Path

import click

from gateway.cli.options import data_option, json_option
from gateway.cli.output import emit_json


@click.command()
@click.argument("station")
@click.argument("number", metavar="EPOCH", type=click.IntRange(0))
@data_option
@json_option
def explain(station: str, number: int, data_dir: Path | None, as_json: bool) -> None:
    """Explain what STATION earned in EPOCH: each rule, value and limit, and what to do."""
    from gateway.cli.data import opened
    from gateway.core.ids import parse_device
    from gateway.core.station_table import decode_stations
    from gateway.shell.published import explanation, stored_epoch

    device = parse_device(station)
    if device is None:
        raise click.BadParameter("a station is 26 characters of base32", param_hint="STATION")
    with opened(data_dir) as data:
        stored = stored_epoch(data.store, number)
        rows = decode_stations(stored.outcome)
        tree, units = explanation(data.network, stored, rows, device)
    if as_json:
        emit_json(tree)
        return
    from gateway.cli.explain_text import print_explanation

    options = "" if data_dir is None else f" --data {shlex.quote(str(data_dir))}"
    print_explanation(tree, units, options)
