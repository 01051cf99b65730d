"""A station's way over real MQTT: the firmware's MqttLink, with wall time and a poor network.

LinkBoard is what MqttLink sees of its board: the wall's clock and real sockets, the board's own
tasks. CarriedLink is what the Node sees of MqttLink: it loses, copies, delays and damages messages
as the scenario says, and tells the driver what is on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Protocol

from cairn.boards import base

from simulator.board import SimulatedBoard
from simulator.network import LATENCY_MS_MAX, Delivery, Network
from simulator.watch import SLOT_MS, Header, header_of
from simulator.wire import TcpStream, WallEvent, Wire
from simulator.world import Event, Queue, Sleep, World

TICK = "all/tick"
ENTROPY = "all/entropy"
RECEIPT = "down/receipt"


class LinkBoard(base.Board):
    """One boot's board as a link sees it; `cut` is the end of its power.

    The stream of entropy is apart from the board's own: how often a link draws from it depends
    on the wall.
    """

    def __init__(
        self, wire: Wire, board: SimulatedBoard, random: Random, reachable: Callable[[], bool]
    ) -> None:
        self._wire = wire
        self._board = board
        self._group = board.group
        self._random = random
        self._reachable = reachable
        self._booted_ms = wire.now_ms()
        self._streams: list[TcpStream] = []
        self._alarm = WallEvent(wire)
        self._opened = Event(wire.world)
        self.connections = 0

    def ticks(self) -> int:
        return self._wire.now_ms() - self._booted_ms

    async def sleep(self, duration_ms: int) -> None:
        if duration_ms <= 0:
            await Sleep(0)
        else:
            await self._alarm.wait(duration_ms)

    def event(self) -> base.Event:
        return self._wire.event()

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:  # type: ignore[override]
        self._wire.world.spawn(coroutine, self._group)

    def entropy(self, size: int) -> bytes:
        return self._random.randbytes(size)

    async def stream(self, host: str, port: int, tls: object | None) -> base.Stream:
        # A partition swallows the packets of a connect; it is tried again until one comes through.
        while not self._reachable():
            self._opened.clear()
            await self._opened.wait(None)
        stream = TcpStream(self._wire)
        self._streams = [other for other in self._streams if other.open]
        self._streams.append(stream)
        await stream.connect(host, port, tls if isinstance(tls, bytes) else None)
        self.connections += 1
        return stream

    def cut(self) -> None:
        """The power or the network is gone: every connection ends without a goodbye."""
        for stream in self._streams:
            stream.abort()
        self._streams.clear()

    def hurry(self) -> None:
        """End every wait of the link: its back-off is meant for a gateway that is still away."""
        self._opened.set()
        self._alarm.set()
        self._alarm.clear()


class Traffic(Protocol):
    """Who is told what becomes of a station's messages."""

    def offered(self, station: int, header: Header, message: bytes) -> None:
        """The board asks its link to publish."""

    def handed(self, station: int, header: Header | None) -> None:
        """A copy goes to the connection; None: a damaged one."""

    def withdrawn(self, station: int, header: Header | None) -> None:
        """The connection did not take it."""

    def receipted(self, station: int, data: bytes) -> None:
        """A receipt has arrived."""

    def ticked(self, station: int, data: bytes) -> int:
        """A tick has arrived; the slot that it begins."""

    def linked(self, station: int, data: bytes) -> int:
        """A slot's entropy has arrived; the slot."""


class CarriedLink(base.Link):
    """One boot's link. Spawn `forward` and `send_late` beside the inner link's own task.

    What a fault delays leaves later, on virtual time; all else leaves and arrives at once. Only
    messages and receipts suffer: ticks, entropy and key statements are the world's own clock.
    clocked: this boot has had a tick, so that its Node knows the time.
    """

    def __init__(
        self, world: World, network: Network, station: int, inner: base.Link, traffic: Traffic
    ) -> None:
        self.published = 0
        self.clocked = False
        self._world = world
        self._network = network
        self._station = station
        self._inner = inner
        self._traffic = traffic
        self._arrived: Queue[tuple[str, bytes]] = Queue(world)
        self._late: Queue[tuple[Header | None, bytes]] = Queue(world)

    def state(self) -> str:
        if not self._network.reachable(self._station, self._world.now_ms):
            return "down"
        return self._inner.state()

    async def publish(self, message: bytes) -> bool:
        if self.state() != "up":
            self._network.counts.refused += 1
            return False
        self.published += 1
        header = header_of(message)
        self._traffic.offered(self._station, header, message)
        now_ms = self._world.now_ms
        deliveries = self._network.carry(self._station, message, now_ms, up=True)
        if len(deliveries) == 1 and _plain(deliveries[0]):
            return await self._hand(header, message)
        for one in deliveries:
            item = (None if one.corrupted else header, one.data)
            self._world.call_at(now_ms + one.delay_ms, partial(self._late.put, item))
        return True

    async def receive(self) -> tuple[str, bytes]:
        return await self._arrived.get()

    async def send_late(self) -> None:
        """Hand over what a fault held up, copied or damaged; lost if the link is down then."""
        while True:
            header, data = await self._late.get()
            if self.state() == "up":
                await self._hand(header, data)

    async def forward(self) -> None:
        """Take downlinks from the inner link and give them to the Node at their time."""
        while True:
            tail, data = await self._inner.receive()
            if tail == TICK:
                self._forward_tick(data)
            elif tail == ENTROPY:
                # Behind the tick, which the Node gets when the slot begins.
                begins_ms = self._traffic.linked(self._station, data) * SLOT_MS
                self._put_after(max(begins_ms - self._world.now_ms, 0), tail, data)
            elif tail == RECEIPT:
                self._traffic.receipted(self._station, data)
                now_ms = self._world.now_ms
                for one in self._network.carry(self._station, data, now_ms, up=False):
                    self._put_after(0 if _plain(one) else one.delay_ms, tail, one.data)
            else:
                self._arrived.put((tail, data))

    async def _hand(self, header: Header | None, data: bytes) -> bool:
        # Noted before it leaves: the receipt may be here before publish() comes back.
        self._traffic.handed(self._station, header)
        if await self._inner.publish(data):
            return True
        self._traffic.withdrawn(self._station, header)
        return False

    def _forward_tick(self, data: bytes) -> None:
        begins_ms = self._traffic.ticked(self._station, data) * SLOT_MS
        # A retained tick of a slot that has begun long ago would set the clock back.
        if begins_ms >= self._world.now_ms:
            self.clocked = True
            self._put_after(begins_ms - self._world.now_ms, TICK, data)

    def _put_after(self, delay_ms: int, tail: str, data: bytes) -> None:
        if delay_ms == 0:
            self._arrived.put((tail, data))
            return
        put = partial(self._arrived.put, (tail, data))
        self._world.call_at(self._world.now_ms + delay_ms, put)


@dataclass(frozen=True, slots=True)
class Way:
    """One boot's way to the broker: inner is the firmware's link, link what its Node uses."""

    board: LinkBoard
    inner: base.Link
    link: CarriedLink


def _plain(delivery: Delivery) -> bool:
    """Whether no fault touched this copy; what the real network takes is then delay enough."""
    return not delivery.corrupted and delivery.delay_ms < LATENCY_MS_MAX
