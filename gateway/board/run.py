"""Follows a board that has been started until the gateway has accepted a reading of it.

It owns the waiting: the board's console is read all the time, the gateway asked once a second. By
asking for the one device, and not by the stream of all events: a large network's stream would be
carried here for one line of it.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.board.doctor_sides import Accepted, DeviceLook, GatewaySide, Unreached
from gateway.board.follow import Change, Follower

_ASK_EVERY_S = 1.0
Tell = Callable[[Sequence[Change]], None]


class Listens(Protocol):
    """The running station's console; what comes goes to whoever made it."""

    def listen(self, seconds: float) -> None: ...


def follow(
    board: Listens,
    gateway: GatewaySide,
    name: str,
    follower: Follower,
    *,
    timeout_s: float,
    tell: Tell,
    waited: Callable[[float], None],
    clock: Callable[[], float] = time.monotonic,
) -> Accepted | None:
    """The first accepted reading, None if none came in time. waited: gets the seconds so far."""
    began = clock()
    while True:
        board.listen(_ASK_EVERY_S)
        look: DeviceLook | Unreached = gateway.device(name)
        tell(follower.look(look))
        if follower.accepted is not None:
            return follower.accepted
        passed_s = clock() - began
        waited(passed_s)
        if passed_s >= timeout_s:
            return None
