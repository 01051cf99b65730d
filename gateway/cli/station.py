"""`cairn station`: the stations of this network, and what their operator decides."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import PATH, data_option, json_option
from gateway.cli.output import emit_json, print_facts, print_table

if TYPE_CHECKING:
    from gateway.cli.data import Data
    from gateway.core.chain import ChainFindings
    from gateway.shell.station_look import StationLook, Stations

_COLUMNS = ("station", "last message", "messages", "refused", "holes", "class", "pay", "reason")
_NUMBERS = ("messages", "refused", "holes", "pay")


@click.group()
def station() -> None:
    """Stations: how they are, and who may take part."""


@station.command("list")
@data_option
@json_option
def list_(data_dir: Path | None, as_json: bool) -> None:
    """List the stations, and the devices that wait for approval.

    Works beside a running gateway. Counts go back to the first message of the newest closed
    epoch; class and pay are of that epoch.
    """
    from gateway.cli.data import opened
    from gateway.shell.station_look import look_at_stations

    with opened(data_dir) as data:
        found = look_at_stations(data.store, data.network)
    if as_json:
        emit_json(_listed(found))
        return
    _print_list(found)


@station.command()
@click.argument("name", metavar="STATION")
@data_option
@json_option
def show(name: str, data_dir: Path | None, as_json: bool) -> None:
    """Show one STATION: its last message, its verdicts, its chain, its class and pay."""
    from gateway.cli.data import opened
    from gateway.shell.station_look import look_at_chain, look_at_stations

    device = _device(name)
    with opened(data_dir) as data:
        found = look_at_stations(data.store, data.network)
        look = _find(found, device, name)
        chain = look_at_chain(data.store, data.network, device)
        refused = _refused_samples(data, device)
    shown = _station_json(look, found) | {"chain": _chain_json(chain), "refused_samples": refused}
    if as_json:
        emit_json(shown)
        return
    _print_show(shown)


@station.command()
@click.argument("name", metavar="STATION")
@data_option
@json_option
def approve(name: str, data_dir: Path | None, as_json: bool) -> None:
    """Let the device STATION register, where the setting admission_policy is `approved`.

    Through the gateway if it runs, else straight into its database.
    """
    from gateway.cli import operate

    done = operate.approve(data_dir, _device(name))
    _told(name, "approved", done, as_json)


@station.command()
@click.argument("name", metavar="STATION")
@click.option("--remove", is_flag=True, help="Take the audit back.")
@data_option
@json_option
def anchor(name: str, remove: bool, data_dir: Path | None, as_json: bool) -> None:
    """Say that the place of STATION was audited by hand. It counts from the next close on."""
    from gateway.cli import operate

    done = operate.anchor(data_dir, _device(name), anchored=not remove)
    _told(name, "no longer anchored" if remove else "anchored", done, as_json)


@station.command("login-token")
@click.argument("keyfile", type=PATH)
@data_option
@json_option
def login_token(keyfile: Path, data_dir: Path | None, as_json: bool) -> None:
    """Print user name and password with which any MQTT client logs in as the host of KEYFILE.

    KEYFILE holds 64 hex digits, the seed of an Ed25519 key, and is readable by its owner only.
    A password is good for one login. Its counter is this machine's clock, so do not use the key
    of a board, which counts from 1: its logins would be refused from then on.
    """
    from gateway.cli.options import load_settings
    from gateway.shell.network import load_network

    loaded = load_settings(data_dir=data_dir)
    network_id = load_network(loaded.settings.data_dir).network_id
    user, password = _login(keyfile, network_id)
    if as_json:
        topics = f"cairn/1/{network_id.hex()}/{user}"
        emit_json({"user": user, "client_id": user, "password": password, "topics": topics})
        return
    print_facts([("user and client id", user), ("password", password)])


def _login(keyfile: Path, network_id: bytes) -> tuple[str, str]:
    import secrets
    import time

    from nacl.signing import SigningKey

    from gateway.core.ids import device_id, device_name
    from gateway.core.login import NONCE_BYTES, login_password
    from gateway.shell.secret_files import damaged, read_secret

    text = read_secret(keyfile, "a host's key")
    try:
        key = SigningKey(bytes.fromhex(text))
    except ValueError as error:
        raise damaged(keyfile, "a host's key") from error
    public_key = bytes(key.verify_key)
    password = login_password(
        lambda data: key.sign(data).signature,
        public_key,
        network_id,
        time.time_ns() // 1_000_000,
        secrets.token_bytes(NONCE_BYTES),
    )
    return device_name(device_id(public_key)), password


def _device(name: str) -> bytes:
    from gateway.core.ids import parse_device

    device = parse_device(name)
    if device is None:
        raise click.BadParameter("a station is 26 characters of base32", param_hint="STATION")
    return device


def _find(found: "Stations", device: bytes, name: str) -> "StationLook":
    import difflib

    from gateway.core.ids import device_name
    from gateway.shell.errors import Code, OperatorFault

    look = found.stations.get(device)
    if look is not None:
        return look
    near = difflib.get_close_matches(name, [device_name(one) for one in found.stations], n=1)
    waits = device in found.waiting
    raise OperatorFault(
        f"The station {name} is not registered here.",
        "It waits for approval." if waits else "It has sent no hello, or is of another network.",
        f"`cairn station approve {name}`."
        if waits
        else f"Did you mean {near[0]}?"
        if near
        else "`cairn station list` lists the stations.",
        Code.STATION_UNKNOWN,
    )


def _told(name: str, what: str, done: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_json({"station": name, "done": what, **done})
        return
    click.echo(f"{name}: {what}")


def _refused_samples(data: "Data", device: bytes) -> dict[str, int]:
    from gateway.core.verdicts import Verdict

    counts = {}
    for verdict in Verdict:
        number = sum(one.device == device for one in data.store.refused_samples(verdict))
        if number:
            counts[verdict.name.lower()] = number
    return counts


def _listed(found: "Stations") -> dict[str, Any]:
    from gateway.core.ids import device_name

    stations = sorted(found.stations.items())
    return {
        "epoch": found.epoch,
        "since_ms": found.since_ms,
        "stations": [_station_json(look, found) for _, look in stations],
        "waiting": [
            {"station": device_name(device), "last_ms": last_ms}
            for device, last_ms in sorted(found.waiting.items())
        ],
    }


def _station_json(look: "StationLook", found: "Stations") -> dict[str, Any]:
    from gateway.core.ids import device_name
    from gateway.core.station_json import class_name

    row = look.row
    return {
        "station": device_name(look.device),
        "owner": f"0x{look.owner.hex()}" if look.owner else None,
        "cell": f"{look.scoring_cell:x}",
        "anchored": look.anchored,
        "last_ms": look.last_ms,
        "last_kind": _kind(look.last_kind),
        "reporting_interval_ms": look.reporting_interval_ms,
        "verdicts": {v.name.lower(): n for v, n in sorted(look.verdicts.items())},
        "holes": sum(last - first + 1 for first, last in look.holes),
        "epoch": found.epoch if row else None,
        "class": class_name(row) if row else None,
        "paid": str(row.paid) if row else None,
        "reason": row.reason.name.lower() if row else None,
    }


def _chain_json(chain: "ChainFindings") -> dict[str, Any]:
    return {
        "forks": len(chain.forks),
        "clone": chain.is_clone,
        "holes": [list(one) for one in chain.holes],
        "fork_examples": [[one.hex() for one in fork.ids[:2]] for fork in chain.forks[:4]],
    }


def _kind(kind: int | None) -> str | None:
    from gateway.core.model import Kind

    known = {one.value: one.name.lower() for one in Kind}
    return None if kind is None else known.get(kind, str(kind))


def _print_list(found: "Stations") -> None:
    from gateway.cli.stations import tokens

    shown = _listed(found)
    rows = []
    for one in shown["stations"]:
        verdicts = one["verdicts"]
        kept = verdicts.get("ok", 0) + verdicts.get("not_evaluated", 0)
        rows.append(
            [
                one["station"],
                _when(one["last_ms"]),
                str(kept),
                str(sum(verdicts.values()) - kept),
                str(one["holes"]),
                one["class"] or "none yet",
                tokens(int(one["paid"])) if one["paid"] else "none yet",
                one["reason"] or "none yet",
            ]
        )
    if rows:
        print_table(_COLUMNS, rows, right=_NUMBERS)
    else:
        click.echo("no station has registered")
    for waiting in shown["waiting"]:
        click.echo(f"{waiting['station']} waits for approval, last at {_when(waiting['last_ms'])}")


def _print_show(shown: dict[str, Any]) -> None:
    from gateway.cli.stations import tokens

    chain = shown["chain"]
    holes = ", ".join(f"{first}-{last}" for first, last in chain["holes"]) or "none"
    verdicts = ", ".join(f"{name} {count}" for name, count in shown["verdicts"].items())
    refused = ", ".join(f"{name} {count}" for name, count in shown["refused_samples"].items())
    paid = "none yet"
    if shown["paid"] is not None:
        paid = f"{tokens(int(shown['paid']))} tokens in epoch {shown['epoch']}: {shown['reason']}"
    print_facts(
        [
            ("station", shown["station"]),
            ("owner", shown["owner"] or "none"),
            ("cell", shown["cell"]),
            ("anchored", "yes" if shown["anchored"] else "no"),
            ("last message", f"{_when(shown['last_ms'])}, {shown['last_kind'] or 'none'}"),
            ("reports every", f"{shown['reporting_interval_ms'] // 1000} s"),
            ("verdicts", verdicts or "none"),
            ("refused", f"{refused or 'none'} (of the samples that are kept)"),
            ("chain", f"{chain['forks']} forks{', a clone' if chain['clone'] else ''}"),
            ("holes", holes),
            ("class", shown["class"] or "none yet"),
            ("pay", paid),
        ]
    )


def _when(ms: int | None) -> str:
    if ms is None:
        return "earlier"
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
