"""From what a network is and what an owner chose to the bytes that the board stores.

The one place that composes a configuration: the command line and the page that flashes from a
browser both come here. It asks nobody and reads no file.
"""

import re
import ssl
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

from gateway.core.genesis import NETWORK_ID_BYTES, Genesis
from gateway.device.station_config import BATTERY, CONFIG_BYTES_MAX, MAINS, StationConfig
from gateway.device.station_sensors import Entry, gives, warming
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.onboarding import Broker, Onboarding

SAMPLE_S = 60
MESSAGE_S = 120
STATUS_S = 3_600
DAY_S = 86_400
SAMPLES_MAX = 256
_STATUS_S_MIN = 60
_HEIGHT_DM_MAX = 100_000
_GAIN_CDBI_MAX = 10_000
_BEACON_EVERY = 120
# So long a message may wait in RAM to share a flash write. One that comes no more often has none
# to share it with: written at once, it is sent a minute earlier.
_SHARED_WRITE_S = 60
_PASSWORD_BYTES_MAX = 128
_DECIMAL = re.compile(r"[+-]?[0-9]{1,4}(\.[0-9]{1,4})?")
# The configuration's numbers of spec/regions.toml's names.
_REGIONS = {None: 0, "EU868": 1, "US915": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """What a station has and how often it works: many boards may have the same.

    sample_s, message_s, status_s: time between samples, messages and status messages; sleep_s:
    of a battery station, between two deliveries. antenna: gain in 0.01 dBi, height in 0.1 m.
    """

    sensors: tuple[Entry, ...]
    antenna: tuple[int, int] | None = None
    sample_s: int = SAMPLE_S
    message_s: int = MESSAGE_S
    status_s: int = STATUS_S
    sleep_s: int | None = None
    sntp_host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the owner of one station decides.

    broker_password: of this device, at a broker that is not the gateway's own.
    """

    outfit: Outfit
    scoring_cell: int
    place_commitment: bytes
    owner: bytes | None = None
    owner_proof: bytes | None = None
    broker_password: str | None = None


def station_config(
    onboarding: Onboarding, choice: Choice, device: bytes | None = None
) -> StationConfig:
    """The configuration of a station. OperatorFault for what its board would refuse.

    device: id of the board, if it is known; battery stations with it spread over their period.
    """
    outfit = choice.outfit
    _check_outfit(outfit)
    _check_password(choice.broker_password)
    genesis = checked_genesis(onboarding)
    broker = onboarding.broker
    return StationConfig(
        genesis=genesis,
        quantities=[(*pair, outfit.sample_s * 1000) for pair in gives(outfit.sensors)],
        sample_interval_ms=outfit.sample_s * 1000,
        samples_per_message=outfit.message_s // outfit.sample_s,
        status_interval_ms=outfit.status_s * 1000,
        scoring_cell=choice.scoring_cell,
        place_commitment=choice.place_commitment,
        owner=choice.owner,
        owner_proof=choice.owner_proof,
        duty=_duty(outfit.sleep_s, device or b""),
        antenna=outfit.antenna,
        time_host=onboarding.time.host,
        time_port=onboarding.time.port,
        broker_host=broker.host,
        broker_port=broker.port,
        broker_ca=_ca(broker),
        broker_password=choice.broker_password,
        region=_region(onboarding.region),
        beacon_every=onboarding.beacon_every or _BEACON_EVERY,
        sntp_host=outfit.sntp_host,
        sensors=outfit.sensors,
        store_every_ms=0 if outfit.message_s >= _SHARED_WRITE_S else _SHARED_WRITE_S * 1000,
    )


def config_bytes(config: StationConfig) -> bytes:
    """The bytes of it, as the board takes them. OperatorFault if they are too many."""
    encoded = config.encode()
    if len(encoded) > CONFIG_BYTES_MAX:
        ca = config.broker_ca or b""
        raise OperatorFault(
            "The configuration does not fit into the board.",
            f"It takes {len(encoded)} bytes of {CONFIG_BYTES_MAX}, the CA {len(ca)} of them.",
            "Use a CA with an elliptic key: its certificate takes some 500 bytes.",
            Code.STATION_TOO_LARGE,
        )
    return encoded


def checked_genesis(onboarding: Onboarding) -> bytes:
    """Its genesis, if the rest of what the gateway said of its network agrees with it."""
    try:
        data = bytes.fromhex(onboarding.genesis)
    except ValueError:
        data = b""
    genesis = Genesis.decode(data)
    if (
        not isinstance(genesis, Genesis)
        or sha256(data).digest()[:NETWORK_ID_BYTES].hex() != onboarding.network_id
        or genesis.root_key.hex() != onboarding.root_key
    ):
        raise OperatorFault(
            "What this gateway says of its network does not hold together.",
            "Network id and root key are not those of its genesis.",
            "Ask its operator for the right address; do not set up boards with this one.",
            Code.ONBOARDING_INVALID,
        )
    return data


def _check_outfit(outfit: Outfit) -> None:
    if not gives(outfit.sensors):
        _refuse("sensors", "A station measures something", "Name its sensors with --sensor.")
    _check_intervals(outfit)
    if outfit.antenna is not None:
        gain, height = outfit.antenna
        if abs(gain) > _GAIN_CDBI_MAX or abs(height) > _HEIGHT_DM_MAX:
            why = f"{gain / 100} dBi at {height / 10} m is no antenna"
            _refuse("antenna", why, "Give its gain in dBi and its height over ground in metres.")


def _check_password(password: str | None) -> None:
    if password is not None and not 1 <= len(password.encode()) <= _PASSWORD_BYTES_MAX:
        why = f"It takes {len(password.encode())} bytes, and may take 1 to {_PASSWORD_BYTES_MAX}"
        _refuse("broker password", why, "Give the board another one at the broker.")


def _check_intervals(outfit: Outfit) -> None:
    for name, value, low in (
        ("time between samples", outfit.sample_s, 1),
        ("time between messages", outfit.message_s, 1),
        ("time between status messages", outfit.status_s, _STATUS_S_MIN),
        ("time between wakes", outfit.sleep_s or DAY_S, 1),
    ):
        if not low <= value <= DAY_S:
            why = f"{value} s is outside {low} to {DAY_S} s"
            _refuse(name, why, "Choose a value inside these limits.")
    samples, rest = divmod(outfit.message_s, outfit.sample_s)
    if rest or not 1 <= samples <= SAMPLES_MAX:
        why = (
            f"A message every {outfit.message_s} s does not hold 1 to {SAMPLES_MAX} whole samples"
        )
        do = f"Choose a multiple of the time between samples, {outfit.sample_s} s."
        _refuse("time between messages", why, do)
    slow = warming(outfit.sensors)
    if outfit.sleep_s is not None and slow:
        why = f"{slow[0]} counts only some seconds after its supply came, and a sleep cuts it"
        _refuse("sleep", why, "Leave that sensor out, or run the station from the mains.")


def _duty(sleep_s: int | None, device: bytes) -> tuple[int, int, int]:
    if sleep_s is None:
        return MAINS
    period_ms = sleep_s * 1000
    # All at the same second would be a crowd at the gateway.
    spread = int.from_bytes(sha256(b"cairn phase" + device).digest()[:8], "big")
    return BATTERY, period_ms, spread % period_ms


def _region(name: str | None) -> int:
    number = _REGIONS.get(name)
    if number is None:
        raise OperatorFault(
            f"The gateway names a radio region {name!r} that this version does not know.",
            "It is newer than this program, or its answer is damaged.",
            "Use the version of cairn that the gateway has.",
            Code.ONBOARDING_INVALID,
        )
    return number


def _ca(broker: Broker) -> bytes | None:
    """DER: half as long as PEM. One certificate, for a board takes no chain."""
    if not broker.tls:
        return None
    pem = broker.ca_pem or ""
    count = pem.count("-----BEGIN CERTIFICATE-----")
    try:
        if count != 1:
            raise ValueError(f"there are {count} certificates in it")
        der = ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN") :].strip() + "\n")
        if not der:
            raise ValueError("it holds nothing")
        ssl.create_default_context(cadata=der)
        return der
    except (ValueError, ssl.SSLError) as error:
        raise OperatorFault(
            "Boards cannot check this network's broker.",
            f"The broker speaks TLS, and the CA that vouches for it cannot be used: {error}."
            if pem
            else "The broker speaks TLS, and the gateway does not say which CA vouches for it.",
            "The operator sets mqtt_ca_file to a PEM file with the one CA certificate.",
            Code.CA_UNUSABLE,
        ) from error


def _refuse(name: str, why: str, do: str) -> None:
    raise OperatorFault(f"The {name} cannot be set up.", f"{why}.", do, Code.STATION_INVALID)


def parse_antenna(text: str) -> tuple[int, int]:
    """(0.01 dBi, 0.1 m) of GAIN,HEIGHT in dBi and metres."""
    words = [word.strip() for word in text.split(",")]
    if len(words) != 2 or not all(_DECIMAL.fullmatch(word) for word in words):
        why = f"{text!r} is not GAIN,HEIGHT in dBi and metres"
        _refuse("antenna", why, "Write it like 2.15,6: a dipole, six metres over ground.")
    return round(Decimal(words[0]) * 100), round(Decimal(words[1]) * 10)
