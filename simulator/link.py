"""DirectLink: the firmware's `Link` as a call through the faulty network to the door.

It stands where MqttLink stands on hardware, and like it promises nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cairn.boards import base

from simulator.network import LATENCY_MS_MIN, Delivery, Network
from simulator.world import Queue, World


class DirectLink(base.Link):
    """One boot's way to the gateway. `arrive` takes what comes out of the network."""

    def __init__(
        self,
        world: World,
        network: Network,
        station: int,
        is_up: Callable[[], bool],
        arrive: Callable[[int, Delivery], None],
    ) -> None:
        self.published = 0
        self._world = world
        self._network = network
        self._station = station
        self._is_up = is_up
        self._arrive = arrive
        self._downlinks: Queue[tuple[str, bytes]] = Queue(world)

    async def publish(self, message: bytes) -> bool:
        if self.state() != "up":
            self._network.counts.refused += 1
            return False
        self.published += 1
        now_ms = self._world.now_ms
        for delivery in self._network.carry(self._station, message, now_ms, up=True):
            arrival = partial(self._arrive, self._station, delivery)
            self._world.call_at(now_ms + delivery.delay_ms, arrival)
        return True

    async def receive(self) -> tuple[str, bytes]:
        return await self._downlinks.get()

    def state(self) -> str:
        reachable = self._network.reachable(self._station, self._world.now_ms)
        return "up" if reachable and self._is_up() else "down"

    def deliver(self, tail: str, data: bytes) -> None:
        """Send one downlink to the board, through the same faults; lost while the link is down."""
        if self.state() != "up":
            return
        now_ms = self._world.now_ms
        for delivery in self._network.carry(self._station, data, now_ms, up=False):
            item = (tail, delivery.data)
            self._world.call_at(now_ms + delivery.delay_ms, partial(self._downlinks.put, item))

    def hand(self, tail: str, data: bytes) -> None:
        """Send one downlink that no fault touches but an outage: what the world's clock says."""
        if self.state() == "up":
            item = (tail, data)
            at_ms = self._world.now_ms + LATENCY_MS_MIN
            self._world.call_at(at_ms, partial(self._downlinks.put, item))
