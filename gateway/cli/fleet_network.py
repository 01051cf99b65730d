"""The network that a fleet over MQTT meets, as its data directory tells: simulator.counterpart.

It reads the store beside the running gateway, and speaks for the operator with the operator's key.
It writes nothing.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_id, device_name
from gateway.core.login import NONCE_BYTES, login_password
from gateway.core.operator import Anchor
from gateway.core.verdicts import Verdict
from gateway.shell.epochs import due_ms, next_epoch, rules_for
from gateway.shell.lock import is_held
from gateway.shell.mosquitto import SECRET, broker_password, broker_secret
from gateway.shell.network import DATABASE, NetworkKeys, load_keys
from gateway.shell.opening import open_statements, read_events
from gateway.shell.store.sqlite import SqliteStore
from simulator.counterpart import Refusals, SentReadings
from simulator.door import DEFERRED, HELD, closed_epochs, sent_readings, stored_entries
from simulator.epochs import EpochSummary
from simulator.ledger import Stored


class FleetNetwork:
    """See `simulator.counterpart.Counterpart`. The run begins when this is made.

    earliest_ms: midnight of the first day on which nothing has happened yet.
    """

    def __init__(self, folder: Path, keys_dir: Path | None = None) -> None:
        self.keys: NetworkKeys = load_keys(folder, keys_dir)
        self._keys_dir = keys_dir or folder / "keys"
        self._statements = open_statements(self.keys)
        self._counter = 0
        self._is_up = (False, 0.0)
        with self._store() as store:
            self._first = store.admission_head().length
            self._refused_before = store.refused_counts()
            self._epoch, self.earliest_ms = self._find_begin(store)
            before = closed_epochs(store)
        self.carry_before = before[-1].carry_after if before else 0

    @property
    def genesis(self) -> bytes:
        return self.keys.genesis_bytes

    @property
    def network_id(self) -> bytes:
        return self.keys.network_id

    @property
    def beacon_every(self) -> int:
        """One slot in how many has a beacon, by the rules of the epoch that closes next."""
        with self._store() as store:
            number = next_epoch(store, self.keys)
            events = read_events(store, self.network_id, self._statements)
        return rules_for(self.keys, events, number).rules.coverage.beacon_every_slots

    def senders(self) -> frozenset[str]:
        """Names of the devices of which the store holds a message."""
        with self._store() as store:
            return frozenset(device_name(entry.device) for entry in stored_entries(store))

    def operator_login(self) -> tuple[str, str]:
        key = self.keys.operator
        public_key = bytes(key.verify_key)
        # The wall's milliseconds rise from run to run, and nobody logs in more often than that.
        self._counter = max(self._counter + 1, time.time_ns() // 1_000_000)
        password = login_password(
            lambda data: key.sign(data).signature,
            public_key,
            self.network_id,
            self._counter,
            secrets.token_bytes(NONCE_BYTES),
        )
        return device_name(device_id(public_key)), password

    def password_of(self, user: str) -> str | None:
        if not (self._keys_dir / SECRET).exists():
            return None
        return broker_password(broker_secret(self._keys_dir), user)

    def is_up(self) -> bool:
        # Asking takes the lock for a moment, which a gateway that starts would rather have.
        answer, asked_s = self._is_up
        now_s = time.monotonic()
        if now_s - asked_s > 0.5:
            answer = is_held(self.keys.folder)
            self._is_up = (answer, now_s)
        return answer

    def anchored(self) -> frozenset[bytes]:
        found: dict[bytes, bool] = {}
        with self._store() as store:
            for event in read_events(store, self.network_id, self._statements):
                if isinstance(event.body, Anchor):
                    found[event.body.device] = event.body.anchored
        return frozenset(device for device, anchored in found.items() if anchored)

    def stored(self) -> Iterator[Stored]:
        with self._store() as store:
            yield from stored_entries(store, self._first)

    def readings(self) -> Iterator[SentReadings]:
        with self._store() as store:
            yield from sent_readings(store, self._first)

    def refusals(self) -> Refusals:
        with self._store() as store:
            counts = store.refused_counts()
        news = {
            verdict: count - self._refused_before.get(verdict, 0)
            for verdict, count in counts.items()
        }
        return Refusals(
            rejected=sum(n for v, n in news.items() if v not in HELD | DEFERRED),
            deferred=sum(n for v, n in news.items() if v in DEFERRED),
            duplicates=news.get(Verdict.DUPLICATE, 0),
            named={verdict.name.lower(): n for verdict, n in news.items() if n},
        )

    def epochs(self) -> tuple[EpochSummary, ...]:
        with self._store() as store:
            return tuple(one for one in closed_epochs(store) if one.epoch >= self._epoch)

    def next_close_ms(self) -> int:
        with self._store() as store:
            number = next_epoch(store, self.keys)
            events = read_events(store, self.network_id, self._statements)
        return due_ms(number, rules_for(self.keys, events, number).rules)

    def close(self) -> None:
        """Nothing is kept open."""

    def _find_begin(self, store: SqliteStore) -> tuple[int, int]:
        """The epoch that closes next, and midnight of the first day without a message."""
        epoch = next_epoch(store, self.keys)
        length = store.admission_head().length
        newest = store.entries(length - 1, length) if length else ()
        return epoch, max([epoch, *(e.recv_ms // DAY_MS + 1 for e in newest)]) * DAY_MS

    @contextmanager
    def _store(self) -> Iterator[SqliteStore]:
        # Opened anew every time: a store believes that nobody else writes.
        store = SqliteStore.open(self.keys.folder / DATABASE, self.network_id)
        try:
            yield store
        finally:
            store.close()
