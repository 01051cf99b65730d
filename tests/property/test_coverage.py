"""What must hold of coverage whatever strangers send: no order decides, no ring gains or harms."""

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.coverage.independence import path_key, path_levels, weighed
from gateway.core.coverage.judge import judge_coverage, judge_links
from gateway.core.coverage.rows import LORA
from gateway.core.coverage.table import decode_coverage, encode_coverage
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict
from tests.unit.gateway.coverage.coverage_kit import (
    PPM,
    RULES,
    SPHERE,
    TABLES,
    heard,
    link,
    member,
    sent_of,
    slots_of,
)

OWNERS = (b"", b"p" * 20, b"q" * 20, b"r" * 20)
TAGS = (frozenset(), frozenset({b"n" * 8}), frozenset({b"n" * 8, b"m" * 8}))


@st.composite
def networks(draw, prefix="s", *, anchors=True, size_max=8):
    """Members scattered over 20 km, and links among them that say anything."""
    size = draw(st.integers(2, size_max))
    members = [
        member(
            f"{prefix}{k}",
            north_km=draw(st.integers(0, 200)) / 10,
            east_km=draw(st.integers(0, 200)) / 10,
            mains=draw(st.integers(0, 9)) > 0,
            fine=draw(st.integers(0, 9)) > 0,
            anchored=anchors and draw(st.integers(0, 2)) == 0,
        )
        for k in range(size)
    ]
    for k in range(size):
        if draw(st.booleans()):
            owner, tags = draw(st.sampled_from(OWNERS)), draw(st.sampled_from(TAGS))
            members[k] = members[k]._replace(owner=owner, net_tags=tags)
    return members, draw(links_between(members, members))


@st.composite
def links_between(draw, beaconers, witnesses):
    pairs = [(b, w) for b in beaconers for w in witnesses if b is not w]
    found = []
    for beaconer, witness in draw(st.lists(st.sampled_from(pairs), max_size=40, unique=True)):
        heard_count = draw(st.sampled_from([0, 1, 5, 12]))
        found.append(
            link(
                beaconer,
                witness,
                radio=draw(st.sampled_from([LORA, LORA, LORA, 1])),
                heard=heard_count,
                silent=draw(st.integers(0, 12)),
                excess_cdb=draw(st.integers(-15_000, -4_000)) if heard_count else 0,
                verdict=draw(
                    st.sampled_from(
                        [Verdict.HEARD, Verdict.HEARD, Verdict.HEARD, Verdict.BEYOND_FREE_SPACE]
                    )
                ),
            )
        )
    return found


def judged(members, links):
    return judge_links(
        members,
        links,
        dict.fromkeys((one.device for one in members), 12),
        slots_of([one for one in links if one.radio == LORA]),
        dict.fromkeys((one.device for one in members), 20),
        frozenset(),
        RULES,
        TABLES,
    )


@settings(max_examples=40, deadline=None)
@given(networks(), st.randoms())
def test_no_order_of_members_or_links_decides(network, random):
    members, links = network
    once = judged(members, links)
    random.shuffle(members)
    random.shuffle(links)
    assert judged(members, links) == once
    assert decode_coverage(encode_coverage(once)) == once


@settings(max_examples=40, deadline=None)
@given(networks(), networks("stranger ", anchors=False), st.data())
def test_a_stranger_s_ring_changes_nobody_else_and_gains_nothing(network, strangers, data):
    members, links = network
    ring, own = strangers
    lies = data.draw(links_between(members, ring))
    before = {one.device: one for one in judged(members, links).stations}
    after = {one.device: one for one in judged([*members, *ring], [*links, *own, *lies]).stations}
    for device, was in before.items():
        now = after[device]
        for field in ("v_ppm", "u_ppm", "station_class", "hops", "witnesses", "near_proof"):
            assert getattr(now, field) == getattr(was, field), field
    for one in ring:
        station = after[one.device]
        assert (station.u_ppm, station.hops, station.near_proof) == (0, None, False)
        assert station.station_class is StationClass.UNPROVEN


@settings(max_examples=40, deadline=None)
@given(networks())
def test_what_is_paid_is_bounded_and_hangs_on_a_path(network):
    members, links = network
    for station in judged(members, links).stations:
        assert 0 <= station.u_ppm <= PPM
        assert station.heard <= station.expected
        if station.hops is None:
            assert station.u_ppm == 0
            assert station.station_class is StationClass.UNPROVEN
        if station.station_class is StationClass.WITNESSED:
            assert station.witness_ppm >= 3 * PPM
            assert station.near_proof


def levels_by_relaxation(links, members):
    """The levels by another way: start with the anchors and lower until nothing changes."""
    infinite = 10**9
    levels = {d: 0 if one.anchored else infinite for d, one in members.items()}
    for _ in count():
        lowered = dict(levels)
        for device, one in members.items():
            if one.anchored:
                continue
            by_party = {}
            for of in links:
                if of.beaconer == device and of.heard and of.weight_ppm:
                    party = path_key(members[of.witness])
                    by_party[party] = min(by_party.get(party, infinite), levels[of.witness])
            nearest = sorted(by_party.values())
            if len(nearest) >= 2 and nearest[1] < RULES.coverage.hops_max:
                lowered[device] = min(lowered[device], nearest[1] + 1)
        if lowered == levels:
            return {d: level for d, level in levels.items() if level < infinite}
        levels = lowered
    return None


@settings(max_examples=200, deadline=None)
@given(networks(size_max=14))
def test_levels_are_the_fixed_point(network):
    members, links = network
    by_device = {one.device: one for one in members}
    lora = [one for one in weighed(links, by_device, RULES.coverage) if one.radio == LORA]
    levels = path_levels(lora, by_device, frozenset(), RULES.coverage)
    assert levels == levels_by_relaxation(lora, by_device)


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(4, 7))
def test_no_order_of_rows_or_beacons_decides(random, size):
    members = [
        member(f"row {k}", north_km=random.random() * 6, east_km=random.random() * 6)
        for k in range(size)
    ]
    members = [one._replace(anchored=k < 2) for k, one in enumerate(members)]
    sent = {one.device: sent_of(one.device) for one in members}
    rows = []
    for b in members:
        for w in members:
            for beacon in sent[b.device]:
                if b is w or random.random() < 0.4:
                    continue
                one = heard(w.device, beacon, 11_000 + random.randrange(2_000))
                verdicts = [Verdict.HEARD] * 8 + [Verdict.WRONG_DELAY, Verdict.BEYOND_FREE_SPACE]
                rows.append(one._replace(verdict=random.choice(verdicts)))
    listening = {one.device: random.getrandbits(24) | 0xFFFF for one in members}

    def day():
        return judge_coverage(
            members, sent, rows, listening, frozenset(), SPHERE.distance_m, RULES, TABLES
        )

    once = day()
    random.shuffle(members)
    random.shuffle(rows)
    sent = {d: random.sample(sent[d], len(sent[d])) for d in sorted(sent, reverse=True)}
    listening = dict(reversed(listening.items()))
    assert day() == once
