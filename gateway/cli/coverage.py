"""`cairn coverage`: who heard whom, and what follows for places."""

from pathlib import Path

import click

from gateway.cli.options import PATH, data_option, json_option
from gateway.cli.output import emit_json

_epoch_option = click.option(
    "--epoch", "number", type=click.IntRange(0), help="Default: the newest closed one."
)


@click.group()
def coverage() -> None:
    """Coverage proofs: who heard whom by radio, and what that says of places."""


@coverage.command()
@click.argument("station")
@_epoch_option
@data_option
@json_option
def show(station: str, number: int | None, data_dir: Path | None, as_json: bool) -> None:
    """Show the coverage of STATION in one epoch, down to each beacon and each witness.

    Beacons are worked out again from the stored messages; the rest was settled at the close.
    """
    from gateway.cli.coverage_json import beacon_json, station_json
    from gateway.cli.coverage_look import beacon_details, looked_at
    from gateway.cli.coverage_text import print_station

    device = _device(station)
    with looked_at(data_dir, number) as look:
        document = station_json(look.epoch, look.station(device), look.coverage, look.rules)
        document["beacons"] = [beacon_json(one) for one in beacon_details(look, device)]
    if as_json:
        emit_json(document)
        return
    print_station(document)


@coverage.command()
@_epoch_option
@click.option("--device", "station", metavar="STATION", help="Links of this station alone.")
@data_option
@json_option
def links(number: int | None, station: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List the links of one epoch: what each witness heard of each station."""
    from gateway.cli.coverage_look import looked_at
    from gateway.cli.coverage_text import print_links
    from gateway.core.explain_coverage import link_tree

    device = None if station is None else _device(station)
    with looked_at(data_dir, number) as look:
        if device is not None:
            look.station(device)
        found = [
            link_tree(link)
            for link in look.coverage.links
            if device is None or device in {link.beaconer, link.witness}
        ]
        epoch = look.epoch
    if as_json:
        emit_json({"epoch": epoch, "links": found})
        return
    print_links(found)


@coverage.command("map")
@_epoch_option
@click.option("--out", type=PATH, required=True, help="File to write: .geojson or .svg.")
@data_option
@json_option
def map_(number: int | None, out: Path, data_dir: Path | None, as_json: bool) -> None:
    """Draw the stations' cells and the links between them.

    A .geojson file is for any map program; an .svg file is a picture that needs nothing else.
    """
    from gateway.cli.coverage_look import looked_at
    from gateway.cli.coverage_map import SUFFIXES, drawn_links, geojson, svg
    from gateway.shell.bundle_file import write_whole

    if out.suffix not in SUFFIXES:
        raise click.BadParameter(f"ends in none of {', '.join(SUFFIXES)}", param_hint="--out")
    with looked_at(data_dir, number) as look:
        text = svg(look) if out.suffix == ".svg" else geojson(look)
        counts = {"stations": len(look.rows), "links": len(drawn_links(look))}
        epoch = look.epoch
    write_whole(out, text.encode())
    if as_json:
        emit_json({"epoch": epoch, "file": str(out), **counts})
        return
    click.echo(f"{out}: epoch {epoch}, {counts['stations']} stations, {counts['links']} links")


def _device(name: str) -> bytes:
    from gateway.core.ids import parse_device

    device = parse_device(name)
    if device is None:
        raise click.BadParameter("a station is 26 characters of base32", param_hint="STATION")
    return device
