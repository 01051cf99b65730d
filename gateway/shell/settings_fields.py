"""Everything that an operator may choose, with unit, range, default and meaning.

docs/configuration.md is held to this list by a test. Secrets are named by their files only.
"""

import re
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

ENV_PREFIX = "CAIRN_"
_BROKER_SCHEMES = ("mqtt", "mqtts")
_WEB_SCHEMES = ("http", "https")
_PORT_MAX = 65_535
_HOST = re.compile(r"[0-9A-Za-z.:_-]{1,253}")


def _setting(
    default: Any, unit: str, description: str, *, ge: int | None = None, le: int | None = None
) -> Any:
    extra: dict[str, Any] = {"unit": unit}
    return Field(default=default, description=description, json_schema_extra=extra, ge=ge, le=le)


def _port(default: int, description: str) -> Any:
    return _setting(default, "port", description, ge=0, le=_PORT_MAX)


def _broker_url(value: str) -> str:
    """Refuse what paho would only fail on later, and a password where everybody sees it."""
    try:
        url = urlsplit(value)
        fault = _url_fault(url)
    except ValueError:
        fault = "it is no URL"
    if fault:
        raise ValueError(f"Not mqtt://HOST[:PORT] or mqtts://HOST[:PORT]: {fault}")
    return value


def _url_fault(url: SplitResult) -> str:
    if url.username is not None or url.password is not None:
        return "a name or password does not belong into it; see broker_user, broker_password_file"
    if url.scheme not in _BROKER_SCHEMES:
        return f"its scheme is {url.scheme or 'absent'}"
    if not url.hostname:
        return "it names no host"
    if url.port == 0 or url.path.strip("/") or url.query or url.fragment:
        return "behind the host only a port may stand"
    return ""


def _web_url(value: str) -> str:
    try:
        url = urlsplit(value)
        fits = url.scheme in _WEB_SCHEMES and url.hostname and url.username is None
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("Not http://HOST/... or https://HOST/...")
    return value


def _host(value: str) -> str:
    """A name or address alone: boards put the port behind it themselves."""
    fits = bool(_HOST.fullmatch(value))
    try:
        if ":" in value:
            IPv6Address(value)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("Not a host name or address alone, such as cairn.example.org")
    return value


class Settings(BaseSettings):
    """In the order in which they are documented."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    data_dir: Path = _setting(
        Path("cairn-data"),
        "path",
        "Directory of one network: its genesis, key statements, keys and database.",
    )
    keys_dir: Path | None = _setting(
        None, "path", "Directory of the key files. Empty: `keys` inside the data directory."
    )
    admission_policy: Literal["open", "approved"] = _setting(
        "open",
        "word",
        "`open` registers a station at its first hello; `approved` waits for the operator's "
        "approve event.",
    )
    store_busy_timeout_ms: int = _setting(
        5_000,
        "ms",
        "How long to wait for another process to release the database.",
        ge=0,
        le=600_000,
    )
    refused_samples_max: int = _setting(
        16,
        "messages",
        "How many refused messages are kept per verdict, for inspection.",
        ge=1,
        le=10_000,
    )

    mqtt_host: str = _setting(
        "127.0.0.1", "address", "Where boards connect. `0.0.0.0` is every interface; then use TLS."
    )
    mqtt_port: int = _port(1883, "Port for boards; 0 takes a free one.")
    mqtt_tls_cert: Path | None = _setting(
        None, "path", "Certificate chain (PEM) for boards. Needs `mqtt_tls_key`; empty: no TLS."
    )
    mqtt_tls_key: Path | None = _setting(None, "path", "Private key (PEM) of that certificate.")
    connections_max: int = _setting(
        10_000, "connections", "How many boards may be connected at once.", ge=1, le=1_000_000
    )
    broker_url: Annotated[str, AfterValidator(_broker_url)] | None = _setting(
        None,
        "URL",
        "`mqtt://HOST:PORT` or `mqtts://HOST:PORT`: take messages from this broker instead of "
        "listening for boards.",
    )
    broker_user: str = _setting("gateway", "name", "User name at that broker.")
    broker_password_file: Path | None = _setting(
        None, "path", "File with the password at that broker, readable by its owner only."
    )
    broker_ca_file: Path | None = _setting(
        None, "path", "Certificates (PEM) that may vouch for that broker. Empty: the system's."
    )

    http_host: str = _setting("127.0.0.1", "address", "Where the HTTP API listens.")
    http_port: int = _port(8080, "Port of the HTTP API; 0 takes a free one.")

    public_host: Annotated[str, AfterValidator(_host)] | None = _setting(
        None,
        "host",
        "Name or address under which boards reach this gateway. Empty: the address on which it "
        "listens; if that is every interface, this machine's address towards the network.",
    )
    mqtt_ca_file: Path | None = _setting(
        None,
        "path",
        "Certificate (PEM) that boards are given to check the TLS of their broker. Empty: with "
        "the gateway's own endpoint the last one of `mqtt_tls_cert`, with a foreign broker "
        "`broker_ca_file`.",
    )
    board_port: str = _setting(
        "auto",
        "port",
        "Where `cairn board` finds the board: a device such as `/dev/ttyUSB0` or `COM3`, or a URL "
        "that pyserial knows. `auto` looks for it.",
    )
    flash_images_dir: Path | None = _setting(
        None,
        "path",
        "Directory of official MicroPython images (`.bin`) that the page `/flash` may offer. "
        "Empty: it offers none.",
    )

    clock: Literal["real", "driven"] = _setting(
        "real",
        "word",
        "Protocol time: the machine's, or `driven` by ticks; only simulated networks may be "
        "driven.",
    )
    entropy_external: Literal["none", "drand"] = _setting(
        "none",
        "word",
        "What is mixed into each slot's entropy: nothing, or the newest round of `drand`, so that "
        "the gateway itself cannot know it early. Needs the real clock.",
    )
    entropy_external_url: Annotated[str, AfterValidator(_web_url)] = _setting(
        "https://api.drand.sh/public/latest",
        "URL",
        "Where that round is fetched once a minute; a slot goes without it when it does not come.",
    )
    time_server: str | None = _setting(
        None,
        "host",
        "NTP server that `cairn gateway doctor` compares the clock with. Empty: no comparison.",
    )
    clock_offset_ms_max: int = _setting(
        1_000, "ms", "How wrong the doctor lets the clock be.", ge=1, le=60_000
    )
    disk_free_bytes_min: int = _setting(
        104_857_600,
        "bytes",
        "With less room than this on the disk of the data directory, the gateway is not ready.",
        ge=0,
        le=1 << 50,
    )
    stale_intervals_max: int = _setting(
        3,
        "intervals",
        "The doctor names stations that were silent for longer than this many of their own "
        "reporting intervals.",
        ge=1,
        le=10_000,
    )

    queue_messages_max: int = _setting(
        4_096,
        "messages",
        "How many messages may wait for the database before boards are read from no more.",
        ge=64,
        le=1_000_000,
    )
    device_messages_per_minute: int = _setting(
        120,
        "messages/min",
        "What one device may send for long; more is `rate_limited`.",
        ge=1,
        le=1_000_000,
    )
    device_messages_burst: int = _setting(
        1_200,
        "messages",
        "What one device may send at once, for instance after an outage.",
        ge=1,
        le=1_000_000,
    )
    address_logins_per_minute: int = _setting(
        60,
        "logins/min",
        "How often one address may log in for long with ids that are not registered.",
        ge=1,
        le=1_000_000,
    )
    address_logins_burst: int = _setting(
        600,
        "logins",
        "How often one address may log in at once with ids that are not registered.",
        ge=1,
        le=1_000_000,
    )
    devices_tracked_max: int = _setting(
        100_000,
        "devices",
        "For how many devices and addresses such limits are remembered.",
        ge=1_000,
        le=10_000_000,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - there is no .env
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = TomlConfigSettingsSource(settings_cls, settings_cls.model_config.get("toml_file"))
        return init_settings, env_settings, file
