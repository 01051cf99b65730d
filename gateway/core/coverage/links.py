"""Rows summed up to links: what one witness says of one beaconer on a day, silence included.

spec/coverage.md section 5. What a link is worth is not known here (independence.py).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence

from gateway.core.coverage.evidence import hour_of
from gateway.core.coverage.model import Heard, Link, Member, Sent
from gateway.core.coverage.rows import LORA
from gateway.core.geometry import Point
from gateway.core.rules import PlaceRules
from gateway.core.verdicts import Verdict

# Beyond it nobody is expected to hear a beacon from the ground, so silence tells nothing.
SILENT_REACH_M = 20_000
# A degree of latitude is 111,195 m; fewer metres make the strip that is searched a little wider.
_METRES_PER_DEGREE = 111_000

Pair = tuple[bytes, bytes]
DistanceM = Callable[[Point, Point], int]


class _Tally:
    """Rows of one (beaconer, witness, radio)."""

    __slots__ = ("beyond", "beyond_cdb", "heard", "heard_cdb", "slots")

    def __init__(self) -> None:
        self.heard = self.heard_cdb = 0
        self.beyond = self.beyond_cdb = 0
        # Slots that the witness reported, whatever became of the row: it was not silent in them.
        self.slots: set[int] = set()


class Distances:
    """Distances of members' cell centres, each pair measured once."""

    def __init__(self, members: Mapping[bytes, Member], distance_m: DistanceM) -> None:
        self._members = members
        self._distance_m = distance_m
        self._known: dict[Pair, int] = {}

    def between(self, a: bytes, b: bytes) -> int:
        pair = (a, b) if a < b else (b, a)
        metres = self._known.get(pair)
        if metres is None:
            members = self._members
            metres = self._distance_m(members[pair[0]].centre, members[pair[1]].centre)
            self._known[pair] = metres
        return metres


def build_links(
    members: Mapping[bytes, Member],
    sent_by: Mapping[bytes, Sequence[Sent]],
    heard: Iterable[Heard],
    *,
    proven: Mapping[bytes, int],
    distances: Distances,
    rules: PlaceRules,
) -> list[Link]:
    """Return the day's links between members, ascending, of weight 0.

    proven: hours in which a station was provably listening, as bits. Verdicts are HEARD, SILENT
    and BEYOND_FREE_SPACE: as many rows that no radio could have caused as others.
    """
    tallies = _tallies(members, heard)
    links = []
    for (beaconer, witness, radio), tally in tallies.items():
        silent = 0
        if radio == LORA:
            silent = _silent(sent_by.get(beaconer, ()), proven.get(witness, 0), tally.slots)
        link = _link(beaconer, witness, radio, tally, silent, distances)
        if link is not None:
            links.append(link)
    reported = {(beaconer, witness) for beaconer, witness, radio in tallies if radio == LORA}
    links.extend(_silent_links(members, sent_by, reported, proven, distances, rules))
    links.sort()
    return links


def _tallies(
    members: Mapping[bytes, Member], heard: Iterable[Heard]
) -> dict[tuple[bytes, bytes, int], _Tally]:
    tallies: dict[tuple[bytes, bytes, int], _Tally] = {}
    for row, beaconer, power_cdbm, verdict in heard:
        if beaconer not in members or row.witness not in members or beaconer == row.witness:
            continue
        key = (beaconer, row.witness, row.radio)
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = _Tally()
        tally.slots.add(row.slot)
        if verdict is Verdict.HEARD:
            tally.heard += 1
            tally.heard_cdb += row.rssi_cdbm - power_cdbm
        elif verdict is Verdict.BEYOND_FREE_SPACE:
            tally.beyond += 1
            tally.beyond_cdb += row.rssi_cdbm - power_cdbm
    return tallies


def _link(  # noqa: PLR0917 - a link's parts
    beaconer: bytes, witness: bytes, radio: int, tally: _Tally, silent: int, distances: Distances
) -> Link | None:
    """Return the link of a tally, None if no row of it was caused by a radio."""
    heard, rows, total_cdb = tally.heard, tally.heard, tally.heard_cdb
    verdict = Verdict.HEARD
    if tally.beyond and tally.beyond >= heard:
        # Two boards on one bench that claim cells far apart look like this: keep how loud it was.
        verdict = Verdict.BEYOND_FREE_SPACE
        rows, total_cdb = rows + tally.beyond, total_cdb + tally.beyond_cdb
    if not rows:
        return None
    return Link(
        beaconer,
        witness,
        radio,
        heard,
        silent,
        total_cdb // rows,
        distances.between(beaconer, witness),
        verdict,
        0,
    )


def _silent_links(  # noqa: PLR0917 - what decides whether a silence is known
    members: Mapping[bytes, Member],
    sent_by: Mapping[bytes, Sequence[Sent]],
    reported: set[Pair],
    proven: Mapping[bytes, int],
    distances: Distances,
    rules: PlaceRules,
) -> Iterable[Link]:
    """Yield, by beaconer, the nearest listening witnesses that reported none of its beacons."""
    strip = _Strip(members[device] for device in sorted(proven) if _may_listen(members, device))
    for beaconer in sorted(sent_by):
        sent = sent_by[beaconer]
        if beaconer not in members:
            continue
        near = []
        for witness in strip.around(members[beaconer].centre):
            if witness == beaconer or (beaconer, witness) in reported:
                continue
            silent = _silent(sent, proven[witness], ())
            if silent < rules.silent_min:
                continue
            metres = distances.between(beaconer, witness)
            if metres <= SILENT_REACH_M:
                near.append((metres, witness, silent))
        for metres, witness, silent in sorted(near)[: rules.observations_max]:
            yield Link(beaconer, witness, LORA, 0, silent, 0, metres, Verdict.SILENT, 0)


def _may_listen(members: Mapping[bytes, Member], device: bytes) -> bool:
    member = members.get(device)
    return member is not None and member.mains and member.fine


def _silent(sent: Iterable[Sent], hours: int, reported: Iterable[int]) -> int:
    """Count the beacons of the hours in which the witness listened, and that it did not report."""
    known = set(reported)
    return sum(hours >> hour_of(one.slot) & 1 and one.slot not in known for one in sent)


class _Strip:
    """Stations by latitude, to look only at those that may be within SILENT_REACH_M."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._sorted = sorted((member.centre[0], member.device) for member in members)
        self._latitudes = [latitude for latitude, _ in self._sorted]

    def around(self, centre: Point) -> list[bytes]:
        reach_e6 = SILENT_REACH_M * 1_000_000 // _METRES_PER_DEGREE
        first = bisect_left(self._latitudes, centre[0] - reach_e6)
        last = bisect_right(self._latitudes, centre[0] + reach_e6)
        return [device for _, device in self._sorted[first:last]]
