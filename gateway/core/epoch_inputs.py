"""What goes into the close of an epoch and what comes out. Shapes only; the close is epoch.py.

It must not know how any of it is stored or sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.faults import CoreFault
from gateway.core.merkle import Tree
from gateway.core.model import AdmissionEntry
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict

ZERO_HASH = bytes(32)


class EpochError(CoreFault):
    """Inputs that no epoch can be closed from."""


@dataclass(frozen=True, slots=True)
class LogRange:
    """Half-open index range of a hash-chained log, with the chain before and after it."""

    first: int
    last: int
    hash_before: bytes
    hash_after: bytes


@dataclass(frozen=True, slots=True)
class EpochInputs:
    """Everything that decides an epoch.

    genesis: its exact bytes; statements: root-signed key statements; tables: file bytes by name
    ("trig"); opening: the encoded EpochState of the epoch before, b"" for the first;
    previous_manifest: its 32-byte hash, zeros for the first; admission, operator: every entry
    logged since the previous close; messages: exact bytes by id, for every entry of the range
    and every pending id of the opening state; centres: H3 cell to (lat, lon) in 1e-6 degree for
    every cell that a hello of this range names first; entropy: the day's chain as
    coverage/entropy.py encodes it, b"" where none was published.
    """

    genesis: bytes
    statements: tuple[bytes, ...]
    epoch: int
    rules_serial: int
    rules_text: bytes
    quantities_text: bytes
    tables: Mapping[str, bytes]
    opening: bytes
    previous_manifest: bytes
    admission: tuple[AdmissionEntry, ...]
    admission_range: LogRange
    operator: tuple[bytes, ...]
    operator_range: LogRange
    messages: Mapping[bytes, bytes]
    centres: Mapping[int, tuple[int, int]]
    entropy: bytes = b""


@dataclass(frozen=True, slots=True)
class Penalty:
    """What one verdict cost a quantity, with the first example (by time, then message id).

    readings: how many it hit; windows: windows of the day that it decided; lost_ppm: the sum of
    what these lost of 10**6 each. value: as the board sent it, in units of 10**exponent.
    observed against limit, by verdict: out_of_range None and the bound, step the change and the
    most allowed (both in units of 10**resolution, rounded away from each other), flat_line
    minutes, sensor_fault the code and None, post_release recv_ms and the release time in ms,
    buddy the distance from the neighbours' mean and the most allowed (as step), peers_disagree
    the partial correlation and the limit in ppm, copied the spread of the difference and the
    floor in units of 10**resolution (None for the copy's other quantities), forked and
    quarantined None.
    """

    verdict: Verdict
    readings: int
    windows: int
    lost_ppm: int
    message_id: bytes
    time_ms: int
    value: int | None
    exponent: int
    observed: int | None
    limit: int | None


@dataclass(frozen=True, slots=True)
class QuantityQuality:
    """One declared quantity's day; credit_ppm + (missing + lost) * 10**6 = expected * 10**6.

    expected: windows of the day; full: windows with full credit; missing: windows without any
    reading; credit_ppm: sum of the windows' credits; quality_ppm = credit_ppm // expected.
    """

    quantity: int
    channel: int
    interval_ms: int
    expected: int
    full: int
    missing: int
    credit_ppm: int
    quality_ppm: int
    penalties: tuple[Penalty, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a station's messages or chain: how often, and at most two ids to show."""

    verdict: Verdict
    count: int
    examples: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """The numbers of spec/rewards.md section 4 for one slot holder.

    pool_share, unproven_share (None for a proven station) and rate_cap are A, B and R; the rest
    are w_c, U_c, g(U_c), Z, and over unproven holders U'_c, g(U'_c), Z'.
    """

    pool_share: int
    unproven_share: int | None
    rate_cap: int
    weight: int
    cell_u_ppm: int
    cell_points: int
    all_points: int
    unproven_u_ppm: int
    unproven_points: int
    all_unproven_points: int


@dataclass(frozen=True, slots=True)
class StationRow:
    """One registered station's epoch, complete enough to explain every number of it.

    owner: 20 bytes, or b"" while there is none (paid is then held); since_epoch: first epoch of
    its unbroken membership in its class, None below the threshold; proof_epoch: the last epoch
    whose evidence gave that class, None for an unproven or an anchored one; u_ppm: of data,
    coverage_u_ppm: of coverage, v counted in both; blocked_by, distance_m: of a standby; terms: of
    a holder in the data pool, coverage_terms in the coverage pool; paid: both parts;
    coverage_paid: the second; held: kept for the station after this epoch; cumulative: the owner's
    claim after this epoch; messages: of this epoch, samples the three smallest ids.
    """

    device: bytes
    owner: bytes
    scoring_cell: int
    reward_cell: int
    centre: tuple[int, int]
    station_class: StationClass
    since_epoch: int | None
    proof_epoch: int | None
    quality_ppm: int
    v_ppm: int
    u_ppm: int
    coverage_u_ppm: int
    blocked_by: bytes | None
    distance_m: int | None
    terms: Terms | None
    coverage_terms: Terms | None
    paid: int
    coverage_paid: int
    held: int
    cumulative: int
    reason: Verdict
    messages: int
    samples: tuple[bytes, ...]
    quantities: tuple[QuantityQuality, ...]
    findings: tuple[Finding, ...]

    @property
    def holder(self) -> bool:
        """Say whether the station holds a slot."""
        return self.terms is not None


@dataclass(frozen=True, slots=True)
class Totals:
    """Base units: emission + carry_before = paid + carry_after; offered is the pool P.

    coverage_offered of it is for coverage, coverage_paid of what was paid was paid for it.
    """

    emission: int
    offered: int
    coverage_offered: int
    paid: int
    coverage_paid: int
    carry_before: int
    carry_after: int


@dataclass(frozen=True, slots=True)
class EpochOutcome:
    """manifest: deterministic CBOR, manifest_hash its SHA-256; closing: the encoded EpochState.

    stations are in ascending order of device, with those that were registered when the epoch
    ended; coverage: the encoded table of coverage/table.py; listed are the ids in the message
    root, after_close those only named.
    """

    epoch: int
    manifest: bytes
    manifest_hash: bytes
    closing: bytes
    stations: tuple[StationRow, ...]
    coverage: bytes
    tree: Tree
    totals: Totals
    message_root: bytes
    payout_root: bytes
    listed: tuple[bytes, ...]
    after_close: tuple[bytes, ...]
