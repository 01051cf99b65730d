"""`cairn release keys`: who may sign the boards' program."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import PATH, data_option, json_option, load_settings
from gateway.cli.output import emit_json, print_facts, print_table

if TYPE_CHECKING:
    from gateway.core.releases import Trust
    from gateway.shell.settings import Loaded

_THRESHOLD = 2

root_key_option = click.option(
    "--root-key",
    type=PATH,
    default=None,
    help="File of the network's root key. Default: root.key in the keys directory.",
)
threshold_option = click.option(
    "--threshold",
    type=click.IntRange(min=1),
    default=None,
    help="How many different keys must sign a release.",
)


@click.group()
def keys() -> None:
    """Keys that sign releases, and which of them count."""


@keys.command()
@click.option(
    "--number",
    type=click.IntRange(min=1, max=8),
    default=_THRESHOLD,
    show_default=True,
    help="How many keys to make. Each belongs to one person, on that person's machine.",
)
@click.option("--folder", type=PATH, default=None, help="Where. Default: the keys directory.")
@data_option
@json_option
def init(number: int, folder: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Make release keys: release-1.key, release-2.key, and their public halves (.pub).

    Nothing is overwritten. Whoever has enough of them decides what every board runs: keep them
    apart.
    """
    from gateway.shell.release_keys import kid_of, make_keys

    made = make_keys(folder or load_settings(data_dir=data_dir).keys_dir, number)
    rows = [
        {
            "file": str(one.path),
            "public_file": str(one.public),
            "key": kid_of(one.public_key),
            "public_key": one.public_key.hex(),
        }
        for one in made
    ]
    if as_json:
        emit_json({"keys": rows})
        return
    print_table(["file", "key"], [[row["file"], row["key"]] for row in rows])
    if number > 1:
        click.echo("Give every key file to another person; only the .pub files meet.", err=True)


@keys.command()
@click.argument("public", metavar="KEY...", nargs=-1, required=True)
@threshold_option
@root_key_option
@click.option(
    "--output", type=PATH, default=None, help="Default: release-trust.cbor in the data directory."
)
@data_option
@json_option
def trust(
    *,
    public: tuple[str, ...],
    threshold: int | None,
    root_key: Path | None,
    output: Path | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Say, signed by the root key, which release keys count: .pub files, or 64 hex digits each.

    The first document of a network; `rotate` makes the next ones. It works where root.key is, for
    which genesis.cbor and statements.cbor of the data directory are enough; the file that it
    writes is carried to where releases are built. Default threshold: two keys, or the only one.
    """
    from gateway.shell.errors import Code, OperatorFault
    from gateway.shell.release_keys import TRUST, read_public_key

    loaded = load_settings(data_dir=data_dir)
    path = output or loaded.settings.data_dir / TRUST
    if path.exists():
        raise OperatorFault(
            f"{path} exists already.",
            "It is the trust document of this network; boards refuse another one of its serial.",
            "Change it with `cairn release keys rotate`.",
            Code.KEYS_EXIST,
        )
    found = [read_public_key(one) for one in public]
    needed = min(_THRESHOLD, len(found)) if threshold is None else threshold
    _write(loaded, path, root_key, found, (needed, 1), as_json=as_json)


@keys.command()
@click.option("--add", multiple=True, metavar="KEY", help="A public key that counts from now on.")
@click.option("--remove", multiple=True, metavar="KEY", help="One that counts no more.")
@threshold_option
@root_key_option
@click.option(
    "--trust",
    "trust_file",
    type=PATH,
    default=None,
    help="The document so far. Default: release-trust.cbor in the data directory.",
)
@click.option("--output", type=PATH, default=None, help="Default: in place of it.")
@data_option
@json_option
def rotate(
    *,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    threshold: int | None,
    root_key: Path | None,
    trust_file: Path | None,
    output: Path | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Change which keys count: after a theft, a loss, or when people change.

    The document gets the next serial. Boards learn of it with the next release that is built with
    it, and from then on refuse whatever the old keys signed.
    """
    from gateway.shell.network import load_network
    from gateway.shell.release_keys import TRUST, read_public_key, read_trust

    loaded = load_settings(data_dir=data_dir)
    folder = loaded.settings.data_dir
    path = trust_file or folder / TRUST
    _, before = read_trust(path, load_network(folder))
    gone = [read_public_key(one) for one in remove]
    _check_known(gone, before.keys, path)
    left = [key for key in before.keys if key not in gone]
    left += [read_public_key(one) for one in add]
    needed = before.threshold if threshold is None else threshold
    _write(loaded, output or path, root_key, left, (needed, before.serial + 1), as_json=as_json)


def _check_known(gone: list[bytes], keys: tuple[bytes, ...], path: Path) -> None:
    from gateway.shell.errors import Code, OperatorFault
    from gateway.shell.release_keys import kid_of

    for key in gone:
        if key not in keys:
            raise OperatorFault(
                f"The key {kid_of(key)} does not count anyway.",
                f"It is not in {path}.",
                "Check which key you mean: whoever holds the right one can still sign.",
                Code.RELEASE_REFUSED,
            )


def _write(
    loaded: "Loaded",
    path: Path,
    root_key: Path | None,
    public: list[bytes],
    terms: tuple[int, int],
    *,
    as_json: bool,
) -> None:
    """terms: threshold and serial."""
    from gateway.shell.bundle_file import write_whole
    from gateway.shell.network import load_network
    from gateway.shell.release_folder import opened_trust
    from gateway.shell.release_keys import make_trust, read_key

    network = load_network(loaded.settings.data_dir)
    root = read_key(root_key or loaded.keys_dir / "root.key", "the root key")
    threshold, serial = terms
    data = make_trust(network, root, public, threshold=threshold, serial=serial)
    write_whole(path, data)
    facts = {"file": str(path), **trust_facts(opened_trust(data, network))}
    if as_json:
        emit_json(facts)
        return
    print_trust(facts)


def trust_facts(trust_: "Trust") -> dict[str, Any]:
    from gateway.shell.release_keys import kid_of

    return {
        "serial": trust_.serial,
        "threshold": trust_.threshold,
        "keys": [kid_of(key) for key in trust_.keys],
    }


def print_trust(facts: dict[str, Any]) -> None:
    needed = f"{facts['threshold']} of {len(facts['keys'])} keys"
    print_facts([("file", facts["file"]), ("serial", str(facts["serial"])), ("to sign", needed)])
    print_facts([("key", key) for key in facts["keys"]])
