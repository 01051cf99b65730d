"""What a person orders for a board on the command line, and how they are asked for the rest."""

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from gateway.cli.options import PATH, Verb, load_settings

if TYPE_CHECKING:
    from gateway.board.place import Place
    from gateway.board.provision import Order, Wifi
    from gateway.device.station_choice import Outfit
    from gateway.shell.onboarding import Onboarding

STDIN = "-"
_PASSWORD_CHARACTERS_MAX = 256

_OPTIONS = (
    click.option(
        "--gateway",
        "gateway_url",
        metavar="URL",
        help="Gateway of the network to join, such as http://192.0.2.7:8080. Default: the one of "
        "the data directory.",
    ),
    click.option("--wifi", "ssid", metavar="NAME", help="Wi-Fi to join; asked for on a terminal."),
    click.option(
        "--wifi-password-file",
        type=click.Path(path_type=Path, allow_dash=True),
        help="File whose first line is the Wi-Fi's password; `-` reads stdin. Default: ask.",
    ),
    click.option("--wifi-open", is_flag=True, help="The Wi-Fi has no password."),
    click.option(
        "--place",
        metavar="LAT,LON",
        help="Where the station stands, in degrees. Default: what its place file says.",
    ),
    click.option(
        "--coarse",
        is_flag=True,
        help="Publish a cell of some 2.5 km instead of 350 m: no coverage pay.",
    ),
    click.option(
        "--places",
        type=PATH,
        default=Path(),
        help="Folder for the owner's file with exact place and salt. Default: this one.",
    ),
    click.option("--owner", metavar="0x...", help="Owner whom the board names: 40 hex digits."),
    click.option(
        "--owner-key",
        type=PATH,
        metavar="FILE",
        help="Key file of the owner, who signs that it is theirs (`cairn board owner-key`).",
    ),
    click.option(
        "--antenna",
        metavar="DBI,METRES",
        help="Gain of the antenna and its height over ground, such as 2.15,6.",
    ),
    click.option(
        "--sensor",
        "sensors",
        multiple=True,
        metavar="NAME[:FIELD=VALUE,...]",
        help="A sensor, such as bme280:sda=21,scl=22 (docs/sensors.md). Again for each.",
    ),
    click.option(
        "--sample-every",
        "sample_s",
        type=int,
        default=60,
        show_default=True,
        metavar="SECONDS",
        help="Time between two samples; declared, so completeness is judged by it.",
    ),
    click.option(
        "--message-every",
        "message_s",
        type=int,
        default=120,
        show_default=True,
        metavar="SECONDS",
        help="Time between two messages: a multiple of the above.",
    ),
    click.option(
        "--status-every",
        "status_s",
        type=int,
        default=3_600,
        show_default=True,
        metavar="SECONDS",
        help="Time between two status messages.",
    ),
    click.option(
        "--battery",
        "sleep_s",
        type=int,
        metavar="SECONDS",
        help="Sleep between samples and deliver this often. Default: mains, always awake.",
    ),
    click.option("--sntp", "sntp_host", metavar="HOST", help="Second time source of the board."),
    click.option(
        "--broker-password-file",
        type=PATH,
        help="File with this board's password at a broker that is not the gateway's own. Default: "
        "the one of `cairn broker init`, where the network's keys are here.",
    ),
    click.option(
        "--no-join", is_flag=True, help="Do not try the Wi-Fi now: it is where the board goes."
    ),
    click.option("--yes", is_flag=True, help="Agree to what becomes public and to what changes."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options above, as they were given."""

    gateway_url: str | None
    ssid: str | None
    wifi_password_file: Path | None
    wifi_open: bool
    place: str | None
    coarse: bool
    places: Path
    owner: str | None
    owner_key: Path | None
    antenna: str | None
    sensors: tuple[str, ...]
    sample_s: int
    message_s: int
    status_s: int
    sleep_s: int | None
    sntp_host: str | None
    broker_password_file: Path | None
    no_join: bool
    yes: bool
    # Whether any of those that a board is told was given.
    named: bool = False


# They say how it is set up, not what the board is told.
_NOT_TOLD = {"gateway_url", "places", "no_join", "yes", "named"}


def provision_options(verb: Verb) -> Verb:
    """Give a verb all of them, and it gets them as one argument `wanted`."""

    @functools.wraps(verb)
    def gathered(**given: Any) -> Any:
        names = [name for name in Wanted.__dataclass_fields__ if name in given]
        source = click.get_current_context().get_parameter_source
        named = any(
            source(name) is ParameterSource.COMMANDLINE for name in names if name not in _NOT_TOLD
        )
        wanted = Wanted(**{name: given.pop(name) for name in names}, named=named)
        return verb(wanted=wanted, **given)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


def network_of(wanted: Wanted, data_dir: Path | None) -> "Onboarding":
    """What a board must know of the network: asked of a gateway, else read from the settings."""
    from gateway.shell.lock import running
    from gateway.shell.onboarding import onboarding_of

    if wanted.gateway_url is not None:
        return _asked(wanted.gateway_url.rstrip("/"))
    loaded = load_settings(data_dir=data_dir)
    addresses = running(loaded.settings.data_dir)
    found = onboarding_of(loaded) if addresses is None else _asked(addresses.http)
    if addresses is None:
        click.echo("No gateway runs here: the board is told what its settings say.", err=True)
    return found


def _asked(url: str) -> "Onboarding":
    import httpx

    from gateway.board.fetched import fetched
    from gateway.shell.errors import Code, OperatorFault
    from gateway.shell.onboarding import Onboarding

    try:
        status, content = fetched(f"{url}/v1/onboarding")
        if not httpx.codes.is_success(status):
            raise ValueError(f"It answers with {status}.")
        return Onboarding.of_document(json.loads(content))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OperatorFault(
            f"The gateway at {url} does not say what its network is.",
            f"{error}.",
            "Start it with `cairn gateway run`, or name the right one with --gateway.",
            Code.API_UNREACHABLE,
        ) from error
    except (RecursionError, ValueError) as error:
        raise OperatorFault(
            f"What answers at {url} is no gateway of this version.",
            f"{error}",
            "Name the address of the gateway's HTTP API, such as http://192.0.2.7:8080.",
            Code.ONBOARDING_INVALID,
        ) from error


def warn_of(onboarding: "Onboarding") -> None:
    """Say on stderr what would keep a real board from reaching this gateway."""
    if onboarding.this_machine_only:
        click.echo(
            f"warning: {onboarding.broker.host} is this machine alone; only a virtual board gets "
            "there. Set mqtt_host and http_host, or public_host, at the gateway.",
            err=True,
        )
    if onboarding.admission_policy == "approved":
        click.echo("The operator has to approve the station: `cairn station approve`.", err=True)


def order_of(wanted: Wanted, data_dir: Path | None, wifi: "Wifi | None") -> "Order":
    """The order of one board. OperatorFault for nonsense."""
    from gateway.board.owner import owner_of, parse_address
    from gateway.board.provision import Order

    if wanted.owner is not None and wanted.owner_key is not None:
        raise click.UsageError("An owner has an address or a key: --owner or --owner-key.")
    if wanted.owner_key is not None:
        owner_of(wanted.owner_key)  # a key that is not there is said before a board is stopped
    return Order(
        outfit=_outfit(wanted),
        places=wanted.places,
        place=_place(wanted),
        owner=None if wanted.owner is None else parse_address(wanted.owner),
        owner_key=wanted.owner_key,
        broker_password=_broker_password(wanted, data_dir),
        wifi=wifi,
        join=not wanted.no_join,
    )


def wifi_of(wanted: Wanted) -> "Wifi | None":
    """The Wi-Fi that was named, with its password from a file, from stdin, or asked for hidden."""
    from gateway.board.provision import parse_wifi

    if wanted.ssid is None:
        if wanted.wifi_open or wanted.wifi_password_file is not None:
            raise click.UsageError("A password belongs to a Wi-Fi: name it with --wifi.")
        return None
    if wanted.wifi_open:
        return parse_wifi(wanted.ssid, "")
    return parse_wifi(wanted.ssid, _password(wanted.ssid, wanted.wifi_password_file))


class Terminal:
    """The person at this terminal; without one, nobody but --yes answers. See provision.Person."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def step(self, text: str) -> None:
        click.echo(f"{text} ...", err=True)

    def met(self, device: str) -> None:
        click.echo(f"board {device}", err=True)

    def agree(self, statements: list[str], *, overwrites: bool) -> bool:  # noqa: ARG002
        for statement in statements:
            click.echo(statement, err=True)
        if self._wanted.yes:
            return True
        return sys.stdin.isatty() and click.confirm("Agreed?", err=True)

    def place(self) -> "Place | None":
        from gateway.board.place import parse_place

        if not sys.stdin.isatty():
            return None
        text = click.prompt("Where the station stands (LAT,LON in degrees)", err=True)
        return parse_place(text, coarse=self._wanted.coarse)

    def wifi(self) -> "Wifi | None":
        from gateway.board.provision import parse_wifi

        if not sys.stdin.isatty():
            return None
        ssid = click.prompt("Wi-Fi to join", err=True)
        return parse_wifi(ssid, _password(ssid, None))


def _password(ssid: str, file: Path | None) -> str:
    from gateway.shell.secret_files import read_secret

    if file is not None and str(file) != STDIN:
        return read_secret(file, "the Wi-Fi's password").splitlines()[0]
    if file is None and sys.stdin.isatty():
        typed: str = click.prompt(
            f"Password of {ssid} (empty: an open network)",
            hide_input=True,
            default="",
            show_default=False,
            err=True,
        )
        return typed
    if file is None:
        raise click.UsageError(
            "Nobody can be asked for the Wi-Fi's password: --wifi-password-file, or --wifi-open."
        )
    return sys.stdin.readline(_PASSWORD_CHARACTERS_MAX).rstrip("\r\n")


def _place(wanted: Wanted) -> "Place | None":
    from gateway.board.place import parse_place

    if wanted.place is None:
        return None
    return parse_place(wanted.place, coarse=wanted.coarse)


def _outfit(wanted: Wanted) -> "Outfit":
    from gateway.device.station_choice import Outfit, parse_antenna
    from gateway.device.station_sensors import entries

    return Outfit(
        sensors=entries(wanted.sensors),
        antenna=None if wanted.antenna is None else parse_antenna(wanted.antenna),
        sample_s=wanted.sample_s,
        message_s=wanted.message_s,
        status_s=wanted.status_s,
        sleep_s=wanted.sleep_s,
        sntp_host=wanted.sntp_host,
    )


def _broker_password(wanted: Wanted, data_dir: Path | None) -> Callable[[str], str | None] | None:
    """Of a foreign broker. The gateway's own endpoint takes a login that the board signs."""
    from gateway.shell.mosquitto import SECRET, broker_password, broker_secret
    from gateway.shell.secret_files import read_secret

    if wanted.broker_password_file is not None:
        password = read_secret(wanted.broker_password_file, "the board's password")
        return lambda _device: password
    if wanted.gateway_url is not None:
        return None
    loaded = load_settings(data_dir=data_dir)
    if loaded.settings.broker_url is None or not (loaded.keys_dir / SECRET).exists():
        return None
    secret = broker_secret(loaded.keys_dir)
    return lambda device: broker_password(secret, device)
