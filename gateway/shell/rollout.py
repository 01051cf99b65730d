"""How far a release has come: what every station says it runs, against what is announced.

Judged by the firmware text of each station's newest hello, which a board sends when it starts.
"""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from gateway.core.releases import read_shown
from gateway.shell.releases import Published


class State(StrEnum):
    """Where a station stands towards the announced release."""

    CURRENT = "current"
    WAITING = "waiting"
    FAILED = "failed"
    AHEAD = "ahead"
    BY_CABLE = "by_cable"


MEANING = {
    State.CURRENT: "runs the announced release, at first on trial",
    State.WAITING: "has not taken it yet",
    State.FAILED: "tried it, and went back to the one before",
    State.AHEAD: "runs a newer one than is announced",
    State.BY_CABLE: "takes no releases: another program, or a simulated board",
}


class Station(NamedTuple):
    """device: by name; firmware: as its hello says; last_ms: when it was last heard."""

    device: str
    firmware: str
    last_ms: int


class Line(NamedTuple):
    """One station of the table. counter: None where releases do not come; failed: 0: none."""

    device: str
    firmware: str
    version: str
    counter: int | None
    failed: int
    state: State
    last_ms: int


def rollout(stations: Iterable[Station], wanted: Published | None) -> list[Line]:
    """Every station, those first that someone should look at."""
    lines = [_line(station, wanted) for station in stations]
    order = [State.FAILED, State.WAITING, State.AHEAD, State.BY_CABLE, State.CURRENT]
    return sorted(lines, key=lambda line: (order.index(line.state), line.device))


def counts(lines: Iterable[Line]) -> dict[str, int]:
    """How many stations are in each state."""
    found = Counter(line.state for line in lines)
    return {state.value: found[state] for state in State}


def _line(station: Station, wanted: Published | None) -> Line:
    shown = read_shown(station.firmware)
    if shown is None or shown.counter is None:
        version = station.firmware if shown is None else shown.version
        return Line(
            station.device, station.firmware, version, None, 0, State.BY_CABLE, station.last_ms
        )
    state = State.CURRENT
    if wanted is not None and shown.counter < wanted.counter:
        # Also one that failed at an earlier release waits for this one.
        state = State.FAILED if shown.failed == wanted.counter else State.WAITING
    elif shown.counter > (0 if wanted is None else wanted.counter):
        state = State.AHEAD
    return Line(
        station.device,
        station.firmware,
        shown.version,
        shown.counter,
        shown.failed,
        state,
        station.last_ms,
    )
