"""What coverage evidence is made of. Shapes only; spec/coverage.md gives their meaning.

Powers and levels are in cdBm (hundredths of a dBm), differences of levels in cdB.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.core.epoch_inputs import Finding
from gateway.core.geometry import Point
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict


class Member(NamedTuple):
    """A registered station as coverage sees it.

    owner: b"" while unknown; net_tags: of its messages of the day; centre: of its scoring cell;
    fine: a resolution-9 cell; mains: its duty class.
    """

    device: bytes
    owner: bytes
    net_tags: frozenset[bytes]
    centre: Point
    fine: bool
    mains: bool
    anchored: bool


class Sent(NamedTuple):
    """A beacon that was due in a slot that counts. power_cdbm is its EIRP."""

    beaconer: bytes
    slot: int
    delay_ms: int
    channel: int
    power_cdbm: int
    tag: bytes


class Row(NamedTuple):
    """One row of a witness report, as it came."""

    witness: bytes
    message_id: bytes
    recv_ms: int
    radio: int
    slot: int
    tag: bytes
    rssi_cdbm: int
    snr_cdb: int | None
    channel: int
    delay_ms: int


class Heard(NamedTuple):
    """A row with its verdict. beaconer: b"" for an unknown tag, power_cdbm is then 0."""

    row: Row
    beaconer: bytes
    power_cdbm: int
    verdict: Verdict


class Link(NamedTuple):
    """What one witness says of one beaconer on one day over one radio.

    heard: rows with verdict HEARD; silent: beacons of hours in which the witness was provably
    listening, and that it did not hear; excess_cdb: floor of the mean of (rssi - power) over the
    heard rows, 0 without any; distance_m: of the scoring-cell centres; verdict: HEARD, SILENT, or
    why the link counts for less; weight_ppm: the witness's independence.
    """

    beaconer: bytes
    witness: bytes
    radio: int
    heard: int
    silent: int
    excess_cdb: int
    distance_m: int
    verdict: Verdict
    weight_ppm: int


class Observation(NamedTuple):
    """One independent link as the place test sees it; offset_cdb is the witness's own."""

    witness: bytes
    centre: Point
    excess_cdb: int
    heard: int
    silent: int
    offset_cdb: int


class PlaceResult(NamedTuple):
    """What the radio says of a claimed place.

    observations: how many were used, heard of them not silent; second_z_milli, max_z_milli: the
    second largest and the largest |z| at the claim, in thousandths; odds_milli: over the witness
    that is left out, the smallest difference of the best log-likelihood and that at the claim, in
    thousandths of a nat; full_odds_milli: without leaving any out; best, best_m: the most likely
    place and its distance from the claim; radius_m: of 95 % of the posterior around it; zs_milli:
    by witness, ascending.
    """

    observations: int
    heard: int
    second_z_milli: int
    max_z_milli: int
    odds_milli: int
    full_odds_milli: int
    best: Point
    best_m: int
    radius_m: int
    verdict: Verdict
    zs_milli: tuple[tuple[bytes, int], ...]


class StationCoverage(NamedTuple):
    """One station's coverage on one day.

    expected: beacons due; heard: of these, by an independent witness with a path to an anchor;
    witnesses: distinct owners of such witnesses, witness_ppm the sum of their weights;
    listening_hours: provably; hops: to the nearest anchor, 0 for one, None without a path; place:
    None while nothing tells of it; v_ppm, station_class: of this day's radio evidence alone;
    u_ppm: usefulness before v; near_proof: at least one such witness, and no contradiction.
    """

    device: bytes
    expected: int
    heard: int
    witnesses: int
    witness_ppm: int
    listening_hours: int
    hops: int | None
    place: PlaceResult | None
    v_ppm: int
    u_ppm: int
    station_class: StationClass
    near_proof: bool
    unrevealed: bool
    findings: tuple[Finding, ...]


class Coverage(NamedTuple):
    """stations: ascending by device; links: by (beaconer, witness, radio); co_located: pairs."""

    stations: tuple[StationCoverage, ...]
    links: tuple[Link, ...]
    co_located: frozenset[tuple[bytes, bytes]]


NO_COVERAGE = Coverage((), (), frozenset())
