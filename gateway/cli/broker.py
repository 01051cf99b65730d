"""`cairn broker`: somebody else's MQTT broker in front of the gateway."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from gateway.cli.options import PATH, data_option, json_option, load_settings
from gateway.cli.output import emit_json, print_facts

if TYPE_CHECKING:
    from gateway.shell.mosquitto import Listener, Written
    from gateway.shell.network import Network

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_PORT_MAX = 65_535


@click.group()
def broker() -> None:
    """An external MQTT broker instead of the gateway's own endpoint."""


@broker.group()
def init() -> None:
    """Write a broker's configuration."""


@init.command()
@data_option
@click.option("--out", type=PATH, help="Folder to write. Default: `broker` in the data directory.")
@click.option(
    "--listen",
    default="127.0.0.1:1883",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the broker listens.",
)
@click.option("--tls-cert", type=PATH, help="Certificate chain (PEM) of the broker.")
@click.option("--tls-key", type=PATH, help="Private key (PEM) of that certificate.")
@click.option("--ca", type=PATH, help="Certificates (PEM) that vouch for it, for the gateway.")
@click.option(
    "--devices",
    type=click.File("r", encoding="utf-8"),
    help="Device ids, one a line, of boards that are not registered yet; `-` reads stdin.",
)
@json_option
def mosquitto(
    *,
    data_dir: Path | None,
    out: Path | None,
    listen: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    ca: Path | None,
    devices: IO[str] | None,
    as_json: bool,
) -> None:
    """Write mosquitto.conf, its access list and its passwords.

    Registered stations are in it by themselves; run it again when others have come, and send the
    broker SIGHUP. Whoever was in the password file stays.
    """
    from gateway.shell.mosquitto import broker_secret, write_files, write_gateway_password
    from gateway.shell.network import load_network

    listener = _listener(listen, tls_cert, tls_key)
    named = _devices(devices)
    loaded = load_settings(data_dir=data_dir)
    network = load_network(loaded.settings.data_dir)
    secret = broker_secret(loaded.keys_dir)
    stations = _stations(network)
    folder = out or loaded.settings.data_dir / "broker"
    written = write_files(folder, network.network_id, listener, [*named, *stations], secret)
    password_file = write_gateway_password(loaded.keys_dir, secret).resolve()
    settings = {"broker_url": listener.url, "broker_password_file": str(password_file)}
    if ca is not None:
        settings["broker_ca_file"] = str(ca.resolve())
    _show(written, listener, settings, as_json=as_json)


@broker.command()
@click.argument("user")
@data_option
@json_option
def password(user: str, data_dir: Path | None, as_json: bool) -> None:
    """Print the broker password of USER: a device id, `gateway` or `operator`."""
    from gateway.shell.mosquitto import broker_password, broker_secret, valid_user
    from gateway.shell.network import load_network

    if not valid_user(user):
        raise click.BadParameter(f"{user!r} is no device id, nor gateway or operator.")
    loaded = load_settings(data_dir=data_dir)
    load_network(loaded.settings.data_dir)
    found = broker_password(broker_secret(loaded.keys_dir), user)
    if as_json:
        emit_json({"user": user, "password": found})
        return
    click.echo(found)


def _show(
    written: "Written", listener: "Listener", settings: dict[str, str], *, as_json: bool
) -> None:
    run = f"mosquitto -c {written.config}"
    if as_json:
        facts = {"config": str(written.config), "url": listener.url, "run": run}
        emit_json({**facts, "users": len(written.users), "settings": settings})
    else:
        print_facts(
            [
                ("config", str(written.config)),
                ("users", f"{len(written.users)}, two of them the gateway and the operator"),
                ("start it", run),
                ("read again", "kill -HUP PID: passwords and access list, links stay up"),
                ("a password", "cairn broker password DEVICE"),
                *((f"set {name}", value) for name, value in settings.items()),
            ]
        )
    if written.account == "root":
        click.echo(
            "The broker would run as root: other users cannot reach this folder. Name one with "
            "--out that the user mosquitto can reach, for instance below /etc/mosquitto.",
            err=True,
        )
    if listener.cert is None and listener.host not in _LOOPBACK:
        click.echo(
            "Passwords cross the network in clear: give --tls-cert and --tls-key.", err=True
        )


def _listener(listen: str, cert: Path | None, key: Path | None) -> "Listener":
    from gateway.shell.mosquitto import Listener

    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    number = int(port) if port.isascii() and port.isdigit() else 0
    if not host or any(char.isspace() for char in host) or not 0 < number <= _PORT_MAX:
        raise click.BadParameter(f"{listen!r} is not HOST:PORT.", param_hint="--listen")
    if (cert is None) is not (key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together.")
    for path in (cert, key):
        if path is not None and not path.is_file():
            raise click.BadParameter(
                f"There is no file {path}.", param_hint="--tls-cert/--tls-key"
            )
    return Listener(host, number, cert and cert.resolve(), key and key.resolve())


def _devices(lines: IO[str] | None) -> list[str]:
    from gateway.core.ids import parse_device

    names = [line.strip() for line in lines or ()]
    for number, name in enumerate(names, 1):
        if name and parse_device(name) is None:
            raise click.BadParameter(
                f"Line {number}: {name!r} is no device id.", param_hint="--devices"
            )
    return [name for name in names if name]


def _stations(network: "Network") -> Iterator[str]:
    """Ids of the registered stations; none if no gateway has run yet."""
    from gateway.core.ids import device_name
    from gateway.core.model import Kind
    from gateway.core.verdicts import Verdict
    from gateway.core.wire import decode
    from gateway.shell.network import DATABASE
    from gateway.shell.store.sqlite import SqliteStore

    database = network.folder / DATABASE
    if not database.is_file():
        return
    store = SqliteStore.open(database, network.network_id)
    try:
        for logged in store.iterate():
            found = decode(logged.data, network.network_id)
            if not isinstance(found, Verdict) and found.message.kind == Kind.HELLO:
                yield device_name(found.message.device)
    finally:
        store.close()
