"""Signed messages of three stations through the listing to evidence."""

from hashlib import sha256

import pytest

from gateway.core.coverage.beacon import beacons_of_day
from gateway.core.coverage.evidence import Evidence, collect, hour_of, proven_hours
from gateway.core.listing import list_messages
from gateway.core.model import Kind
from gateway.core.verdicts import Verdict
from tests.unit.gateway.coverage.coverage_kit import (
    ENTROPY,
    FIRST_SLOT,
    PLAN,
    RULES,
    ground,
    heard,
    member,
    row,
    sent_of,
)
from tests.unit.gateway.epoch_kit import DAY, END_MS, HOUR_MS, START_MS, Net

X = sha256(b"x").digest()
REVEAL_MS = END_MS + HOUR_MS
LABELS = ("one", "two", "battery")


class Day:
    """A network of three boards; the first commits, reveals and is reported by the second."""

    def __init__(self):
        self.net = Net()
        self.boards = {label: self.net.board(label) for label in LABELS}
        self.members = [
            member(label, north_km=k)._replace(
                device=self.boards[label].kid, mains=label != "battery"
            )
            for k, label in enumerate(LABELS)
        ]
        device = self.boards["one"].kid
        self.sent = tuple(beacons_of_day(X, self.net.id, device, ENTROPY, PLAN))

    def say(self, label, kind, body, recv_ms, time_ms=None, **header):
        made_ms = recv_ms if time_ms is None else time_ms
        data = self.boards[label].make(kind, body, made_ms, **header)
        return self.net.admit(data, recv_ms)

    def commit(self, recv_ms=START_MS - 1, label="one", x=X):
        return self.say(label, Kind.COMMIT, [DAY, sha256(x).digest()], recv_ms)

    def reveal(self, recv_ms=REVEAL_MS, label="one"):
        return self.say(label, Kind.REVEAL, [DAY, X], recv_ms)

    def witness(self, label="two", recv_ms=END_MS, rows=None, time_ms=None, **header):
        witness = self.boards[label].kid
        if rows is None:
            rows = [row(witness, one) for one in self.sent]
        columns = [
            [one.slot for one in rows],
            [one.tag for one in rows],
            [one.rssi_cdbm for one in rows],
            [one.snr_cdb for one in rows],
            [one.channel for one in rows],
            [one.delay_ms for one in rows],
        ]
        return self.say(label, Kind.WITNESS, [DAY, 0, *columns], recv_ms, time_ms, **header)

    def listen(self, label, hours, recv_ms, day=DAY):
        body = [1, 1, 1, 0, 0, None, None, [day, hours]]
        return self.say(label, Kind.STATUS, body, recv_ms)

    def collect(self, left_out=(), entropy=ENTROPY):
        listing = list_messages(
            DAY,
            self.net.entries,
            self.net.messages,
            network_id=self.net.id,
            clocks={},
            rules=RULES,
        )
        on = ground(*self.members)
        return collect(DAY, listing, entropy, self.net.id, on, left_out=frozenset(left_out))


@pytest.fixture
def day():
    return Day()


def verdicts(evidence):
    return {one.verdict for one in evidence.heard}


def test_a_whole_day_of_one_beaconer_and_one_witness(day):
    one, two, battery = (day.boards[label].kid for label in LABELS)
    day.commit()
    day.reveal()
    report = day.witness()
    day.listen("two", 0b1011, START_MS + HOUR_MS)
    evidence = day.collect()
    assert evidence.sent == {one: day.sent}
    assert {h.row.message_id for h in evidence.heard} == {report}
    assert len(evidence.heard) == len(day.sent)
    assert verdicts(evidence) == {Verdict.HEARD}
    assert evidence.listening == {two: 0b1011}
    assert evidence.unrevealed == frozenset()
    assert evidence.share_ppm == {}
    assert {d: found[0].verdict for d, found in evidence.findings.items()} == {
        two: Verdict.NO_COMMIT,
        battery: Verdict.NO_COMMIT,
    }


def test_nothing_of_anybody_is_no_evidence(day):
    evidence = day.collect()
    assert evidence[:5] == Evidence({}, (), {}, frozenset(), {}, {})[:5]


def test_without_a_reveal_the_tags_are_unknown_and_nobody_is_blamed(day):
    day.commit()
    day.witness()
    evidence = day.collect()
    assert evidence.sent == {}
    assert verdicts(evidence) == {Verdict.UNKNOWN_TAG}
    assert evidence.unrevealed == {day.boards["one"].kid}


def test_a_late_commit_beacons_in_later_slots_and_for_its_share_of_the_day(day):
    day.commit(START_MS + 5 * HOUR_MS)
    day.reveal()
    day.witness()
    evidence = day.collect()
    first = FIRST_SLOT + 7 * 60
    one = day.boards["one"].kid
    assert evidence.sent[one] == tuple(s for s in day.sent if s.slot >= first)
    assert evidence.share_ppm == {one: 1_000_000 * (1440 - 420) // 1440}
    early = [h for h in evidence.heard if h.row.slot < first]
    assert early
    assert {h.verdict for h in early} == {Verdict.UNKNOWN_TAG}


def test_a_share_is_of_the_slots_that_count(day):
    day.commit(START_MS + 5 * HOUR_MS)
    day.reveal()
    morning_void = {slot: ENTROPY[slot] for slot in ENTROPY if slot >= FIRST_SLOT + 7 * 60}
    assert day.collect(entropy=morning_void).share_ppm == {}


def test_void_slots_have_no_beacons(day):
    day.commit()
    day.reveal()
    gone = day.sent[0].slot
    entropy = {slot: ENTROPY[slot] for slot in ENTROPY if slot != gone}
    assert day.collect(entropy=entropy).sent == {day.boards["one"].kid: day.sent[1:]}


def test_messages_that_are_left_out_count_nothing(day):
    commit, reveal = day.commit(), day.reveal()
    report, status = day.witness(), day.listen("two", 1, START_MS + HOUR_MS)
    assert day.collect([commit]).sent == {}
    assert day.collect([reveal]).unrevealed == {day.boards["one"].kid}
    assert day.collect([report]).heard == ()
    assert day.collect([status]).listening == {}


def test_a_report_whose_time_lies_ahead_of_its_arrival_counts_nothing(day):
    day.commit()
    day.reveal()
    day.witness(recv_ms=END_MS - HOUR_MS, time_ms=END_MS - HOUR_MS + 120_001)
    assert day.collect().heard == ()


def test_a_report_without_a_known_time_counts_nothing(day):
    day.commit()
    day.reveal()
    day.witness(time_ms=5_000, source=0)
    assert day.collect().heard == ()


def test_reports_are_late_from_an_hour_after_the_day_on(day):
    day.commit()
    day.reveal()
    day.witness(recv_ms=END_MS + HOUR_MS)
    assert verdicts(day.collect()) == {Verdict.LATE_WITNESS}


def test_the_last_hour_is_claimed_after_midnight_and_counts(day):
    two = day.boards["two"].kid
    day.listen("two", 1, START_MS + HOUR_MS)
    day.listen("two", 1 << 23, END_MS + HOUR_MS - 1)
    day.listen("two", 1 << 22, END_MS + HOUR_MS)
    day.listen("two", 1 << 21, START_MS + HOUR_MS, day=DAY - 1)
    assert day.collect().listening == {two: 1 | 1 << 23}


def test_a_battery_station_claims_nothing(day):
    day.listen("battery", 0xFFFFFF, START_MS + HOUR_MS)
    assert day.collect().listening == {}


def test_a_stranger_s_report_is_not_even_a_row(day):
    day.commit()
    day.reveal()
    day.witness()
    day.members = day.members[:1]
    assert day.collect().heard == ()


def test_listening_is_proven_by_a_beacon_heard_in_the_same_hour():
    witness = member("witness")
    sent = sent_of(member("beaconer").device)
    hour = hour_of(sent[0].slot)
    rows = [heard(witness.device, sent[0])]
    assert proven_hours(rows, {witness.device: 0xFFFFFF}) == {witness.device: 1 << hour}
    assert proven_hours(rows, {witness.device: 0xFFFFFF ^ 1 << hour}) == {witness.device: 0}
    assert proven_hours(rows, {}) == {witness.device: 0}
    refused = [rows[0]._replace(verdict=Verdict.WRONG_DELAY)]
    assert proven_hours(refused, {witness.device: 0xFFFFFF}) == {}
    near = [rows[0]._replace(row=rows[0].row._replace(radio=1))]
    assert proven_hours(near, {witness.device: 0xFFFFFF}) == {}
