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


@export.command()
@click.argument("number", metavar="EPOCH", type=click.IntRange(0))
@click.option(
    "--out", type=PATH, default=None, help="Folder. Default: products/EPOCH in the data."
)
@click.option("--newest", is_flag=True, help="With revisions that were made after the close.")
@click.option("--no-parquet", is_flag=True, help="Write CSV alone, which needs no pyarrow.")
@data_option
@json_option
def products(  # noqa: PLR0917 - click passes its options so
    number: int,
    out: Path | None,
    newest: bool,
    no_parquet: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Write the cell products of a closed EPOCH as CSV and Parquet, with their hashes.

    As they were when the epoch closed: always the same CSV bytes, and the same Parquet bytes from
    one version of pyarrow.
    """
    from gateway.cli.data import opened
    from gateway.shell.products import parquet
    from gateway.shell.products.export import Choice, export_products
    from gateway.shell.published import stored_epoch

    if not no_parquet and not parquet.available():
        raise click.UsageError(
            f"Parquet needs pyarrow, which is not installed: {parquet.INSTALL}. "
            "Or give --no-parquet for CSV alone."
        )
    with opened(data_dir) as data:
        stored = stored_epoch(data.store, number)
        folder = out or data.network.folder / "products" / str(number)
        choice = Choice(parquet=not no_parquet, newest=newest)
        written = export_products(data.store, data.network, stored, folder, choice)
    if as_json:
        files = [one._asdict() for one in written]
        emit_json({"epoch": number, "folder": str(folder), "files": files})
        return
    for one in written:
        click.echo(f"{folder / one.name}: {one.rows} rows, {one.size} bytes")
