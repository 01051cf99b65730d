"""`cairn network`: making a network, and what it is."""

from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.cli.options import data_option, json_option, load_settings
from gateway.cli.output import emit_json, print_facts

DAY_MS = 86_400_000


@click.group()
def network() -> None:
    """A network: its genesis and its keys."""


@network.command()
@click.argument("name")
@data_option
@click.option(
    "--epoch-zero",
    type=click.DateTime(["%Y-%m-%d"]),
    default=None,
    help="First UTC day that pays. Default: today.",
)
@click.option(
    "--simulated",
    is_flag=True,
    help="A network for trials: its clock may be driven, and every bundle says so.",
)
@json_option
def init(
    name: str,
    data_dir: Path | None,
    epoch_zero: datetime | None,
    simulated: bool,
    as_json: bool,
) -> None:
    """Make keys and a genesis for a new network called NAME. Nothing is overwritten."""
    from gateway.shell.network import create_network

    loaded = load_settings(data_dir=data_dir)
    start = (epoch_zero or datetime.now(UTC)).replace(tzinfo=UTC)
    folder = loaded.settings.data_dir
    create_network(
        folder,
        name,
        simulated=simulated,
        epoch_zero_ms=int(start.timestamp() * 1000) // DAY_MS * DAY_MS,
        keys_folder=loaded.keys_dir,
    )
    _show(folder, loaded.keys_dir, as_json)
    click.echo(
        f"Keep {loaded.keys_dir / 'root.key'} elsewhere: a running gateway does not need it.",
        err=True,
    )


@network.command()
@data_option
@json_option
def show(data_dir: Path | None, as_json: bool) -> None:
    """Show what identifies the network, and where its key files are."""
    loaded = load_settings(data_dir=data_dir)
    _show(loaded.settings.data_dir, loaded.keys_dir, as_json)


def _show(folder: Path, keys_folder: Path, as_json: bool) -> None:
    from gateway.shell.network import key_files, load_network

    found = load_network(folder)
    genesis = found.genesis
    facts = {
        "name": genesis.name,
        "network_id": found.network_id.hex(),
        "root_key": genesis.root_key.hex(),
        "epoch_zero": genesis.epoch_zero_ms // DAY_MS,
        "rules_hash": genesis.rules_hash.hex(),
        "simulated": genesis.simulated,
        "genesis": found.genesis_bytes.hex(),
        "key_files": {role: str(path) for role, path in key_files(keys_folder).items()},
    }
    if as_json:
        emit_json(facts)
        return
    print_facts([(name, str(value)) for name, value in facts.items() if name != "key_files"])
    print_facts([(f"{role} key", str(path)) for role, path in key_files(keys_folder).items()])
