"""`cairn export`: what leaves the gateway as a file."""

from pathlib import Path

import click

from gateway.cli.options import PATH, data_option, json_option
from gateway.cli.output import emit_json


@click.group()
def export() -> None:
    """Files for others."""


@export.command()
@click.argument("number", metavar="EPOCH", type=click.IntRange(0))
@click.option(
    "--out", type=PATH, default=None, help="File. Default: bundles/EPOCH.cairn in the data."
)
@data_option
@json_option
def bundle(number: int, out: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Write the bundle of a closed EPOCH: all that an auditor needs. Always the same bytes."""
    from gateway.cli.data import opened
    from gateway.shell.bundle_export import default_path, export_bundle
    from gateway.shell.published import stored_epoch

    with opened(data_dir) as data:
        stored = stored_epoch(data.store, number)
        path = out or default_path(data.network, number)
        size, digest = export_bundle(data.store, data.network, stored, path)
    if as_json:
        emit_json({"epoch": number, "file": str(path), "bytes": size, "sha256": digest.hex()})
        return
    click.echo(f"{path}: epoch {number}, {size} bytes")
