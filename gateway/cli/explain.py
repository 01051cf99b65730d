"""`cairn explain`: why a station was paid what it was paid."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import data_option, json_option
from gateway.cli.output import emit_json

if TYPE_CHECKING:
    from gateway.core.epoch_inputs import StationRow
    from gateway.shell.network import Network
    from gateway.shell.store.base import StoredEpoch


@click.command()
@click.argument("station")
@click.argument("number", metavar="EPOCH", type=click.IntRange(0))
@data_option
@json_option
def explain(station: str, number: int, data_dir: Path | None, as_json: bool) -> None:
    """Explain what STATION earned in EPOCH: each rule, value and limit, and what to do."""
    from gateway.cli.data import opened, stored_epoch
    from gateway.core.ids import parse_device

    device = parse_device(station)
    if device is None:
        raise click.BadParameter("a station is 26 characters of base32", param_hint="STATION")
    with opened(data_dir) as data:
        stored = stored_epoch(data.store, number)
        tree, units = _explained(data.network, stored, device, station)
    if as_json:
        emit_json(tree)
        return
    from gateway.cli.explain_text import print_explanation

    options = "" if data_dir is None else f" --data {shlex.quote(str(data_dir))}"
    print_explanation(tree, units, options)


def _explained(
    network: "Network", stored: "StoredEpoch", device: bytes, name: str
) -> tuple[dict[str, Any], dict[str, str]]:
    from gateway.core.explain import explain as explained
    from gateway.core.explain import find_station
    from gateway.core.manifest import decode_manifest
    from gateway.core.quantities import parse_quantities
    from gateway.core.rules import parse_rules
    from gateway.core.station_table import decode_stations
    from gateway.shell.network import find_rules, read_pinned

    stations = decode_stations(stored.outcome)
    row = find_station(stations, device)
    if row is None:
        raise _unknown(name, stored.epoch, stations)
    manifest = decode_manifest(stored.manifest)
    rules = parse_rules(find_rules(network.folder, manifest.rules))
    quantities = parse_quantities(read_pinned(network.folder, "quantities.toml"))
    units = {quantity.name: quantity.unit for quantity in quantities.values()}
    return explained(manifest, row, rules, quantities), units


def _unknown(name: str, epoch: int, stations: "tuple[StationRow, ...]") -> Exception:
    import difflib

    from gateway.core.ids import device_name
    from gateway.shell.errors import Code, OperatorFault

    names = [device_name(row.device) for row in stations]
    near = difflib.get_close_matches(name, names, n=1)
    return OperatorFault(
        f"The station {name} is not in epoch {epoch}.",
        "It had sent no hello by the end of that day, or belongs to another network.",
        f"Did you mean {near[0]}?" if near else "`cairn epoch show EPOCH` lists the stations.",
        Code.STATION_UNKNOWN,
    )
