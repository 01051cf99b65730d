"""The verdict on every row of a witness report: ordered rules, the first that applies decides.

spec/coverage.md section 4. A row is what a stranger wrote: no value of it makes a rule raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gateway.core.coverage.model import Heard, Member, Row, Sent
from gateway.core.coverage.radio import RadioTables, free_space_loss_cdb
from gateway.core.coverage.regions import Region
from gateway.core.genesis import DAY_MS
from gateway.core.geometry import Point
from gateway.core.rules import Rules
from gateway.core.verdicts import Verdict

LORA = 0
# ESP-NOW and BLE send 20 dBm; no receiver of theirs decodes anything below -105 dBm.
PROXIMITY_EIRP_CDBM = 2_000
PROXIMITY_SENSITIVITY_CDBM = -10_500
SNR_MARGIN_CDB = 300


class Ground(NamedTuple):
    """What rows are judged on.

    members: the registered stations by device; region: of the LoRa radio; tables: for the
    free-space loss; distance_m: between two places.
    """

    members: Mapping[bytes, Member]
    region: Region
    tables: RadioTables
    distance_m: Callable[[Point, Point], int]
    rules: Rules


class RowJudge:
    """Judges the rows of one day; remembers which beacons a witness has reported."""

    def __init__(self, epoch: int, sent: Iterable[Sent], ground: Ground) -> None:
        self.ground = ground
        self.ends_ms = (epoch + 1) * DAY_MS + ground.rules.coverage.witness_until_ms
        self._by_tag: dict[bytes, Sent] = {}
        self._reported: set[tuple[bytes, bytes, int]] = set()
        self._losses: dict[tuple[bytes, bytes], int] = {}
        # Ascending, so that of two beacons with one tag always the same is meant.
        for beacon in sorted(sent):
            if beacon.beaconer in ground.members:
                self._by_tag.setdefault(beacon.tag, beacon)

    def judge_all(self, rows: Iterable[Row]) -> tuple[Heard, ...]:
        """Return every row with its verdict in ascending order of row_key, whatever the order."""
        return tuple(self._heard(row) for row in sorted(rows, key=row_key))

    def loss_cdb(self, witness: bytes, beaconer: bytes) -> int:
        """Return the smallest free-space loss that the cells of two members allow."""
        pair = (min(witness, beaconer), max(witness, beaconer))
        loss = self._losses.get(pair)
        if loss is None:
            ground = self.ground
            a, b = (ground.members[device] for device in pair)
            nearest_m = 1
            if a.fine and b.fine:
                # Each may stand anywhere in its cell, and two cells that touch can be one place.
                apart_m = ground.distance_m(a.centre, b.centre)
                nearest_m = max(1, apart_m - ground.rules.slots.distance_min_m)
            loss = free_space_loss_cdb(nearest_m, ground.region.frequency_khz, ground.tables)
            self._losses[pair] = loss
        return loss

    def _heard(self, row: Row) -> Heard:
        sent = self._by_tag.get(row.tag)
        if sent is None:
            return Heard(row, b"", 0, Verdict.UNKNOWN_TAG)
        power_cdbm = sent.power_cdbm if row.radio == LORA else PROXIMITY_EIRP_CDBM
        return Heard(row, sent.beaconer, power_cdbm, self._verdict(row, sent))

    def _verdict(self, row: Row, sent: Sent) -> Verdict:
        for verdict, applies in _IS_NO_REPORT:
            if applies(row, sent, self):
                return verdict
        key = (row.witness, row.tag, row.radio)
        if key in self._reported:
            return Verdict.REPEATED_ROW
        self._reported.add(key)
        for verdict, applies in _IS_NO_RADIO:
            if applies(row, sent, self):
                return verdict
        return Verdict.HEARD


def row_key(row: Row) -> tuple[bytes, bytes, int, int, int, bytes, int, int, int, int, int]:
    """Return the key by which rows are walked; it holds every field, so that no two tie."""
    has_snr, snr_cdb = (0, 0) if row.snr_cdb is None else (1, row.snr_cdb)
    return (
        row.witness,
        row.message_id,
        row.recv_ms,
        row.radio,
        row.slot,
        row.tag,
        row.rssi_cdbm,
        has_snr,
        snr_cdb,
        row.channel,
        row.delay_ms,
    )


def _is_late(row: Row, _: Sent, judge: RowJudge) -> bool:
    return row.recv_ms >= judge.ends_ms


def _is_own(row: Row, sent: Sent, _: RowJudge) -> bool:
    return row.witness == sent.beaconer


def _has_no_duty(row: Row, _: Sent, judge: RowJudge) -> bool:
    member = judge.ground.members.get(row.witness)
    return member is None or not (member.mains and member.fine)


def _has_wrong_slot(row: Row, sent: Sent, _: RowJudge) -> bool:
    return row.slot != sent.slot


def _has_wrong_delay(row: Row, sent: Sent, judge: RowJudge) -> bool:
    return abs(row.delay_ms - sent.delay_ms) > judge.ground.rules.coverage.delay_tolerance_ms


def _has_wrong_channel(row: Row, sent: Sent, _: RowJudge) -> bool:
    return row.radio == LORA and row.channel != sent.channel


def _is_too_loud(row: Row, sent: Sent, judge: RowJudge) -> bool:
    margin_cdb = judge.ground.rules.coverage.free_space_margin_cdb
    if row.radio != LORA:
        return row.rssi_cdbm > PROXIMITY_EIRP_CDBM + margin_cdb
    loss_cdb = judge.loss_cdb(row.witness, sent.beaconer)
    return row.rssi_cdbm > sent.power_cdbm - loss_cdb + margin_cdb


def _is_too_faint(row: Row, _: Sent, judge: RowJudge) -> bool:
    is_lora = row.radio == LORA
    least = judge.ground.region.sensitivity_cdbm if is_lora else PROXIMITY_SENSITIVITY_CDBM
    return row.rssi_cdbm < least - judge.ground.rules.coverage.sensitivity_margin_cdb


def _is_incoherent(row: Row, _: Sent, judge: RowJudge) -> bool:
    """No modem decodes below its floor, and no receiver is quieter than thermal noise.

    There is no bound on the other side: interference raises the noise under a strong signal.
    """
    if row.radio != LORA or row.snr_cdb is None:
        return False
    region = judge.ground.region
    noise_cdbm = row.rssi_cdbm - row.snr_cdb
    return (
        row.snr_cdb < region.snr_floor_cdb - SNR_MARGIN_CDB
        or noise_cdbm < region.noise_floor_cdbm - judge.ground.rules.coverage.snr_slack_cdb
    )


_Rule = Callable[[Row, Sent, RowJudge], bool]
# A row that these refuse does not stand in the way of a good one about the same beacon.
_IS_NO_REPORT: tuple[tuple[Verdict, _Rule], ...] = (
    (Verdict.LATE_WITNESS, _is_late),
    (Verdict.SELF_WITNESS, _is_own),
    (Verdict.NO_WITNESS_DUTY, _has_no_duty),
    (Verdict.WRONG_SLOT, _has_wrong_slot),
    (Verdict.WRONG_DELAY, _has_wrong_delay),
    (Verdict.WRONG_CHANNEL, _has_wrong_channel),
)
_IS_NO_RADIO: tuple[tuple[Verdict, _Rule], ...] = (
    (Verdict.BEYOND_FREE_SPACE, _is_too_loud),
    (Verdict.BELOW_SENSITIVITY, _is_too_faint),
    (Verdict.SNR_INCOHERENT, _is_incoherent),
)
