"""Every rule of spec/coverage.md section 4, at its limit and one beyond it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.coverage.model import Row
from gateway.core.coverage.radio import free_space_loss_cdb
from gateway.core.coverage.rows import RowJudge, row_key
from gateway.core.verdicts import Verdict
from tests.unit.gateway.coverage.coverage_kit import (
    DAY,
    END_MS,
    HOUR_MS,
    SPHERE,
    TABLES,
    ground,
    member,
    row,
    sent_of,
)

BEACONER = member("beaconer")
WITNESS = member("witness", north_km=3)
GROUND = ground(BEACONER, WITNESS)
SENT = sent_of(BEACONER.device)
ONE = SENT[0]


def judged(*rows, on=GROUND, sent=SENT):
    return RowJudge(DAY, sent, on).judge_all(rows)


def verdict_of(one, on=GROUND):
    (heard,) = judged(one, on=on)
    assert heard.row == one
    return heard.verdict


def flawless(**changes):
    return row(WITNESS.device, ONE, **changes)


def test_a_flawless_row_is_heard_and_knows_its_beacon():
    (heard,) = judged(flawless())
    assert heard.verdict is Verdict.HEARD
    assert (heard.beaconer, heard.power_cdbm) == (BEACONER.device, ONE.power_cdbm)


def test_an_unknown_tag_has_no_beaconer():
    (heard,) = judged(flawless(tag=bytes(16)))
    assert (heard.verdict, heard.beaconer, heard.power_cdbm) == (Verdict.UNKNOWN_TAG, b"", 0)


def test_a_beacon_of_somebody_unregistered_is_an_unknown_tag():
    assert verdict_of(flawless(), on=ground(WITNESS)) is Verdict.UNKNOWN_TAG


LIMITS = [
    (Verdict.LATE_WITNESS, "recv_ms", END_MS + HOUR_MS - 1, 1),
    (Verdict.WRONG_SLOT, "slot", ONE.slot, 1),
    (Verdict.WRONG_SLOT, "slot", ONE.slot, -1),
    (Verdict.WRONG_DELAY, "delay_ms", ONE.delay_ms + 2_000, 1),
    (Verdict.WRONG_DELAY, "delay_ms", ONE.delay_ms - 2_000, -1),
    (Verdict.WRONG_CHANNEL, "channel", ONE.channel, 1),
    (Verdict.BELOW_SENSITIVITY, "rssi_cdbm", -13_550, -1),
]


@pytest.mark.parametrize("verdict, field, limit, step", LIMITS)
def test_a_rule_applies_beyond_its_limit_and_not_at_it(verdict, field, limit, step):
    fit = flawless(snr_cdb=None)
    assert verdict_of(fit._replace(**{field: limit})) is Verdict.HEARD
    assert verdict_of(fit._replace(**{field: limit + step})) is verdict


def test_nobody_is_witness_of_itself():
    own = row(BEACONER.device, ONE)
    assert verdict_of(own) is Verdict.SELF_WITNESS


@pytest.mark.parametrize("changes", [{"mains": False}, {"fine": False}])
def test_a_battery_station_and_a_coarse_cell_have_no_witness_duty(changes):
    on = ground(BEACONER, WITNESS._replace(**changes))
    assert verdict_of(flawless(), on=on) is Verdict.NO_WITNESS_DUTY
    assert verdict_of(flawless(), on=ground(BEACONER)) is Verdict.NO_WITNESS_DUTY


def test_free_space_is_measured_from_the_nearest_places_of_both_cells():
    distance_m = SPHERE.distance_m(BEACONER.centre, WITNESS.centre) - 500
    limit = ONE.power_cdbm - free_space_loss_cdb(distance_m, 868_100, TABLES) + 600
    loud = flawless(snr_cdb=1_000)
    assert verdict_of(loud._replace(rssi_cdbm=limit)) is Verdict.HEARD
    assert verdict_of(loud._replace(rssi_cdbm=limit + 1)) is Verdict.BEYOND_FREE_SPACE


@pytest.mark.parametrize("km, fine", [(0, True), (0.4, True), (3, False)])
def test_where_cells_touch_or_are_coarse_a_metre_is_the_bound(km, fine):
    beaconer = BEACONER._replace(fine=fine)
    on = ground(beaconer, member("witness", north_km=km))
    limit = ONE.power_cdbm - free_space_loss_cdb(1, 868_100, TABLES) + 600
    loud = flawless(snr_cdb=1_000)
    assert verdict_of(loud._replace(rssi_cdbm=limit), on=on) is Verdict.HEARD
    assert verdict_of(loud._replace(rssi_cdbm=limit + 1), on=on) is Verdict.BEYOND_FREE_SPACE


def test_snr_below_the_modem_s_floor_is_incoherent():
    faint = flawless(rssi_cdbm=-12_950)
    assert verdict_of(faint._replace(snr_cdb=-1_550)) is Verdict.HEARD
    assert verdict_of(faint._replace(snr_cdb=-1_551)) is Verdict.SNR_INCOHERENT


def test_a_receiver_quieter_than_thermal_noise_is_incoherent():
    # Noise floor -117 dBm, slack 9 dB: level - snr >= -126 dBm.
    assert verdict_of(flawless(rssi_cdbm=-12_100, snr_cdb=500)) is Verdict.HEARD
    assert verdict_of(flawless(rssi_cdbm=-12_100, snr_cdb=501)) is Verdict.SNR_INCOHERENT


def test_noise_from_outside_is_no_fault_of_the_witness():
    # Helium hotspots: level - snr of -78 dBm at 1 of 1,000 frames with a negative snr.
    assert verdict_of(flawless(rssi_cdbm=-9_000, snr_cdb=-1_200)) is Verdict.HEARD


def test_a_modem_that_clips_the_ratio_at_its_top_is_no_liar():
    assert verdict_of(flawless(rssi_cdbm=-8_600, snr_cdb=1_300)) is Verdict.HEARD


def test_a_row_without_snr_is_judged_by_its_level():
    assert verdict_of(flawless(snr_cdb=None)) is Verdict.HEARD


def test_of_two_reports_of_one_beacon_the_first_by_message_id_counts():
    first = flawless(message_id=bytes(32))
    second = flawless(message_id=b"\x01" * 32, rssi_cdbm=-10_000)
    for rows in ([first, second], [second, first]):
        assert [one.verdict for one in judged(*rows)] == [Verdict.HEARD, Verdict.REPEATED_ROW]
        assert judged(*rows)[0].row == first


def test_the_same_beacon_over_another_radio_is_no_repetition():
    both = judged(flawless(), flawless(radio=1, channel=0, rssi_cdbm=-6_000))
    assert [one.verdict for one in both] == [Verdict.HEARD, Verdict.HEARD]


def test_two_witnesses_of_one_beacon_are_no_repetition():
    third = member("third", north_km=-2)
    both = judged(flawless(), row(third.device, ONE), on=ground(BEACONER, WITNESS, third))
    assert {one.verdict for one in both} == {Verdict.HEARD}


def test_a_row_refused_as_no_report_does_not_block_a_good_one():
    wrong = flawless(message_id=bytes(32), slot=ONE.slot + 1)
    good = flawless(message_id=b"\x01" * 32)
    assert [one.verdict for one in judged(wrong, good)] == [Verdict.WRONG_SLOT, Verdict.HEARD]


def test_a_row_refused_by_physics_cannot_be_said_better_later():
    loud = flawless(message_id=bytes(32), rssi_cdbm=0)
    good = flawless(message_id=b"\x01" * 32)
    verdicts = [one.verdict for one in judged(loud, good)]
    assert verdicts == [Verdict.BEYOND_FREE_SPACE, Verdict.REPEATED_ROW]


def test_short_range_radios_have_their_own_power_and_bounds():
    near = flawless(radio=1, channel=7, snr_cdb=-9_999, rssi_cdbm=-5_000)
    (heard,) = judged(near)
    assert (heard.verdict, heard.power_cdbm) == (Verdict.HEARD, 2_000)
    assert verdict_of(near._replace(rssi_cdbm=2_600)) is Verdict.HEARD
    assert verdict_of(near._replace(rssi_cdbm=2_601)) is Verdict.BEYOND_FREE_SPACE
    assert verdict_of(near._replace(rssi_cdbm=-11_100)) is Verdict.HEARD
    assert verdict_of(near._replace(rssi_cdbm=-11_101)) is Verdict.BELOW_SENSITIVITY


ALL_WRONG = row(
    BEACONER.device,
    ONE,
    recv_ms=END_MS + HOUR_MS,
    slot=ONE.slot + 1,
    delay_ms=0,
    channel=99,
    rssi_cdbm=10_000,
    snr_cdb=-9_000,
)
MENDS = [
    (Verdict.LATE_WITNESS, {"recv_ms": END_MS}),
    (Verdict.SELF_WITNESS, {"witness": WITNESS.device}),
    (Verdict.NO_WITNESS_DUTY, None),
    (Verdict.WRONG_SLOT, {"slot": ONE.slot}),
    (Verdict.WRONG_DELAY, {"delay_ms": ONE.delay_ms}),
    (Verdict.WRONG_CHANNEL, {"channel": ONE.channel}),
    (Verdict.BEYOND_FREE_SPACE, {"rssi_cdbm": -13_600}),
    (Verdict.BELOW_SENSITIVITY, {"rssi_cdbm": -12_000}),
    (Verdict.SNR_INCOHERENT, {"snr_cdb": -300}),
    (Verdict.HEARD, {}),
]


def test_the_first_rule_that_applies_decides():
    battery = ground(BEACONER, WITNESS._replace(mains=False))
    one, on = ALL_WRONG, battery
    for verdict, mend in MENDS:
        assert verdict_of(one, on=on) is verdict
        if mend is None:
            on = GROUND
        else:
            one = one._replace(**mend)


def test_of_two_beacons_with_one_tag_always_the_same_is_meant():
    twin = SENT[1]._replace(tag=ONE.tag)
    for sent in ([ONE, twin], [twin, ONE]):
        (found,) = judged(flawless(), sent=sent)
        assert found.verdict is Verdict.HEARD


def test_limits_come_from_the_rules():
    coverage = replace(GROUND.rules.coverage, delay_tolerance_ms=5, snr_slack_cdb=0)
    strict = GROUND._replace(rules=replace(GROUND.rules, coverage=coverage))
    late = flawless(delay_ms=ONE.delay_ms + 6)
    assert verdict_of(late, on=strict) is Verdict.WRONG_DELAY
    quiet = flawless(rssi_cdbm=-12_000, snr_cdb=-299)
    assert verdict_of(quiet, on=strict) is Verdict.SNR_INCOHERENT


INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
UINTS = st.integers(0, 2**53 - 1)
ROWS = st.builds(
    Row,
    witness=st.sampled_from([BEACONER.device, WITNESS.device, bytes(16)]),
    message_id=st.sampled_from([bytes(32), b"\x01" * 32]),
    recv_ms=st.sampled_from([0, END_MS, 2**52]),
    radio=st.integers(0, 2),
    slot=st.sampled_from([ONE.slot, SENT[1].slot]) | UINTS,
    tag=st.sampled_from([ONE.tag, SENT[1].tag, bytes(16)]),
    rssi_cdbm=INTEGERS | st.integers(-13_000, -9_000),
    snr_cdb=st.none() | INTEGERS | st.integers(-1_000, 1_000),
    channel=st.integers(0, 3) | UINTS,
    delay_ms=st.sampled_from([ONE.delay_ms, SENT[1].delay_ms]) | UINTS,
)


@given(st.lists(ROWS, max_size=6), st.randoms())
def test_any_rows_are_judged_the_same_in_any_order(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    first = judged(*rows)
    assert first == judged(*shuffled, sent=list(reversed(SENT)))
    assert [one.row for one in first] == sorted(rows, key=row_key)
    for one in first:
        assert (one.beaconer == b"") == (one.verdict is Verdict.UNKNOWN_TAG)
