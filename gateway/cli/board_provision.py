"""`cairn board provision`: what a board must know; and the key of its owner."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.board_provision_order import Terminal, Wanted, provision_options
from gateway.cli.options import PATH, data_option, json_option, port_of, port_option
from gateway.cli.output import emit_json, print_facts

if TYPE_CHECKING:
    from gateway.board.provision import Order, Outcome, Person
    from gateway.shell.onboarding import Onboarding


@click.command()
@port_option
@provision_options
@click.option(
    "--improv",
    is_flag=True,
    help="Send the Wi-Fi alone, by Improv, to a board whose image brought its configuration.",
)
@click.option(
    "--batch",
    "batch_file",
    type=PATH,
    metavar="CSV",
    help="Set up the boards of a table, one after the other: name, port, place, coarse, owner, "
    "owner_key, antenna, sensors, broker_password_file. What is empty is as the options "
    "say; without a port the next board that is plugged in is taken.",
)
@click.option(
    "--results",
    "log_file",
    type=PATH,
    help="Log of a batch, a JSON object a line; what is done in it is skipped. Default: CSV's "
    "name with .jsonl.",
)
@click.option(
    "--labels",
    "labels_file",
    type=PATH,
    help="Write a sheet of labels, .svg or .pdf, for the board or for all of the batch's log.",
)
@data_option
@json_option
def provision(
    *,
    wanted: Wanted,
    board_port: str | None,
    improv: bool,
    batch_file: Path | None,
    log_file: Path | None,
    labels_file: Path | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Set a board up over its cable: network, place, owner, sensors, Wi-Fi.

    Its key is made on the board and stays there. The same command again changes what differs and
    nothing else. The scoring cell of a station is public; you are asked before it is written.
    """
    if improv:
        if batch_file is not None or labels_file is not None:
            raise click.UsageError("--improv sends a Wi-Fi to one board, and nothing else.")
        _show_improv(_improved(wanted, port_of(board_port)), as_json=as_json)
        return
    if batch_file is not None:
        from gateway.cli.board_provision_batch import provision_batch

        provision_batch(wanted, batch_file, log_file, labels_file, data_dir, as_json=as_json)
        return
    result = provisioned(wanted, port_of(board_port), data_dir)
    if labels_file is not None:
        from gateway.board.labels import Label, content
        from gateway.cli.board_labels import write_labels

        device = result["device"]
        code = content(result["network_id"], device, wanted.gateway_url)
        write_labels(labels_file, [Label(result["network"], device, code)])
    show(result, as_json=as_json)


@click.command("owner-key")
@click.argument("file", type=PATH)
@json_option
def owner_key(file: Path, as_json: bool) -> None:
    """Make a key for an owner of stations, in FILE, or show the owner id of the one that is there.

    Whoever has the file can claim stations for that owner: keep a copy of it.
    """
    from gateway.board.owner import make_owner_key, owner_of

    made = not file.exists()
    owner = make_owner_key(file) if made else owner_of(file)
    if as_json:
        emit_json({"file": str(file), "owner": f"0x{owner.hex()}", "made": made})
        return
    print_facts([("owner", f"0x{owner.hex()}"), ("key file", str(file))])


def provisioned(wanted: Wanted, port: str, data_dir: Path | None) -> dict[str, Any]:
    """Set up the board on a port as these options say; what came of it, as JSON."""
    from gateway.cli.board_provision_order import network_of, order_of, warn_of, wifi_of

    onboarding = network_of(wanted, data_dir)
    warn_of(onboarding)
    order = order_of(wanted, data_dir, wifi_of(wanted))
    return set_up(port, onboarding, order, Terminal(wanted)).document(onboarding)


def set_up(port: str, onboarding: "Onboarding", order: "Order", person: "Person") -> "Outcome":
    """Set up the board on a port; it restarts at the end, whatever happens."""
    from gateway.board.console import session
    from gateway.board.ports import find_port
    from gateway.board.provision import provision as provision_board

    with session(find_port(port)) as console:
        return provision_board(console, onboarding, order, person)


def show(result: dict[str, Any], *, as_json: bool) -> None:
    """Print what was set up."""
    if as_json:
        emit_json(result)
        return
    owner = result["owner"] or "none: it works, and is not paid"
    joined = result["joined"]
    wifi = f"joined, {joined['address']}, {joined['rssi_dbm']} dBm" if joined else "not tried"
    print_facts(
        [
            ("station", result["device"]),
            ("network", f"{result['network']} ({result['network_id']})"),
            ("scoring cell", f"{result['scoring_cell']} (public)"),
            ("place file", f"{result['place_file']} (yours alone; keep a copy)"),
            ("owner", f"{owner}, proven" if result["owner_proven"] else owner),
            ("sensors", " ".join(result["sensors"])),
            ("Wi-Fi", wifi),
            ("changed", ", ".join(result["changed"]) or "nothing"),
        ]
    )
    click.echo("`cairn board run` follows it to its first accepted reading.", err=True)


def _improved(wanted: Wanted, port: str) -> dict[str, Any]:
    from gateway.board.improv import Improv
    from gateway.board.ports import find_port, opened
    from gateway.cli.board_provision_order import wifi_of

    person = Terminal(wanted)
    wifi = wifi_of(wanted) or person.wifi()
    if wifi is None:
        raise click.UsageError("--improv sends a Wi-Fi: name it with --wifi.")
    with opened(find_port(port)) as connection:
        person.step("giving the board its Wi-Fi")
        told = Improv(connection).join(wifi)
    return {"wifi": {"ssid": wifi.ssid}, "url": told.url or None, "info": list(told.info)}


def _show_improv(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit_json(result)
        return
    url = result["url"] or "none: it has no configuration yet (`cairn board provision`)"
    print_facts(
        [
            ("Wi-Fi", f"joined {result['wifi']['ssid']}"),
            ("board", " ".join(result["info"])),
            ("its page", url),
        ]
    )
