"""The numbers that spec/rewards.md states are the ones that the code gives."""

import re

import pytest

from gateway.core.allocator import Share, allocate, carry_after, offered
from gateway.core.emission import emission
from gateway.core.geometry import Sphere
from gateway.core.h3bits import parent
from gateway.core.rules import PPM, REWARD_RESOLUTION, parse_rules
from gateway.core.slots import SlotCandidate, StationClass, assign_slots
from gateway.core.tables import parse_trig

ROW = re.compile(r"\|(.+)\|")


@pytest.fixture(scope="module")
def rules(repo_root):
    return parse_rules((repo_root / "spec/rules/0001.toml").read_bytes())


@pytest.fixture(scope="module")
def sphere(repo_root):
    return Sphere(parse_trig((repo_root / "spec/tables/trig.csv").read_bytes()))


@pytest.fixture(scope="module")
def example(repo_root):
    """Tables of section 9 as lists of rows of cells, without their two heading lines."""
    text = (repo_root / "spec/rewards.md").read_text(encoding="utf-8").split("## 9.")[1]
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    return [
        [[cell.strip() for cell in ROW.fullmatch(line)[1].split("|")] for line in block[2:]]
        for block in blocks
    ]


def station_id(name):
    return bytes.fromhex(name) * 16


def decide(rows, rules, sphere):
    candidates = []
    for name, _, centre, station_class, since, quality, *_ in rows:
        if int(quality) >= rules.quality.threshold_ppm:
            latitude_e6, longitude_e6 = map(int, centre.split(","))
            candidates.append(
                SlotCandidate(
                    station_id(name),
                    (latitude_e6, longitude_e6),
                    StationClass(int(station_class)),
                    int(since),
                )
            )
    return assign_slots(candidates, rules.slots.distance_min_m, sphere.distance_m)


def test_slots_and_usefulness(example, rules, sphere):
    decisions = decide(example[0], rules, sphere)
    assert len(example[0]) == 9
    for name, scoring, _, _, _, quality, verifiability, u, reward, outcome in example[0]:
        assert parent(int(scoring, 16), REWARD_RESOLUTION) == int(reward, 16)
        decision = decisions.get(station_id(name))
        if decision is None:
            assert (u, outcome) == ("-", "sub-threshold")
            continue
        assert int(u) == int(quality) * int(verifiability) // PPM
        blocker = decision.blocked_by
        standby = blocker and f"standby: {blocker.hex()[:2]} at {decision.distance_m} m"
        assert outcome == (standby or "holder")


@pytest.mark.parametrize("index, first", [(4380, 1), (0, 3)])
def test_pay(example, rules, index, first):
    shares = [
        Share(station_id(row[0]), int(row[8], 16), 1_000, int(row[7]), row[3] == "2")
        for row in example[0]
        if row[9] == "holder"
    ]
    sums = {what: int(amount) for what, amount in example[first]}
    assert emission(index, rules.emission.schedule) == sums["E"]
    assert offered(sums["E"], sums["carry_before"], rules.allocation) == sums["P"]
    allocations = allocate(sums["P"], shares, rules.allocation)
    stated = [
        [
            station.hex()[:2],
            str(a.pool_share),
            "-" if a.unproven_share is None else str(a.unproven_share),
            str(a.rate_cap),
            str(a.pay),
            a.bound.name.lower(),
        ]
        for station, a in allocations.items()
    ]
    assert stated == example[first + 1]
    assert sum(a.pay for a in allocations.values()) == sums["paid"]
    left = carry_after(sums["E"], sums["carry_before"], sums["paid"], rules.allocation)
    assert left == sums["carry_after"]


def lone_cells(count, first, u_ppm, *, unproven):
    return [
        Share(i.to_bytes(16, "big"), i, 1_000, u_ppm, unproven)
        for i in range(first, first + count)
    ]


@pytest.mark.parametrize(
    "keys, each", [(0, 150 * 10**18), (4_300, 150 * 10**18), (43_000, 16551724137931034482)]
)
def test_stated_dilution_by_free_keys(rules, keys, each):
    anchored = lone_cells(10, 0, PPM, unproven=False)
    free = lone_cells(keys, 10, 20_000, unproven=True)
    allocations = allocate(14_400 * 10**18, anchored + free, rules.allocation)
    assert {allocations[share.station].pay for share in anchored} == {each}


def test_stated_draw_of_a_young_network(rules):
    shares = lone_cells(10, 0, PPM, unproven=False) + lone_cells(90, 10, 20_000, unproven=True)
    allocations = allocate(14_400 * 10**18, shares, rules.allocation)
    assert sum(a.pay for a in allocations.values()) == 1_770 * 10**18
