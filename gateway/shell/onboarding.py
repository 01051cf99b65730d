"""What a board must know of a network to join it, and where it reaches this gateway.

A board is elsewhere: the address on which the gateway listens is seldom the one that it can use.
`GET /v1/onboarding` and `cairn board provision` both take it from here.
"""

import ipaddress
import re
import socket
import ssl
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from gateway.core.genesis import DAY_MS
from gateway.core.rules import Rules
from gateway.shell.api.release import Releases
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import DATABASE, Network, load_network
from gateway.shell.settings import Loaded
from gateway.shell.settings_fields import Settings
from gateway.shell.store.sqlite import SqliteStore

_SCHEME_PORTS = {"mqtt": 1883, "mqtts": 8883}
_PORT_MAX = 65_535
_ANY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104 - names them
# TEST-NET-1 (RFC 5737): nothing is sent there, the kernel only picks the way.
_FAR_AWAY = ("192.0.2.1", 9)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where boards publish. ca_pem: what vouches for it; None with tls: nobody knows, so no board
    can be set up for it (a board without a CA speaks plain TCP).
    """

    host: str
    port: int
    tls: bool
    ca_pem: str | None


@dataclass(frozen=True, slots=True)
class Time:
    """Where boards ask for the time, and fetch releases: plain HTTP."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Reach:
    """How a board reaches this gateway."""

    broker: Broker
    time: Time

    @property
    def this_machine_only(self) -> bool:
        """Whether some of it listens on the loopback alone, which no board but a virtual one
        can reach.
        """
        return _is_loopback(self.broker.host) or _is_loopback(self.time.host)


@dataclass(frozen=True, slots=True)
class Onboarding:
    """All that a board must know. Bytes as hex, as in JSON.

    region: of spec/regions.toml, by name; beacon_every: slots. Both are those of the rules in
    force, which may change; None only where the rules cannot be had.
    """

    name: str
    network_id: str
    genesis: str
    root_key: str
    simulated: bool
    broker: Broker
    time: Time
    this_machine_only: bool
    region: str | None
    beacon_every: int | None
    admission_policy: str

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_document(cls, found: Any) -> Self:
        """Read what `GET /v1/onboarding` answered. ValueError if that is something else."""
        try:
            fields = {name: found[name] for name in cls.__dataclass_fields__}
            fields["broker"] = Broker(**found["broker"])
            fields["time"] = Time(**found["time"])
            onboarding = cls(**fields)
            bytes.fromhex(onboarding.genesis)
            _check_typed(onboarding)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"It is no answer of /v1/onboarding: {error!r}.") from error
        return onboarding


def _check_typed(found: Onboarding) -> None:
    """What answers may be anything; it is shown to people and sealed into a board."""
    for at in (found.broker, found.time):
        if not isinstance(at.host, str) or not at.host or not at.host.isprintable():
            raise ValueError(f"{at.host!r} is no host")
        if type(at.port) is not int or not 0 < at.port <= _PORT_MAX:
            raise ValueError(f"{at.port!r} is no port")
    texts = (found.name, found.network_id, found.admission_policy, found.broker.ca_pem or "")
    if not all(isinstance(text, str) for text in texts) or type(found.broker.tls) is not bool:
        raise ValueError("a field is of another type")


def onboarding(
    settings: Settings, network: Network, reach: Reach, rules: Rules | None
) -> Onboarding:
    """Put it together. rules: those of today."""
    return Onboarding(
        name=network.genesis.name,
        network_id=network.network_id.hex(),
        genesis=network.genesis_bytes.hex(),
        root_key=network.genesis.root_key.hex(),
        simulated=network.genesis.simulated,
        broker=reach.broker,
        time=reach.time,
        this_machine_only=reach.this_machine_only,
        region=None if rules is None else rules.coverage.region,
        beacon_every=None if rules is None else rules.coverage.beacon_every_slots,
        admission_policy=settings.admission_policy,
    )


def onboarding_of(loaded: Loaded) -> Onboarding:
    """The same without a running gateway, from its settings and its store."""
    settings = loaded.settings
    network = load_network(settings.data_dir)
    return onboarding(settings, network, reach(settings), _rules_of_today(settings, network))


def _rules_of_today(settings: Settings, network: Network) -> Rules:
    rules = Releases(network)
    newest_ms = network.genesis.epoch_zero_ms
    path = settings.data_dir / DATABASE
    if path.exists():
        timeout_ms = settings.store_busy_timeout_ms
        store = SqliteStore.reader(path, network.network_id, busy_timeout_ms=timeout_ms)
        try:
            rules.follow(store)
            length = store.admission_head().length
            newest = store.entries(max(length - 1, 0), length)
        finally:
            store.close()
        newest_ms = newest[0].recv_ms if newest else newest_ms
    # Of a simulated network time stands where it stood last.
    now_ms = newest_ms if network.genesis.simulated else time.time_ns() // 1_000_000
    return rules.rules(now_ms // DAY_MS)


def reach(settings: Settings, *, mqtt_port: int | None = None, http_port: int = 0) -> Reach:
    """How boards reach a gateway with these settings; the ports are those really bound.

    Without them the settings say; OperatorFault if one of those is 0, for then a running gateway
    alone knows, or if the certificates cannot be read.
    """
    served = Time(
        settings.public_host or _outward(settings.http_host),
        http_port or _fixed("http_port", settings.http_port),
    )
    ca = boards_ca(settings)
    if settings.broker_url is not None:
        return Reach(_foreign(settings.broker_url, served.host, ca), served)
    host = settings.public_host or _outward(settings.mqtt_host)
    port = mqtt_port or _fixed("mqtt_port", settings.mqtt_port)
    return Reach(Broker(host, port, settings.mqtt_tls_cert is not None, ca), served)


def boards_ca(settings: Settings) -> str | None:
    """What vouches for the boards' broker, PEM; None without TLS, or if nobody said."""
    own = settings.mqtt_tls_cert
    if settings.broker_url is not None:
        if urlsplit(settings.broker_url).scheme != "mqtts":
            return None
        file = settings.mqtt_ca_file or settings.broker_ca_file
        return _certificates(file, "mqtt_ca_file") if file else None
    if own is None:
        return None
    if settings.mqtt_ca_file is not None:
        return _certificates(settings.mqtt_ca_file, "mqtt_ca_file")
    # The end of a chain vouches for all before it; one certificate alone is its own end.
    return str(_CERTIFICATE.findall(_certificates(own, "mqtt_tls_cert"))[-1])


def _foreign(url: str, here: str, ca: str | None) -> Broker:
    split = urlsplit(url)
    assert split.hostname is not None, "checked by the setting"
    # One on this machine a board knows by another name.
    host = here if _is_loopback(split.hostname) else split.hostname
    port = split.port or _SCHEME_PORTS[split.scheme]
    return Broker(host, port, split.scheme == "mqtts", ca)


def _certificates(path: Path, name: str) -> str:
    """The certificates of a PEM file, without anything else that may stand in it."""
    try:
        text = "".join(_CERTIFICATE.findall(path.read_text("utf-8")))
        if not text:
            raise ValueError("There is no certificate in it")
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise OperatorFault(
            f"The certificates in {path} cannot be used.",
            f"{error}.",
            f"Name a PEM file with the setting {name}.",
            Code.TLS_UNUSABLE,
        ) from error
    return text if text.endswith("\n") else text + "\n"


def _fixed(name: str, port: int) -> int:
    if port:
        return port
    raise OperatorFault(
        f"Nobody knows yet on which port boards would be served: {name} is 0.",
        "0 takes a free port when the gateway starts, and none runs on this data directory.",
        "Start it with `cairn gateway run`, or set a port.",
        Code.GATEWAY_ABSENT,
    )


def _outward(host: str) -> str:
    """An address that listens, as others see it."""
    if host not in _ANY_ADDRESS:
        return host
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_FAR_AWAY)
            found = str(probe.getsockname()[0])
    except OSError:
        found = "127.0.0.1"  # no way leads out of this machine
    return found if found not in _ANY_ADDRESS else "127.0.0.1"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
