"""What the owner decides about a station, validated once; the Node trusts a Config.

Stored twice, in the files "config" and "config.spare", as one CBOR array. Changing it takes a
restart.
"""

from hashlib import sha256

from . import cbor, sealed
from .errors import OperatorError
from .overlay import borrow

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .boards.base import Files

FILE = "config"
SPARE = "config.spare"
CHECK_BYTES = sealed.CHECK_BYTES
_VERSION = 4
_FIELDS = 24


class Config:
    """Values as given, and network_id (8 bytes), root_key (32), simulated, from the genesis.

    quantities: (quantity, channel, interval_ms), strictly ascending; every interval_ms is a
    multiple of sample_interval_ms. duty: (class of wire.DUTY_*, wake period ms, wake phase ms).
    owner: 20 bytes or None; owner_proof: COSE_Sign1 or None. time_host None: no HTTP time service.
    broker_host None: no MQTT. broker_ca: CA certificate, PEM or DER; None: TCP without TLS.
    broker_password: of this device at a broker that is not the gateway's own endpoint; None: a
    signed login. region: of regions.py, 0: no LoRa; beacon_every: one slot in how many has a
    beacon, as the network's rules say. sntp_host None: no second time source. sensors: [part,
    channel, bus or its number, address or pins ...] each; what they mean is sensors/rack.py's.
    store_every_ms: longest time that a signed message waits in RAM for its flash write; 0: none.
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
        duty: "tuple[int, int, int]" = (0, 0, 0),
        antenna: "tuple[int, int] | None" = None,
        time_host: "str | None" = None,
        time_port: int = 80,
        outbox_bytes_max: int = 524_288,
        broker_host: "str | None" = None,
        broker_port: int = 1883,
        broker_ca: "bytes | None" = None,
        broker_password: "str | None" = None,
        keepalive_s: int = 60,
        region: int = 0,
        beacon_every: int = 120,
        sntp_host: "str | None" = None,
        sensors: "Sequence[Sequence[int]]" = (),
        store_every_ms: int = 60_000,
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
        self.sntp_host = sntp_host
        self.sensors = tuple([tuple(sensor) for sensor in sensors])
        self.store_every_ms = store_every_ms
        self.network_id = sha256(genesis).digest()[:8]
        self.root_key, self.simulated = borrow("configcheck").check(self)

    @property
    def reporting_interval_ms(self) -> int:
        """Time between two readings messages."""
        return self.sample_interval_ms * self.samples_per_message

    def encode(self) -> bytes:
        """The bytes that decode() takes."""
        return cbor.encode(
            [
                _VERSION,
                self.genesis,
                self.quantities,
                self.sample_interval_ms,
                self.samples_per_message,
                self.status_interval_ms,
                self.scoring_cell,
                self.place_commitment,
                self.owner,
                self.owner_proof,
                self.duty,
                self.antenna,
                self.time_host,
                self.time_port,
                self.outbox_bytes_max,
                self.broker_host,
                self.broker_port,
                self.broker_ca,
                self.broker_password,
                self.keepalive_s,
                self.region,
                self.beacon_every,
                self.sntp_host,
                self.sensors,
                self.store_every_ms,
            ]
        )


def decode(data: bytes) -> Config:
    """The Config in data; OperatorError if it is damaged or breaks a rule."""
    try:
        fields = cbor.decode(data)
    except cbor.CborError as error:
        raise _damaged("it is not CBOR: " + error.code)
    if not isinstance(fields, list) or len(fields) != _FIELDS + 1 or fields[0] != _VERSION:
        raise _damaged("it has another shape than version 4")
    try:
        return _made(fields)
    except (TypeError, ValueError, AttributeError):
        raise _damaged("a field has another type than version 4")


def _made(fields: "list[Any]") -> Config:
    # One by one: names in texts would stay in a board's heap for good.
    return Config(
        genesis=fields[1],
        quantities=[tuple(quantity) for quantity in fields[2]],
        sample_interval_ms=fields[3],
        samples_per_message=fields[4],
        status_interval_ms=fields[5],
        scoring_cell=fields[6],
        place_commitment=fields[7],
        owner=fields[8],
        owner_proof=fields[9],
        duty=tuple(fields[10]),
        antenna=None if fields[11] is None else tuple(fields[11]),
        time_host=fields[12],
        time_port=fields[13],
        outbox_bytes_max=fields[14],
        broker_host=fields[15],
        broker_port=fields[16],
        broker_ca=fields[17],
        broker_password=fields[18],
        keepalive_s=fields[19],
        region=fields[20],
        beacon_every=fields[21],
        sntp_host=fields[22],
        sensors=fields[23],
        store_every_ms=fields[24],
    )


def load(
    files: "Files",
    report: "Callable[[str, str], None] | None" = None,
    offer: "Callable[[], bytes | None] | None" = None,
) -> Config:
    """The stored Config. A damaged or absent file is taken from its spare copy and mended, which
    report (Board.report) is told. Where none was ever stored, what offer (Board.offer) gives is
    checked and kept.
    """
    data, spare = sealed.read(files, FILE), sealed.read(files, SPARE)
    if data:
        found = decode(data)
        if spare != data:
            # The power went between the two writes, or the spare is damaged.
            _mend(files, SPARE, data)
        return found
    absent = files.read(FILE) is None
    if not spare:
        if absent and files.read(SPARE) is None:
            offered = None if offer is None else offer()
            if offered is None:
                raise _absent()
            found = decode(offered)
            store(files, found)
            return found
        # A hello with a wrong place or owner would be worse than none.
        raise _damaged("its check does not fit")
    if report is not None:
        report("config.spare", FILE + (" is absent" if absent else " is damaged"))
    found = decode(spare)
    _mend(files, FILE, spare)
    return found


def store(files: "Files", config: Config) -> None:
    """Keep config, and a spare copy of it, for the next boot."""
    data = config.encode()
    sealed.write(files, FILE, data)
    sealed.write(files, SPARE, data)


def _mend(files: "Files", name: str, data: bytes) -> None:
    try:
        sealed.write(files, name, data)
    except OSError:
        # A flash that is full is no reason not to start: the other copy serves, as it did now.
        return


def _absent() -> OperatorError:
    return OperatorError(
        "config.absent",
        "the station is not configured",
        "its storage holds no file " + FILE,
        "Provision the board.",
    )


def _damaged(why: str) -> OperatorError:
    do = "Provision the board again; its key and its messages stay."
    return OperatorError("config.damaged", "the stored configuration is refused", why, do)
