"""`cairn release`: programs for boards, from the sources to every station."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import PATH, data_option, json_option, load_settings
from gateway.cli.output import Progress, emit_json, print_facts, print_table, progress
from gateway.cli.release_keys import keys
from gateway.cli.release_status import status

if TYPE_CHECKING:
    from gateway.shell.network import Network
    from gateway.shell.release_folder import Release
    from gateway.shell.settings import Loaded

_COLUMNS = ("architecture", "files", "bytes", "manifest", "signed by")
source_option = click.option(
    "--source",
    type=PATH,
    default=None,
    help="Folder with cairn/ and main.py. Default: the firmware of this version.",
)


@click.group()
def release() -> None:
    """Programs for boards: built, signed by several people, published, watched."""


release.add_command(keys)
release.add_command(status)


@release.command()
@click.option(
    "--counter",
    type=click.IntRange(min=1),
    default=None,
    help="Number of the release; boards only ever take a higher one. Default: the next.",
)
@click.option("--version", default=None, help="What people call it. Default: the program's own.")
@source_option
@click.option(
    "--architecture",
    "architectures",
    multiple=True,
    help="Build for this one alone; may be given again. Default: all.",
)
@click.option(
    "--trust",
    "trust_file",
    type=PATH,
    default=None,
    help="Who may sign. Default: release-trust.cbor in the data directory.",
)
@click.option("--output", type=PATH, default=None, help="Default: cairn-release-COUNTER.")
@data_option
@json_option
def build(
    *,
    counter: int | None,
    version: str | None,
    source: Path | None,
    architectures: tuple[str, ...],
    trust_file: Path | None,
    output: Path | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Build the program for every kind of board into a folder, for others to sign.

    The same sources give the same bytes, so whoever signs can build it too and compare.
    """
    from gateway.device.board_image import firmware_version
    from gateway.shell.network import load_network
    from gateway.shell.release_folder import make_release, write_release
    from gateway.shell.release_keys import TRUST, read_trust
    from gateway.shell.releases import published

    loaded = load_settings(data_dir=data_dir)
    folder = loaded.settings.data_dir
    network = load_network(folder)
    data, _ = read_trust(trust_file or folder / TRUST, network)
    if counter is None:
        counter = max((one.counter for one in published(folder)), default=0) + 1
    path = output or Path(f"cairn-release-{counter}")
    _check_empty(path)
    made = make_release(
        built(source, architectures),
        counter=counter,
        version=version or firmware_version(source),
        trust=data,
    )
    write_release(path, made)
    _show(path, made, network, as_json)


@release.command()
@click.argument("folder", type=PATH)
@data_option
@json_option
def show(folder: Path, data_dir: Path | None, as_json: bool) -> None:
    """Show what is in a release, and who has signed it so far."""
    made, network = _read(folder, load_settings(data_dir=data_dir))
    _show(folder, made, network, as_json)


@release.command()
@click.argument("folder", type=PATH)
@click.option("--key", "keyfile", type=PATH, required=True, help="File of the key that signs.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="Build it here first, and sign only if every byte is the same.",
)
@source_option
@data_option
@json_option
def sign(
    *,
    folder: Path,
    keyfile: Path,
    rebuild: bool,
    source: Path | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Add one key's signature to the release in FOLDER, after showing what is signed.

    It needs no gateway: genesis.cbor and statements.cbor of the network in the data directory are
    enough. --rebuild does not trust whoever built the folder.
    """
    from gateway.shell.release_folder import signed_by, write_release
    from gateway.shell.release_keys import read_key

    made, network = _read(folder, load_settings(data_dir=data_dir))
    key = read_key(keyfile)
    if rebuild:
        _compare(made, built(source, tuple(made.programs)))
    signed = signed_by(made, key, network)
    write_release(folder, signed)
    _show(folder, signed, network, as_json)


@release.command()
@click.argument("folder", type=PATH)
@data_option
@json_option
def publish(folder: Path, data_dir: Path | None, as_json: bool) -> None:
    """Check the release in FOLDER and let every board have it.

    Refused: too few signatures, a counter that is not above the newest, another network, a file
    that was changed. A running gateway announces it at once, another one when it starts.
    """
    from gateway.shell import releases

    loaded = load_settings(data_dir=data_dir)
    made, network = _read(folder, loaded)
    found = releases.publish(loaded.settings.data_dir, made, network, _now_ms())
    _told(loaded, {"counter": found.counter, "version": found.version}, "published", as_json)


@release.command()
@click.argument("counter", type=click.IntRange(min=1))
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@json_option
def withdraw(counter: int, yes: bool, data_dir: Path | None, as_json: bool) -> None:
    """Stop a bad release: boards that have not taken it yet will not.

    Boards that run it stay on it: publish a higher counter, also of older code, to bring them
    back. The release before it is announced again.
    """
    from gateway.shell import releases

    loaded = load_settings(data_dir=data_dir)
    _ask(f"Withdraw release {counter}? It cannot be published again.", yes=yes)
    found = releases.withdraw(loaded.settings.data_dir, counter, _now_ms())
    _told(loaded, {"counter": found.counter, "version": found.version}, "withdrawn", as_json)


def built(source: Path | None, architectures: tuple[str, ...]) -> dict[str, dict[str, bytes]]:
    """The program's files by name, for each architecture."""
    from gateway.device.board_image import program_files
    from gateway.device.image import ARCHITECTURES, build_image

    for one in architectures:
        if one not in ARCHITECTURES:
            raise click.BadParameter(
                f"{one} is none of {', '.join(ARCHITECTURES)}", param_hint="--architecture"
            )
    wanted = architectures or ARCHITECTURES
    programs = {}
    with progress("modules") as told:
        for place, architecture in enumerate(wanted):
            image = build_image(source, architecture, told=_part(told, place, len(wanted)))
            programs[architecture] = program_files(image)
    return programs


def _part(told: Progress, place: int, parts: int) -> Progress:
    """Progress of one build out of several, as part of the whole."""
    return lambda done, total: told(place * total + done, parts * total)


def _read(folder: Path, loaded: "Loaded") -> tuple["Release", "Network"]:
    from gateway.shell.network import load_network
    from gateway.shell.release_folder import read_release

    network = load_network(loaded.settings.data_dir)
    return read_release(folder), network


def _compare(made: "Release", programs: Mapping[str, Mapping[str, bytes]]) -> None:
    from gateway.shell.errors import Code, OperatorFault
    from gateway.shell.release_folder import make_release

    again = make_release(
        programs, counter=made.counter, version=made.version, trust=made.trust
    ).programs
    other = [name for name, one in made.programs.items() if one.manifest != again[name].manifest]
    if other:
        raise OperatorFault(
            f"The release is not what these sources give for {', '.join(other)}.",
            "It was built from other sources, with another compiler, or changed on the way.",
            "Do not sign it before you know which; name the sources with --source.",
            Code.RELEASE_REFUSED,
        )


def _check_empty(path: Path) -> None:
    from gateway.shell.errors import Code, OperatorFault

    if path.exists() and any(path.iterdir()):
        raise OperatorFault(
            f"{path} holds something already.",
            "A release that was built over another one would lose its signatures.",
            "Name another folder with --output, or remove that one.",
            Code.RELEASE_REFUSED,
        )


def _ask(question: str, *, yes: bool) -> None:
    from gateway.shell.errors import Code, OperatorFault

    if yes or (sys.stdin.isatty() and click.confirm(question, err=True)):
        return
    raise OperatorFault(
        "Nothing was changed.",
        "Nobody agreed to it.",
        "Say yes, or give --yes where nobody can be asked.",
        Code.CONSENT_MISSING,
    )


def _told(loaded: "Loaded", facts: dict[str, Any], done: str, as_json: bool) -> None:
    """Let the running gateway say it, and say here what was done."""
    from gateway.cli.operate import ask_gateway
    from gateway.shell.lock import running

    addresses = running(loaded.settings.data_dir)
    if addresses is not None:
        ask_gateway(loaded, addresses, "/v1/operator/announce-release", {})
    facts |= {"done": done, "announced": addresses is not None}
    if as_json:
        emit_json(facts)
        return
    click.echo(f"release {facts['counter']} ({facts['version']}) is {done}")
    if addresses is None:
        click.echo("No gateway runs here: boards are told when one starts.", err=True)


def _show(folder: Path, made: "Release", network: "Network", as_json: bool) -> None:
    from hashlib import sha256

    from gateway.shell.release_folder import trust_of

    trust = trust_of(made, network)
    rows = [
        {
            "architecture": name,
            "files": len(one.manifest.files),
            "bytes": sum(file.size for file in one.manifest.files),
            "manifest_sha256": sha256(one.bundle.manifest).hexdigest(),
            "signed_by": [row.kid.hex() for row in one.bundle.signatures],
        }
        for name, one in sorted(made.programs.items())
    ]
    facts = {
        "folder": str(folder),
        "counter": made.counter,
        "version": made.version,
        "index_sha256": sha256(made.index()).hexdigest(),
        "signed_by": [kid.hex() for kid in made.kids()],
        "threshold": trust.threshold,
        "trust_serial": trust.serial,
        "programs": rows,
    }
    if as_json:
        emit_json(facts)
        return
    _print(facts)


def _print(facts: dict[str, Any]) -> None:
    print_table(
        _COLUMNS,
        [
            [
                row["architecture"],
                str(row["files"]),
                str(row["bytes"]),
                row["manifest_sha256"][:16],
                " ".join(kid[:8] for kid in row["signed_by"]) or "nobody",
            ]
            for row in facts["programs"]
        ],
        right=("files", "bytes"),
    )
    click.echo()
    signed = f"{len(facts['signed_by'])} of {facts['threshold']} keys that are needed"
    shown = [(name, str(facts[name])) for name in ("folder", "version", "counter")]
    print_facts(
        [*shown, ("signed by", signed), ("trusted keys", f"serial {facts['trust_serial']}")]
    )


def _now_ms() -> int:
    import time

    return time.time_ns() // 1_000_000
