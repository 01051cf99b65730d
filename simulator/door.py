"""Where the simulator meets the gateway; the only module of it that imports one.

It plays the operator (network, keys, anchors) and the shell's surroundings: it hands arrivals over
in batches, asks for the time, lets epochs close, and kills the gateway in the middle of a batch
and opens it again on the same file.
"""

from __future__ import annotations

import base64
import hashlib
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cbor2

from gateway.core.admission import Arrival
from gateway.core.manifest import decode_manifest
from gateway.core.model import Kind
from gateway.core.operator import OperatorKind
from gateway.core.quantities import parse_quantities
from gateway.core.slots import StationClass
from gateway.core.station_table import decode_stations
from gateway.core.verdicts import Verdict
from gateway.shell.network import DATABASE, NetworkKeys, create_network, load_keys
from gateway.shell.service import Gateway
from gateway.shell.spec_files import read_spec
from gateway.shell.store.base import Store, StoredEpoch
from gateway.shell.store.sqlite import SqliteStore
from simulator.counterpart import SentReadings
from simulator.epochs import EpochSummary
from simulator.ledger import Stored, payload_of
from simulator.mortal import Crashed, MortalStore
from simulator.network import Delivery
from simulator.record import Record
from simulator.seeds import stream
from simulator.sensors import Quantity
from simulator.world import World

SLOT_MS = 60_000
BATCH_MAX = 64
DAY_SLOTS = 1_440
DAYS_MAX = 1_000_000
# Not registered yet: the board keeps the message and sends it again.
DEFERRED = frozenset({Verdict.UNREGISTERED, Verdict.WAITING_APPROVAL})
HELD = frozenset({Verdict.OK, Verdict.NOT_EVALUATED, Verdict.DUPLICATE})


@dataclass(frozen=True, slots=True)
class Sender:
    """What the network knows of one station's connection."""

    device: bytes
    net_tag: bytes


class Door:
    """One network, its gateway and its operator, on a SQLite file in `data_dir`.

    deliver_down(station, tail, data) takes every downlink; station None means all of them.
    """

    def __init__(
        self,
        world: World,
        data_dir: Path,
        epoch_zero_ms: int,
        deliver_down: Callable[[bytes | None, str, bytes], None],
    ) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self.corrupted_delivered = 0
        self.corrupted_held = 0
        self.corrupted_deferred = 0
        self.crashes = 0
        self._world = world
        self._data_dir = data_dir
        self._deliver_down = deliver_down
        self._keys: NetworkKeys = create_network(
            data_dir,
            f"simulated-{world.seed}",
            simulated=True,
            epoch_zero_ms=epoch_zero_ms,
            seed=world.seed,
        )
        self._senders: list[Sender] = []
        self._inbox: list[tuple[int, Delivery]] = []
        self._flush_due = False
        self._random: random.Random = stream(world.seed, "door")
        self._down_ms = 0
        self._entropy_until_ms = 0
        self._store: MortalStore | None = None
        self._gateway: Gateway | None = None
        self._open()

    @property
    def genesis(self) -> bytes:
        return self._keys.genesis_bytes

    def is_up(self) -> bool:
        return self._gateway is not None

    def admit_sender(self, device: bytes, address: int) -> None:
        """Register the next station's connection; the network tag hides its address."""
        tag = hashlib.sha256(self._keys.network_id + address.to_bytes(4, "big")).digest()[:8]
        self._senders.append(Sender(device, tag))

    def anchor(self, device: bytes) -> None:
        """The operator has audited this station by hand."""
        self._running().operate(OperatorKind.ANCHOR, [device, 1], self._world.now_ms)

    def publish_entropy(self, until_ms: int) -> None:
        """Have the gateway say every slot's entropy at its start, from the next slot on."""
        self._entropy_until_ms = until_ms
        self._world.call_at(-(-self._world.now_ms // SLOT_MS) * SLOT_MS, self._begin_slot)

    def _begin_slot(self) -> None:
        now_ms = self._world.now_ms
        if now_ms < self._entropy_until_ms:
            self._say_entropy()
            self._world.call_at((now_ms // SLOT_MS + 1) * SLOT_MS, self._begin_slot)

    def _say_entropy(self) -> None:
        if self._gateway is not None:
            for downlink in self._gateway.entropy_downlinks(self._world.now_ms):
                self._deliver_down(None, downlink.tail, downlink.data)

    # ---- ingest

    def arrive(self, station: int, delivery: Delivery) -> None:
        """One message comes out of the network; lost if nobody is there to read it."""
        if self._gateway is None:
            return
        self._inbox.append((station, delivery))
        if len(self._inbox) >= BATCH_MAX:
            self._flush()
        elif not self._flush_due:
            self._flush_due = True
            slot_end_ms = (self._world.now_ms // SLOT_MS + 1) * SLOT_MS
            self._world.call_at(slot_end_ms, self._end_of_slot)

    def _end_of_slot(self) -> None:
        self._flush_due = False
        if self._inbox and self._gateway is not None:
            self._flush()

    def _flush(self) -> None:
        batch, self._inbox = self._inbox, []
        gateway = self._running()
        arrivals = tuple(
            Arrival(self._senders[station].device, delivery.data, self._senders[station].net_tag)
            for station, delivery in batch
        )
        try:
            judged = gateway.deliver(arrivals, self._world.now_ms)
        except Crashed:
            self._die()
            return
        for (_, delivery), (verdict, *_) in zip(batch, judged, strict=True):
            self.verdicts[verdict] += 1
            if delivery.corrupted:
                self.corrupted_delivered += 1
                self.corrupted_held += verdict in HELD
                self.corrupted_deferred += verdict in DEFERRED
        for downlink in gateway.take_downlinks():
            self._deliver_down(downlink.device or None, downlink.tail, downlink.data)

    @property
    def rejected(self) -> int:
        """Arrivals that the gateway refused for good."""
        return sum(n for v, n in self.verdicts.items() if v not in HELD | DEFERRED)

    @property
    def deferred(self) -> int:
        """Arrivals from devices that were not registered yet."""
        return sum(self.verdicts[verdict] for verdict in DEFERRED)

    @property
    def duplicates(self) -> int:
        return self.verdicts[Verdict.DUPLICATE]

    # ---- time service

    def respond(self, request: bytes) -> bytes | None:
        """Answer one HTTP request; None if the gateway is down."""
        if self._gateway is None:
            return None
        nonce = _nonce_of(request)
        if nonce is None:
            return b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        body = self._gateway.answer_time(nonce, self._world.now_ms)
        head = f"HTTP/1.0 200 OK\r\nContent-Type: application/cbor\r\nContent-Length: {len(body)}"
        return head.encode() + b"\r\n\r\n" + body

    # ---- crashes

    def crash_in_next_batch(self, down_ms: int) -> None:
        """Die inside the next commit, before or after it, and be back down_ms later."""
        store = self._store
        if store is not None:
            store.arm(before=bool(self._random.randrange(2)))
            self._down_ms = down_ms

    def disarm(self) -> None:
        """Forget a crash that has found no batch yet."""
        if self._store is not None:
            self._store.disarm()

    def _die(self) -> None:
        self.crashes += 1
        # The process is gone: no goodbye to the store, only the operating system closes the file.
        assert self._store is not None
        self._store.abandon()
        self._store = None
        self._gateway = None
        self._inbox.clear()
        self._world.call_at(self._world.now_ms + self._down_ms, self._open)

    def _open(self) -> None:
        database = self._data_dir / DATABASE
        self._store = MortalStore(SqliteStore.create(database, self._keys.network_id))
        self._gateway = Gateway.open(self._store, self._keys)
        if self._world.now_ms < self._entropy_until_ms:
            self._say_entropy()

    def _running(self) -> Gateway:
        if self._gateway is None:
            raise RuntimeError("the gateway is down")
        return self._gateway

    # ---- the end

    def advance(self) -> None:
        """Close every epoch that is due."""
        self._running().advance(self._world.now_ms)

    def epochs(self) -> tuple[EpochSummary, ...]:
        """Every closed epoch, from the store: an outcome in memory dies with its gateway."""
        return closed_epochs(self._running().store)

    def next_close_ms(self) -> int:
        """When the next epoch closes, in protocol time."""
        return self._running().next_close()[1]

    def stored(self) -> Iterator[Stored]:
        """Every entry of the admission log with what its message says."""
        return stored_entries(self._running().store)

    def close(self) -> None:
        if self._gateway is not None:
            self._gateway.close()
            self._gateway = None


def load_quantities() -> dict[str, Quantity]:
    """The quantities of this release by name."""
    table = parse_quantities(read_spec("quantities.toml"))
    return {q.name: Quantity(q.code, q.unit, q.resolution) for q in table.values()}


def stored_entries(store: Store, first: int = 0) -> Iterator[Stored]:
    """The admission log from a position on, each entry with what its message says."""
    for logged in store.iterate(first):
        payload = payload_of(cbor2.loads(logged.data).value[2])
        kid = cbor2.loads(cbor2.loads(logged.data).value[0])[4]
        body = payload[7]
        covers = (body[0], body[1], body[3]) if payload[1] == Kind.GAP else None
        yield Stored(logged.entry.message_id, kid, payload[1], payload[3], covers)


def sent_readings(store: Store, first: int = 0) -> Iterator[SentReadings]:
    """The readings messages of the admission log from a position on."""
    for logged in store.iterate(first):
        protected, _, signed, _ = cbor2.loads(logged.data).value
        payload = payload_of(signed)
        if payload[1] == Kind.READINGS:
            device, timed = cbor2.loads(protected)[4], payload[6][0] != 0
            yield SentReadings(device, payload[5], timed, payload[7])


def closed_epochs(store: Store) -> tuple[EpochSummary, ...]:
    """Every epoch that is settled."""
    closed = (store.epoch(number) for number in store.epoch_numbers())
    return tuple(_summary(epoch) for epoch in closed if epoch is not None)


def settle_record(
    folder: Path, record: Record, keys_dir: Path | None = None
) -> tuple[bytes, bytes]:
    """Message root and payout root of the network's newest closed epoch, settled anew from a
    record in this process.

    A fresh gateway on a fresh store, with the keys, the operator events and the entropy of the
    network in `folder`, takes every message in the slot in which a board first offered it. An
    empty record has nothing to settle.
    """
    keys = load_keys(folder, keys_dir)
    events, epoch = _operated(keys)
    with tempfile.TemporaryDirectory() as scratch:
        store = SqliteStore.create(Path(scratch) / DATABASE, keys.network_id)
        _copy_entropy(keys, store)
        gateway = Gateway.open(store, keys)
        try:
            early: list[Arrival] = []
            for slot, group in groupby(record.in_order(), lambda one: one.at_ms // SLOT_MS):
                now_ms = slot * SLOT_MS
                while events and events[0][0] <= now_ms:
                    gateway.append_operator_event(events.pop(0)[1], now_ms)
                arrivals = early + [Arrival(one.device, one.data) for one in group]
                judged = zip(arrivals, gateway.deliver(arrivals, now_ms), strict=True)
                gateway.take_downlinks()
                # A board holds back what it signed before its hello until that has a receipt.
                early = [arrival for arrival, (verdict, *_) in judged if verdict in DEFERRED]
            while gateway.next_close()[0] <= epoch:
                gateway.advance(gateway.next_close()[1])
            [settled] = [one for one in closed_epochs(store) if one.epoch == epoch]
        finally:
            gateway.close()
    return settled.message_root, settled.payout_root


def _operated(keys: NetworkKeys) -> tuple[list[tuple[int, bytes]], int]:
    """(time, event) of the network's operator log, and its newest closed epoch."""
    store = SqliteStore.open(keys.folder / DATABASE, keys.network_id)
    stored = store.events(0, store.operator_head().length)
    epoch = store.epoch_numbers()[-1]
    store.close()
    return [(cbor2.loads(cbor2.loads(data).value[2])[4], data) for data in stored], epoch


def _copy_entropy(keys: NetworkKeys, copy: Store) -> None:
    """What the network's gateway said of entropy, all of it."""
    store = SqliteStore.open(keys.folder / DATABASE, keys.network_id)
    for day, data in store.entropy.commits(0, DAYS_MAX).items():
        copy.entropy.add_commit(day, data)
    for link in store.entropy.links(0, DAYS_MAX * DAY_SLOTS):
        copy.entropy.add_link(link)
    store.close()


def _summary(stored: StoredEpoch) -> EpochSummary:
    manifest, rows = decode_manifest(stored.manifest), decode_stations(stored.outcome)
    totals = manifest.totals
    return EpochSummary(
        epoch=stored.epoch,
        messages=manifest.messages,
        emission=totals.emission,
        offered=totals.offered,
        paid=totals.paid,
        carry_before=totals.carry_before,
        carry_after=totals.carry_after,
        paid_rows=sum(row.paid for row in rows),
        paid_unproven=sum(r.paid for r in rows if r.station_class is StationClass.UNPROVEN),
        stations=len(rows),
        stations_paid=sum(row.paid > 0 for row in rows),
        message_root=manifest.message_root,
        payout_root=manifest.payout_root,
        manifest_hash=stored.manifest_hash,
    )


def _nonce_of(request: bytes) -> bytes | None:
    first_line = request.split(b"\r\n", 1)[0].split(b" ")
    if len(first_line) < 2 or not first_line[1].startswith(b"/v1/time?nonce="):
        return None
    text = first_line[1].removeprefix(b"/v1/time?nonce=")
    try:
        nonce = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    return nonce if len(nonce) == 16 else None
