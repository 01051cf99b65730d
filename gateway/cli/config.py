"""`cairn config`: what is set, and by what."""

from pathlib import Path

import click

from gateway.cli.options import data_option, json_option, load_settings
from gateway.cli.output import emit_json, print_table


@click.group()
def config() -> None:
    """Settings."""


@config.command()
@data_option
@json_option
def show(data_dir: Path | None, as_json: bool) -> None:
    """Show every setting with its value and where that comes from. Keys are never shown."""
    from gateway.shell.settings import fields, unit

    loaded = load_settings(data_dir=data_dir)
    values = loaded.settings.model_dump(mode="json")
    if as_json:
        emit_json(
            {
                name: {"value": values[name], "unit": unit(field), "source": loaded.sources[name]}
                for name, field in fields().items()
            }
        )
        return
    print_table(
        ["setting", "value", "unit", "source"],
        [
            [name, "" if values[name] is None else str(values[name]), unit(field), source]
            for (name, field), source in zip(
                fields().items(), loaded.sources.values(), strict=True
            )
        ],
    )
