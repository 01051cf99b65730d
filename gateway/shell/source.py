"""What every way into the gateway does: bring submissions, carry downlinks away.

Two implement it: the device endpoint (`endpoint.py`) and a client of any MQTT broker
(`broker.py`). Behind both is one pipeline (`ingest.py`). Everything here happens on the event
loop's thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.core.downlink import Downlink
from gateway.core.verdicts import Verdict


@dataclass(slots=True)
class Submission:
    """One publish that came in, and how to acknowledge it.

    device: the id in the topic, None if the topic names no device. sender: the device that logged
    in at our endpoint; None where an external broker vouches for the topic. oversize: longer than
    the source takes; `data` is then only its beginning. done: called once, on the loop's thread,
    when the verdict is final and (for a message that is kept) durable: the moment to PUBACK.
    """

    device: bytes | None
    sender: bytes | None
    data: bytes
    net_tag: bytes
    done: Callable[[Verdict], None]
    oversize: bool = False


@dataclass(frozen=True, slots=True)
class SourceState:
    """For health and doctor. up: listening, or connected to the broker."""

    name: str
    address: str
    up: bool
    connections: int
    detail: str = ""


class Source(Protocol):
    """One way in and out. `start` returns when it is up or has begun to connect."""

    async def start(self) -> None: ...

    def send(self, downlink: Downlink) -> None:
        """Hand a downlink over; never blocks. A newer one of the same topic replaces it."""

    def state(self) -> SourceState: ...

    async def stop_reading(self) -> None:
        """Take nothing more in; what was submitted may still be acknowledged."""

    async def stop(self) -> None:
        """Let acknowledgements and downlinks out for a bounded time, then close."""
