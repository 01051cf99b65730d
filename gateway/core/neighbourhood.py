"""All stations of a day held against each other: buddies, peers and copies. spec/quality.md.

It is pure and does not depend on the order of the stations. What it finds lowers credits
(station_day.py); classes are given elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gateway.core.buddy import Bools, Ints, find_nearest, to_positions
from gateway.core.copies import Copy, find_copies, is_copy
from gateway.core.cubes import Cubes
from gateway.core.epoch_inputs import Finding
from gateway.core.geometry import Sphere
from gateway.core.neighbour import Key, Limit, Neighbour, NeighbourOutcome, Suspect
from gateway.core.peer_days import PeerDay
from gateway.core.peers import bin_means, can_tell, changes, kept_days, opinions, region_means
from gateway.core.quantities import Quantity
from gateway.core.rules import Rules
from gateway.core.spatial import Row, check_windows, rows_of, speakers
from gateway.core.verdicts import Verdict


def check_neighbours(
    epoch: int,
    neighbours: Iterable[Neighbour],
    quantities: Mapping[int, Quantity],
    sphere: Sphere,
    rules: Rules,
) -> Mapping[bytes, NeighbourOutcome]:
    """Return by device what the neighbours say of each station's day."""
    stations = sorted(neighbours, key=lambda station: station.device)
    day = _Neighbourhood(epoch, stations, sphere, rules)
    for code in sorted({*rules.spatial.sd_min, *rules.peers.clips}):
        if code in quantities:
            day.compare(quantities[code])
    pairs = zip(stations, day.tallies, strict=True)
    agree_ppm = rules.peers.agree_above_ppm
    return {station.device: tally.outcome(agree_ppm) for station, tally in pairs}


@dataclass(slots=True)
class _Tally:
    """What is known of one station while the quantities are gone through.

    said: opinions on its quantities; alone: windows that nobody could compare; copies: pairs.
    """

    suspects: dict[Key, dict[int, Suspect]] = field(default_factory=dict)
    limits: dict[Key, Limit] = field(default_factory=dict)
    said: list[int | None] = field(default_factory=list)
    peers: list[PeerDay] = field(default_factory=list)
    alone: int = 0
    copies: int = 0

    def limit(self, key: Key, limit: Limit) -> None:
        """Take the lower of two limits; of equal ones the first."""
        held = self.limits.get(key)
        if held is None or limit.credit_ppm < held.credit_ppm:
            self.limits[key] = limit

    def outcome(self, agree_above_ppm: int) -> NeighbourOutcome:
        """Return what was found; a quantity that peers have no opinion on does not agree."""
        known = [ppm for ppm in self.said if ppm is not None]
        agrees = bool(known) and len(known) == len(self.said) and min(known) >= agree_above_ppm
        counts = ((Verdict.COPIED, self.copies), (Verdict.NO_NEIGHBOURS, self.alone))
        return NeighbourOutcome(
            self.suspects,
            self.limits,
            agrees and not self.copies,
            tuple(sorted(self.peers, key=lambda day: day[:3])),
            tuple(Finding(verdict, count, ()) for verdict, count in counts if count),
            min(known, default=None),
        )


class _Neighbourhood:
    """The stations of one day, in the order of their ids."""

    def __init__(
        self, epoch: int, stations: Sequence[Neighbour], sphere: Sphere, rules: Rules
    ) -> None:
        self.tallies = [_Tally() for _ in stations]
        self._epoch = epoch
        self._stations = stations
        self._rules = rules
        self._start_ms = epoch * rules.epoch.length_ms
        self._positions = to_positions([sphere.position_cm(s.centre) for s in stations])
        # Who has no owner is an owner of its own.
        names = [station.owner or station.device for station in stations]
        numbers = {name: number for number, name in enumerate(sorted(set(names)))}
        self._owners = np.array([numbers[name] for name in names], dtype=np.int64)
        self._trusted = np.array([station.trusted for station in stations], dtype=np.bool_)

    def compare(self, quantity: Quantity) -> None:
        """Compare all stations that declare the quantity."""
        rows = rows_of(self._stations, quantity.code)
        if not rows:
            return
        places = np.array([row.station for row in rows], dtype=np.int64)
        positions, owners = self._positions[places], self._owners[places]
        speaks = self._trusted[places] & speakers(rows)
        if quantity.code in self._rules.spatial.sd_min:
            self._buddies(quantity, rows, positions, owners, speaks)
        if quantity.code in self._rules.peers.clips:
            self._peers(quantity, rows, positions, owners, speaks)

    def _buddies(
        self, quantity: Quantity, rows: list[Row], positions: Ints, owners: Ints, speaks: Bools
    ) -> None:
        rules = self._rules.spatial
        near = find_nearest(positions, 100 * rules.radius_m, speaks, owners, rules.neighbours_max)
        length_ms = self._rules.epoch.length_ms
        day = check_windows(rows, near, quantity, self._start_ms, length_ms, rules)
        for row, suspects, alone in zip(rows, day.suspects, day.alone, strict=True):
            tally = self.tallies[row.station]
            tally.alone += alone
            if suspects:
                tally.suspects[row.key] = suspects

    def _peers(
        self, quantity: Quantity, rows: list[Row], positions: Ints, owners: Ints, speaks: Bools
    ) -> None:
        rules, length_ms = self._rules.peers, self._rules.epoch.length_ms
        keys = [row.judged for row in rows]
        own = bin_means(keys, quantity, self._start_ms, length_ms, rules.bin_ms)
        cubes = Cubes(positions, rules.region_m)
        region = region_means(own, cubes, speaks, rules)
        days = []
        for index, row in enumerate(rows):
            today = PeerDay(self._epoch, *row.key, own.series(index), region.series(index))
            days.append(kept_days(self._stations[row.station].peers, today, rules))
            self.tallies[row.station].peers += days[-1]
        near = find_nearest(positions, 100 * rules.radius_m, speaks, owners, rules.peers_max)
        bins, clip = own.values.shape[1], rules.clips[quantity.code]
        series = changes(days, self._epoch, bins, clip, rules)
        said = opinions(series, near, rules)
        for row, ppm, able in zip(rows, said, can_tell(said, near, rules), strict=True):
            self._judge_opinion(row, ppm, able=able)
        floors = rules.copies.get(quantity.code)
        if floors is not None:
            for copy in find_copies(own, days, cubes, rules, floors):
                self._judge_copy(rows, copy)

    def _judge_opinion(self, row: Row, ppm: int | None, *, able: bool) -> None:
        rules = self._rules.peers
        tally = self.tallies[row.station]
        tally.said.append(ppm)
        if able and ppm is not None and ppm < rules.disagree_below_ppm:
            below_ppm = rules.disagree_below_ppm
            limit = Limit(rules.disagree_ppm, Verdict.PEERS_DISAGREE, ppm, below_ppm)
            tally.limit(row.key, limit)

    def _judge_copy(self, rows: Sequence[Row], copy: Copy) -> None:
        """Take from the copy all that both declare: one sensor was shown, so one board was."""
        one, other = rows[copy.one], rows[copy.other]
        if one.station == other.station:
            self._same_station(one, other, copy)
            return
        pair = [(self._stations[row.station], row.judged) for row in (one, other)]
        window_ms = self._rules.spatial.window_ms
        if is_copy(pair[0], pair[1], self._start_ms, window_ms):
            copied, source = one, other
        else:
            copied, source = other, one
        shared = {key.declared.quantity for key in self._stations[source.station].keys}
        tally = self.tallies[copied.station]
        tally.copies += 1
        for key in self._stations[copied.station].keys:
            if key.key == copied.key:
                tally.limit(key.key, Limit(0, Verdict.COPIED, copy.spread, copy.floor))
            elif key.declared.quantity in shared:
                tally.limit(key.key, Limit(0, Verdict.COPIED, None, None))

    def _same_station(self, one: Row, other: Row, copy: Copy) -> None:
        """Of two channels of one station that are one sensor the lower one is paid."""
        key = max(one.key, other.key)
        limit = Limit(0, Verdict.COPIED, copy.spread, copy.floor)
        self.tallies[one.station].limit(key, limit)
