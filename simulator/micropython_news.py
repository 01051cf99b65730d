"""What boards on MicroPython tell of themselves, sorted for whoever waits, counts or judges.

Three things are kept apart: what was signed (the ledger's), what is on its way (the watch's), and
what was on a board's flash or left it, for which the firmware promises that it is never lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import cbor2
from cairn import segment

from simulator.ledger import Failure, Ledger, Stored
from simulator.micropython.host import Happening
from simulator.micropython_air import Air
from simulator.micropython_tap import DOWN, ONLINE, SAMPLED, SIGNED, UP
from simulator.mqtt_link import ENTROPY, RECEIPT, TICK
from simulator.watch import Watch, header_of

OUTBOX = "outbox/"
UNFINISHED = ".new"
DEVICE_ROLE = "device"
OFF = frozenset({"off", "restart", "watchdog", "sleep", "exception", "broken"})
DROPPED = 1


class News:
    """devices: ids by station. offered: told of what leaves: (station, seq, message).

    online: who has a connection that is subscribed; known: who had one. ticked: who has heard a
    tick on it. off: who has no power. counts: happenings by kind; reports and newest: how often
    boards reported a code, and the newest detail of it.
    """

    def __init__(
        self,
        devices: Sequence[bytes],
        ledger: Ledger,
        watch: Watch,
        air: Air | None,
        offered: Callable[[int, int, bytes], None] | None = None,
    ) -> None:
        self.online: set[int] = set()
        self.known: set[int] = set()
        self.off: set[int] = set(range(len(devices)))
        self.ticked: set[int] = set()
        self.counts: Counter[str] = Counter()
        self.reports: Counter[str] = Counter()
        self.newest: dict[str, str] = {}
        self.cuts: Counter[int] = Counter()
        self.published = self.connections = 0
        self._devices = devices
        self._ledger = ledger
        self._watch = watch
        self._air = air
        self._offered = offered
        # seq -> message that was on a board's flash, or left it.
        self._kept: list[dict[int, bytes]] = [{} for _ in devices]
        self._unfinished: dict[tuple[int, str], bytes] = {}

    def take(self, happenings: Iterable[Happening]) -> None:
        """Act on what happened, in this order."""
        for one in happenings:
            self.counts[one.kind] += 1
            if one.kind == "report":
                self._reported(one.board, one.values["code"], one.values["detail"])
            elif one.kind == "flash":
                self._stored(one.board, one.values)
            elif one.kind == "up":
                self.off.discard(one.board)
            elif one.kind == "lost":
                self._unheard(one.board)
            elif one.kind == "connect":
                self.connections += not one.values["error"]
            elif one.kind in OFF:
                self._went_off(one)
            elif self._air is not None and one.kind == "radio":
                self._air.sent(one.board, one.at_ms, one.values)
            elif self._air is not None and one.kind == "listen":
                values = one.values
                self._air.tuned(one.board, one.at_ms, values["radio"], values["channel"])

    def lost_messages(self, stored: Iterable[Stored]) -> list[Failure]:
        """Messages that were on flash or had left, and are neither durable nor under a gap of a
        full outbox. A gap of another reason is for what was never stored.
        """
        seqs: dict[bytes, set[int]] = {}
        dropped: dict[bytes, list[tuple[int, int]]] = {}
        for entry in stored:
            seqs.setdefault(entry.device, set()).add(entry.seq)
            if entry.covers is not None and entry.covers[2] == DROPPED:
                dropped.setdefault(entry.device, []).append(entry.covers[:2])
        return [
            Failure("stored means delivered", f"station {station} seq {seq}")
            for station, device in enumerate(self._devices)
            for seq in sorted(self._kept[station].keys() - seqs.get(device, set()))
            if not any(first <= seq <= last for first, last in dropped.get(device, []))
        ]

    def unasked_restarts(self) -> list[Failure]:
        """Boots that ended although nobody cut the power."""
        return [
            Failure("no board gives up", f"{self.counts[kind]} times: {kind}")
            for kind in sorted(OFF - {"off"})
            if self.counts[kind]
        ]

    @property
    def kept(self) -> int:
        """How many messages were on flash or left."""
        return sum(len(messages) for messages in self._kept)

    def _went_off(self, one: Happening) -> None:
        if one.kind == "off":
            self.off.add(one.board)
            self.cuts[one.board] += 1
        self._unheard(one.board)
        if self._air is not None:
            self._air.went_off(one.board, one.at_ms)

    def _unheard(self, station: int) -> None:
        self.online.discard(station)
        self.ticked.discard(station)
        self._watch.forget(station)

    def _reported(self, station: int, code: str, detail: str) -> None:
        if code == SIGNED:
            data = bytes.fromhex(detail)
            if cbor2.loads(cbor2.loads(data)[2])[3] == DEVICE_ROLE:
                self._ledger.signed(self._devices[station], data)
        elif code == UP:
            message = bytes.fromhex(detail)
            header = header_of(message)
            self.published += 1
            self._kept[station].setdefault(header.seq, message)
            self._watch.handed(station, header)
            if self._offered is not None:
                self._offered(station, header.seq, message)
        elif code == DOWN:
            topic, text = detail.split(" ")
            self._heard(station, topic, bytes.fromhex(text))
        elif code == ONLINE:
            self.online.add(station)
            self.known.add(station)
        elif code != SAMPLED:
            self.reports[code] += 1
            self.newest[code] = detail

    def _heard(self, station: int, topic: str, data: bytes) -> None:
        if topic.endswith(TICK):
            self._watch.tick(station, data)
            self.ticked.add(station)
        elif topic.endswith(ENTROPY):
            self._watch.link(station, data)
        elif topic.endswith(RECEIPT):
            self._ledger.receipted(self._devices[station], data)
            self._watch.receipted(station, data)

    def _stored(self, station: int, values: dict[str, str | bytes]) -> None:
        kind, name, data = values["operation"], str(values["name"]), values["data"]
        assert isinstance(data, bytes)
        if not name.startswith(OUTBOX):
            return
        if kind == "rename":
            # A file is written beside the one that it replaces.
            self._keep(station, self._unfinished.pop((station, name), b""))
        elif name.endswith(UNFINISHED):
            self._unfinished[station, name] = data
        elif kind in {"append", "store"}:
            self._keep(station, data)

    def _keep(self, station: int, data: bytes) -> None:
        for record in segment.scan(data)[0]:
            self._kept[station].setdefault(record.seq, record.message(data))
