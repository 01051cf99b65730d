"""What the owner decides about a station, validated once; the Node trusts a Config.

Stored in the file "config" as one CBOR array. Changing it takes a restart.
"""

from hashlib import sha256

from . import cbor, limits, regions, sealed, wire
from .errors import OperatorError

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .boards.base import Files

FILE = "config"
_VERSION = 3
_FIELDS = (
    "genesis",
    "quantities",
    "sample_interval_ms",
    "samples_per_message",
    "status_interval_ms",
    "scoring_cell",
    "place_commitment",
    "owner",
    "owner_proof",
    "duty",
    "antenna",
    "time_host",
    "time_port",
    "outbox_bytes_max",
    "broker_host",
    "broker_port",
    "broker_ca",
    "broker_password",
    "keepalive_s",
    "region",
    "beacon_every",
)
_CELL_RESOLUTIONS = (7, 9)


class Config:
    """Values as given, and network_id (8 bytes), root_key (32), simulated, from the genesis.

    quantities: (quantity, channel, interval_ms), strictly ascending; every interval_ms is a
    multiple of sample_interval_ms. duty: (class, wake period ms, wake phase ms). owner: 20 bytes
    or None; owner_proof: COSE_Sign1 or None. time_host None: no HTTP time service.
    broker_host None: no MQTT. broker_ca: CA certificate, PEM or DER; None: TCP without TLS.
    broker_password: of this device at a broker that is not the gateway's own endpoint; None: a
    signed login. region: of regions.py, 0: no LoRa; beacon_every: one slot in how many has a
    beacon, as the network's rules say.
    Raises OperatorError with a code that starts with "config.".
    """

    def __init__(
        self,
        *,
        genesis: bytes,
        quantities: "Sequence[tuple[int, int, int]]",
        sample_interval_ms: int,
        samples_per_message: int,
        status_interval_ms: int,
        scoring_cell: int,
        place_commitment: bytes,
        owner: "bytes | None" = None,
        owner_proof: "bytes | None" = None,
        duty: "tuple[int, int, int]" = (wire.DUTY_MAINS, 0, 0),
        antenna: "tuple[int, int] | None" = None,
        time_host: "str | None" = None,
        time_port: int = 80,
        outbox_bytes_max: int = 524_288,
        broker_host: "str | None" = None,
        broker_port: int = 1883,
        broker_ca: "bytes | None" = None,
        broker_password: "str | None" = None,
        keepalive_s: int = 60,
        region: int = regions.NONE,
        beacon_every: int = 120,
    ) -> None:
        self.genesis = genesis
        self.quantities = tuple(quantities)
        self.sample_interval_ms = sample_interval_ms
        self.samples_per_message = samples_per_message
        self.status_interval_ms = status_interval_ms
        self.scoring_cell = scoring_cell
        self.place_commitment = place_commitment
        self.owner = owner
        self.owner_proof = owner_proof
        self.duty = duty
        self.antenna = antenna
        self.time_host = time_host
        self.time_port = time_port
        self.outbox_bytes_max = outbox_bytes_max
        self.broker_host = broker_host
        self.broker_port = broker_port
        self.broker_ca = broker_ca
        self.broker_password = broker_password
        self.keepalive_s = keepalive_s
        self.region = region
        self.beacon_every = beacon_every
        self.network_id = sha256(genesis).digest()[:8]
        self.root_key, self.simulated = _read_genesis(genesis)
        _check_measuring(self)
        _check_place(self)
        _check_owner_and_duty(self)
        _check_machine(self)
        _check_broker(self)
        _check_radio(self)

    @property
    def reporting_interval_ms(self) -> int:
        """Time between two readings messages."""
        return self.sample_interval_ms * self.samples_per_message

    def encode(self) -> bytes:
        """The bytes that decode() takes."""
        return cbor.encode([_VERSION] + [getattr(self, name) for name in _FIELDS])


def decode(data: bytes) -> Config:
    """The Config in data; OperatorError if it is damaged or breaks a rule."""
    try:
        fields = cbor.decode(data)
    except cbor.CborError as error:
        raise _damaged("it is not CBOR: " + error.code)
    if not isinstance(fields, list) or len(fields) != len(_FIELDS) + 1 or fields[0] != _VERSION:
        raise _damaged("it has another shape than version 3")
    values = dict(zip(_FIELDS, fields[1:]))
    try:
        for name in ("duty", "antenna"):
            values[name] = None if values[name] is None else tuple(values[name])
        values["quantities"] = [tuple(quantity) for quantity in values["quantities"]]
        return Config(**values)
    except (TypeError, ValueError, AttributeError):
        raise _damaged("a field has another type than version 3")


def load(files: "Files") -> Config:
    """The stored Config."""
    if files.read(FILE) is None:
        raise OperatorError(
            "config.absent",
            "the station is not configured",
            "its storage holds no file " + FILE,
            "Provision the board.",
        )
    data = sealed.read(files, FILE)
    if not data:
        # A hello with a wrong place or owner would be worse than none.
        raise _damaged("its check does not fit")
    return decode(data)


def store(files: "Files", config: Config) -> None:
    """Keep config for the next boot."""
    sealed.write(files, FILE, config.encode())


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


def _check_measuring(config: Config) -> None:
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


def _check_place(config: Config) -> None:
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


def _check_owner_and_duty(config: Config) -> None:
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


def _check_machine(config: Config) -> None:
    low, high = limits.OUTBOX_BYTES_MIN, limits.OUTBOX_BYTES_MAX
    _within("outbox_bytes_max", config.outbox_bytes_max, low, high)
    _check_host("time", config.time_host, config.time_port)


def _check_broker(config: Config) -> None:
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


def _check_radio(config: Config) -> None:
    if config.region != regions.NONE and config.region not in regions.REGIONS:
        do = "Use 1 for EU868, 2 for US915, 0 without LoRa."
        raise _refused("region", "%d names no region" % config.region, do)
    _within("beacon_every", config.beacon_every, 1, limits.BEACON_EVERY_MAX)


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


def _damaged(why: str) -> OperatorError:
    do = "Provision the board again; its key and its messages stay."
    return OperatorError("config.damaged", "the stored configuration is refused", why, do)
