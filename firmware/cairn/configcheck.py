"""Whether a configuration keeps to the rules. Needed once a boot: config.py borrows it."""

from . import cbor, limits, regions, wire
from .errors import OperatorError

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

    from .config import Config

_CELL_RESOLUTIONS = (7, 9)


def check(config: "Config") -> "tuple[bytes, bool]":
    """(root key, simulated) of its genesis. OperatorError: a setting is refused."""
    found = _read_genesis(config.genesis)
    _check_measuring(config)
    _check_place(config)
    _check_owner_and_duty(config)
    _check_machine(config)
    _check_broker(config)
    _check_radio(config)
    _check_sensors(config)
    return found


def _read_genesis(genesis: bytes) -> "tuple[bytes, bool]":
    do = "Take the genesis file from the network's operator, unchanged."
    try:
        fields: "Any" = cbor.decode(genesis)
    except cbor.CborError as error:
        raise OperatorError("config.genesis", "the genesis is refused", error.code, do)
    if not isinstance(fields, list) or len(fields) != 6 or fields[0] != 1:
        raise OperatorError("config.genesis", "the genesis is refused", "not six fields", do)
    root_key, simulated = fields[2], fields[5]
    if not isinstance(root_key, bytes) or len(root_key) != 32 or simulated not in (0, 1):
        raise OperatorError("config.genesis", "the genesis is refused", "no root key in it", do)
    return root_key, simulated == 1


def _check_measuring(config: "Config") -> None:
    interval = config.sample_interval_ms
    low, high = limits.INTERVAL_MS_MIN, limits.INTERVAL_MS_MAX
    _within("sample_interval_ms", interval, low, high)
    _within("samples_per_message", config.samples_per_message, 1, limits.SAMPLES_MAX)
    _within("status_interval_ms", config.status_interval_ms, limits.SLOT_MS, high)
    _within("reporting interval", config.reporting_interval_ms, low, high)
    _within("quantities", len(config.quantities), 1, limits.QUANTITIES_MAX)
    last = (-1, -1)
    for quantity, channel, interval_ms in config.quantities:
        _within("interval_ms", interval_ms, low, high)
        _within("quantity", quantity, 0, limits.INT_MAX)
        _within("channel", channel, 0, limits.INT_MAX)
        if interval_ms % interval:
            why = "%d ms is no multiple of sample_interval_ms %d" % (interval_ms, interval)
            raise _refused("quantities", why, "Sample at a divisor of every declared interval.")
        if (quantity, channel) <= last:
            why = "(%d, %d) is not above the pair before it" % (quantity, channel)
            raise _refused("quantities", why, "Sort them and name every pair once.")
        last = (quantity, channel)


def _check_place(config: "Config") -> None:
    cell = config.scoring_cell
    # Bits of an H3 index: 1 reserved, 4 mode (1: cell), 3 reserved, 4 resolution.
    if cell >> 59 != 1 or (cell >> 56) & 7 or (cell >> 52) & 15 not in _CELL_RESOLUTIONS:
        why = "%x is no H3 cell of resolution 7 or 9" % cell
        raise _refused("scoring_cell", why, "Take the cell from the provisioning tool.")
    if not isinstance(config.place_commitment, bytes) or len(config.place_commitment) != 32:
        raise _refused("place_commitment", "it is not 32 bytes", "Provision the place again.")
    if config.antenna is not None:
        gain_cdbi, height_dm = config.antenna
        _within("antenna", gain_cdbi, -limits.INT_MAX, limits.INT_MAX)
        _within("antenna", height_dm, -limits.INT_MAX, limits.INT_MAX)


def _check_owner_and_duty(config: "Config") -> None:
    owner = config.owner
    if owner is not None and (not isinstance(owner, bytes) or len(owner) != 20):
        raise _refused("owner", "it is not 20 bytes", "Give an EVM address or a did:key owner id.")
    if owner is None and config.owner_proof is not None:
        raise _refused("owner_proof", "there is no owner", "Name the owner or drop the proof.")
    if config.owner_proof is not None:
        if not isinstance(config.owner_proof, bytes):
            raise _refused("owner_proof", "it is not bytes", "Take what the claim command prints.")
        _within("owner_proof", len(config.owner_proof), 1, limits.OWNER_PROOF_BYTES_MAX)
    duty_class, period_ms, phase_ms = config.duty
    if duty_class == wire.DUTY_MAINS:
        if period_ms or phase_ms:
            raise _refused("duty", "a mains station does not sleep", "Set period and phase to 0.")
    elif duty_class != wire.DUTY_BATTERY or not 0 <= phase_ms < period_ms <= limits.INT_MAX:
        why = "class %d with period %d and phase %d" % config.duty
        raise _refused("duty", why, "Use class 0 or 1, and a phase below the period.")


def _check_machine(config: "Config") -> None:
    low, high = limits.OUTBOX_BYTES_MIN, limits.OUTBOX_BYTES_MAX
    _within("outbox_bytes_max", config.outbox_bytes_max, low, high)
    _within("store_every_ms", config.store_every_ms, 0, limits.STORE_EVERY_MS_MAX)
    _check_host("time", config.time_host, config.time_port)
    _check_host("sntp", config.sntp_host, 123)


def _check_broker(config: "Config") -> None:
    _check_host("broker", config.broker_host, config.broker_port)
    _within("keepalive_s", config.keepalive_s, limits.KEEPALIVE_S_MIN, limits.KEEPALIVE_S_MAX)
    ca, password = config.broker_ca, config.broker_password
    for name, value in (("broker_ca", ca), ("broker_password", password)):
        if value is not None and config.broker_host is None:
            raise _refused(name, "there is no broker", "Set broker_host, or drop " + name + ".")
    if ca is not None:
        if not isinstance(ca, bytes):
            raise _refused("broker_ca", "it is not bytes", "Give the certificate's bytes.")
        _within("broker_ca", len(ca), 1, limits.BROKER_CA_BYTES_MAX)
    if password is not None:
        _within("broker_password", len(password.encode()), 1, limits.BROKER_PASSWORD_BYTES_MAX)


def _check_radio(config: "Config") -> None:
    if config.region != regions.NONE and config.region not in regions.REGIONS:
        do = "Use 1 for EU868, 2 for US915, 0 without LoRa."
        raise _refused("region", "%d names no region" % config.region, do)
    _within("beacon_every", config.beacon_every, 1, limits.BEACON_EVERY_MAX)


def _check_sensors(config: "Config") -> None:
    _within("sensors", len(config.sensors), 0, limits.SENSORS_MAX)
    for sensor in config.sensors:
        _within("sensors", len(sensor), limits.SENSOR_FIELDS_MIN, limits.SENSOR_FIELDS_MAX)
        for field in sensor:
            _within("sensors", field, -limits.INT_MAX, limits.INT_MAX)


def _check_host(role: str, host: "str | None", port: int) -> None:
    _within(role + "_port", port, 1, 65535)
    if host is not None and not 1 <= len(host.encode()) <= 253:
        why, do = "it is no host name", "Give the name or the address of that host."
        raise _refused(role + "_host", why, do)


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        why = "%d is outside %d..%d" % (value, low, high)
        raise _refused(name.replace(" ", "_"), why, "Choose a value inside these limits.")


def _refused(name: str, why: str, do: str) -> OperatorError:
    return OperatorError("config." + name, "the setting " + name + " is refused", why, do)
