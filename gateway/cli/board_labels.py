"""`cairn board labels`: what to stick on the boxes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import PATH, data_option, json_option, load_settings
from gateway.cli.output import emit_json, print_facts

if TYPE_CHECKING:
    from gateway.board.labels import Label


@click.command()
@click.argument("output", type=PATH)
@click.option(
    "--results", "log_file", type=PATH, help="Log of a batch: a label for each board that is done."
)
@click.option(
    "--station",
    "stations",
    multiple=True,
    metavar="[NAME=]STATION",
    help="A station by its 26 characters, with a name for people before them. Again for each.",
)
@click.option(
    "--gateway",
    "gateway_url",
    metavar="URL",
    help="Let the codes open this gateway's page of the station. Default: cairn:NETWORK/STATION.",
)
@data_option
@json_option
def labels(
    *,
    output: Path,
    log_file: Path | None,
    stations: tuple[str, ...],
    gateway_url: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Draw a sheet of labels with QR codes: OUTPUT ends in .svg or .pdf (A4, 24 a page)."""
    from gateway.board.labels import Label, content

    found = [] if log_file is None else logged(log_file, gateway_url)
    if stations:
        network_id = "" if gateway_url else _network_id(data_dir)
        for name, device in map(_station, stations):
            found.append(Label(name, device, content(network_id, device, gateway_url)))
    write_labels(output, found)
    if as_json:
        rows = [{"name": one.name, "device": one.device, "code": one.content} for one in found]
        emit_json({"file": str(output), "labels": rows})
        return
    print_facts([("file", str(output)), ("labels", str(len(found)))])


def logged(log_file: Path, gateway_url: str | None) -> "list[Label]":
    """A label for each board that the log of a batch has as done."""
    from gateway.board.batch import Log, labelled
    from gateway.board.labels import Label, content

    return [
        Label(name, device, content(network_id, device, gateway_url))
        for name, device, network_id in labelled(Log(log_file))
    ]


def write_labels(path: Path, found: "Sequence[Label]") -> None:
    """As the ending of the file says."""
    from gateway.board.labels import pdf, svg
    from gateway.shell.errors import Code, OperatorFault

    draw = {".svg": lambda: svg(found).encode(), ".pdf": lambda: pdf(found)}.get(path.suffix)
    if draw is None:
        raise click.BadParameter("a sheet of labels ends in .svg or .pdf", param_hint="labels")
    data = draw()
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OperatorFault(
            f"The sheet {path} cannot be written.",
            f"{error.strerror}.",
            "Name another file.",
            Code.FILE_UNWRITABLE,
        ) from error


def _station(text: str) -> tuple[str, str]:
    from gateway.core.ids import parse_device

    name, _, device = text.rpartition("=")
    if parse_device(device) is None:
        raise click.BadParameter("a station is 26 characters of base32", param_hint="--station")
    return name or "Cairn", device


def _network_id(data_dir: Path | None) -> str:
    from gateway.shell.network import load_network

    return load_network(load_settings(data_dir=data_dir).settings.data_dir).network_id.hex()
