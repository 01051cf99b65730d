"""How the stations are, read from the store alone: for `cairn station` and the doctor.

It reads the logs from the first message that the last closed epoch took in, so its work is bounded
by two days of messages. Nothing is verified again: what is stored was verified when it came.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway.core.chain import Before, ChainFindings, ChainLink, chain_findings
from gateway.core.epoch_inputs import StationRow
from gateway.core.ids import DEVICE_ID_BYTES
from gateway.core.model import Claim, DeviceMessage, Gap, Hello, Readings
from gateway.core.operator import Anchor, Approve, SetOwner, open_operator_event
from gateway.core.ranges import Ranges, holes, union
from gateway.core.state import EpochState, decode_state
from gateway.core.statements import open_statement
from gateway.core.station_table import decode_stations
from gateway.core.verdicts import Verdict
from gateway.core.wire import decode
from gateway.shell.network import Network
from gateway.shell.store.base import Logged, Store, StoredEpoch

# Ranges of one device are merged when so many wait: memory stays small, work stays linear.
_MERGE_AT = 64


@dataclass(slots=True)
class StationLook:
    """One station; counts since the beginning of the newest closed epoch.

    intervals_ms: declared in its hello; samples: in its newest readings message; wake_period_ms:
    of its duty; last_ms and last_kind: the protocol time at which its newest message came, and
    that message's kind, None if there was none since; row: its row of the newest closed epoch.
    """

    device: bytes
    scoring_cell: int
    owner: bytes
    intervals_ms: tuple[int, ...]
    anchored: bool = False
    wake_period_ms: int = 0
    samples: int = 1
    last_ms: int | None = None
    last_kind: int | None = None
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    seqs: Ranges = ()
    waiting: list[tuple[int, int]] = field(default_factory=list)
    row: StationRow | None = None

    @property
    def reporting_interval_ms(self) -> int:
        """How often it sends readings: its shortest interval times what it packs into one."""
        return max(min(self.intervals_ms, default=0) * self.samples, self.wake_period_ms)

    @property
    def holes(self) -> Ranges:
        """Seqs below its highest that neither came nor lie under a signed gap."""
        return holes(union((*self.seqs, *self.waiting)))


@dataclass(frozen=True, slots=True)
class Stations:
    """since_ms: when the oldest message that was looked at came; newest_ms: the newest of all.

    waiting: devices that knocked and wait for the operator's approval, with the newest time.
    """

    stations: dict[bytes, StationLook]
    waiting: dict[bytes, int]
    epoch: int | None
    since_ms: int | None
    newest_ms: int | None


def look_at_stations(store: Store, network: Network) -> Stations:
    """Every registered station. MalformedError if the store holds what no gateway wrote."""
    last, opening = _opening(store)
    stations = _from_state(opening)
    decided = _decided(store, network)
    since_ms = newest_ms = None
    for logged, message in _messages(store, network, last):
        since_ms = logged.entry.recv_ms if since_ms is None else since_ms
        newest_ms = logged.entry.recv_ms
        _take(stations, logged, message)
    for device, look in stations.items():
        look.owner = decided.owners.get(device, look.owner)
        look.anchored = device in decided.anchored
    if last is not None:
        for row in decode_stations(last.outcome):
            if row.device in stations:
                stations[row.device].row = row
    waiting = _waiting(store, decided.approved, stations)
    return Stations(stations, waiting, last.epoch if last else None, since_ms, newest_ms)


def look_at_chain(store: Store, network: Network, device: bytes) -> ChainFindings:
    """Forks, clones and holes of one device, as the next close would find them."""
    last, opening = _opening(store)
    links = [
        ChainLink(message, logged.entry.net_tag)
        for logged, message in _messages(store, network, last)
        if message.device == device
    ]
    return chain_findings(links, opening.delivered.get(device, Before()))


def approved_devices(store: Store, network: Network) -> set[bytes]:
    """Whom the operator let in by name."""
    return _decided(store, network).approved


def _opening(store: Store) -> tuple[StoredEpoch | None, EpochState]:
    """The newest closed epoch, and the state that it began with."""
    numbers = store.epoch_numbers()
    if not numbers:
        return None, EpochState()
    before = store.epoch(numbers[-1] - 1)
    return store.epoch(numbers[-1]), decode_state(before.closing if before else b"")


def _messages(
    store: Store, network: Network, last: StoredEpoch | None
) -> Iterator[tuple[Logged, DeviceMessage]]:
    for logged in store.iterate(last.admission_first if last else 0):
        decoded = decode(logged.data, network.network_id)
        if not isinstance(decoded, Verdict):
            yield logged, decoded.message


def _from_state(state: EpochState) -> dict[bytes, StationLook]:
    looks = {}
    for device, known in state.stations.items():
        before = state.delivered.get(device, Before())
        looks[device] = StationLook(
            device,
            known.scoring_cell,
            known.owner,
            tuple(declared.interval_ms for declared in known.declared),
            seqs=union((*before.by_message, *before.by_gap)),
        )
    return looks


def _take(stations: dict[bytes, StationLook], logged: Logged, message: DeviceMessage) -> None:
    look = stations.get(message.device)
    body = message.body
    if look is None:
        look = stations[message.device] = StationLook(message.device, 0, b"", ())
    look.last_ms = logged.entry.recv_ms
    look.last_kind = message.kind
    look.verdicts[logged.entry.verdict] += 1
    look.waiting.append((message.seq, message.seq))
    match body:
        case Hello():
            look.scoring_cell = body.scoring_cell
            look.intervals_ms = tuple(declared.interval_ms for declared in body.declared)
            look.wake_period_ms = body.wake_period_ms
        case Claim():
            look.owner = body.owner
        case Readings():
            look.samples = max(len(body.sample_ages_ms), 1)
        case Gap():
            look.waiting.append((body.first, body.last))
        case _:
            pass
    if len(look.waiting) >= _MERGE_AT:
        look.seqs = union((*look.seqs, *look.waiting))
        look.waiting.clear()


@dataclass(slots=True)
class _Decided:
    """What the operator log says of devices."""

    approved: set[bytes]
    anchored: set[bytes]
    owners: dict[bytes, bytes]


def _decided(store: Store, network: Network) -> _Decided:
    decided = _Decided(set(), set(), {})
    opened = [
        open_statement(data, network.network_id, network.genesis.root_key)
        for data in network.statements
    ]
    statements = [one for one in opened if not isinstance(one, Verdict)]
    for data in store.events(0, store.operator_head().length):
        event = open_operator_event(data, network.network_id, statements)
        if isinstance(event, Verdict):
            continue
        match event.body:
            case Approve(device):
                decided.approved.add(device)
            case Anchor(device, anchored):
                (decided.anchored.add if anchored else decided.anchored.discard)(device)
            case SetOwner(device, owner):
                decided.owners[device] = owner
            case _:
                pass
    return decided


def _waiting(store: Store, approved: set[bytes], registered: Iterable[bytes]) -> dict[bytes, int]:
    waiting: dict[bytes, int] = {}
    done = approved | set(registered)
    for refused in store.refused_samples(Verdict.WAITING_APPROVAL):
        if len(refused.device) == DEVICE_ID_BYTES and refused.device not in done:
            waiting[refused.device] = max(refused.recv_ms, waiting.get(refused.device, 0))
    return waiting
