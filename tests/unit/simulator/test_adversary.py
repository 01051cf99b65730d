"""Each attack is built into the plans as its description says, and touches nobody else."""

import dataclasses
import itertools
import math

import h3
import pytest

from gateway.core.rules import parse_rules
from gateway.shell.spec_files import read_spec
from simulator.adversary import ATTACKS, RING_KEYS
from simulator.fleet import plan_stations
from simulator.liars import Liars
from simulator.lying_boards import ForgingBoard, GriefingBoard
from simulator.lying_sensors import HOLD_MS, WithholdingLink
from simulator.places import METRES_PER_DEGREE
from simulator.scenario import FleetOptions, RadioOptions, ScenarioInvalid, load_scenario

SEED = 3


@pytest.fixture(scope="module")
def honest():
    scenario = load_scenario("quiet")
    fleet = FleetOptions(stations=50, anchored=5, without_owner=2, close_stations=4)
    return dataclasses.replace(scenario, fleet=fleet, radio=RadioOptions(region="EU868"))


@pytest.fixture(scope="module")
def honest_plans(honest):
    return plan_stations(honest, SEED)


@pytest.fixture
def liars_of(honest, honest_plans):
    """(number, plan, honest plan) of every liar of one kind, after a check of all the others."""

    def cast(**counts):
        plans = plan_stations(dataclasses.replace(honest, liars=Liars(**counts)), SEED)
        pairs = list(enumerate(zip(plans, honest_plans, strict=True)))
        for _, (plan, before) in pairs:
            if not plan.attack:
                assert _comparable(plan) == _comparable(before)
        return [(index, plan, before) for index, (plan, before) in pairs if plan.attack]

    return cast


def _comparable(plan):
    return dataclasses.replace(plan, sampler=None)


def centre(plan, town):
    lat, lon = h3.cell_to_latlng(h3.int_to_str(plan.scoring_cell))
    east = (lon - town.lon_deg) * METRES_PER_DEGREE * math.cos(math.radians(town.lat_deg))
    return east, (lat - town.lat_deg) * METRES_PER_DEGREE


def lie_m(plan, town):
    return math.dist(centre(plan, town), (plan.antenna.east_m, plan.antenna.north_m))


@pytest.mark.parametrize("distance_km", [1, 3, 10, 50])
def test_a_location_lie_is_as_long_as_its_name(liars_of, honest, distance_km):
    [(_, plan, before)] = liars_of(**{f"location_lie_{distance_km}km": 1})
    assert plan.attack == f"location_lie_{distance_km}km"
    assert str(distance_km) in plan.tries
    # A cell of resolution 9 is 200 m from its middle to its corners.
    assert lie_m(plan, honest.town) == pytest.approx(distance_km * 1_000, abs=250 * distance_km)
    assert plan.place_commitment != before.place_commitment
    assert plan.antenna == dataclasses.replace(before.antenna, power_db=plan.antenna.power_db)
    assert 0 < abs(plan.antenna.power_db) <= 10


def test_a_lone_pair_stands_on_one_bench_far_from_everybody(liars_of, honest):
    (_, one, _), (_, two, _) = liars_of(lone_pair=1)
    ends = [(plan.antenna.east_m, plan.antenna.north_m) for plan in (one, two)]
    assert math.dist(*ends) == pytest.approx(10, abs=0.1)
    claimed = [centre(plan, honest.town) for plan in (one, two)]
    assert math.dist(*claimed) == pytest.approx(1_500, abs=450)
    assert math.hypot(*ends[0]) > 50_000
    assert one.antenna.power_db == two.antenna.power_db < -60


def test_a_ring_claims_ten_cells_apart(liars_of, honest):
    ring = liars_of(ring=1)
    assert len(ring) == RING_KEYS == 10
    assert len({plan.owner for _, plan, _ in ring}) == 10
    places = [centre(plan, honest.town) for _, plan, _ in ring]
    nearest = min(math.dist(a, b) for a, b in itertools.combinations(places, 2))
    assert nearest >= 400
    claims = [plan.hardware.keywords["claimed"] for _, plan, _ in ring]
    exact = min(
        math.dist((a.east_m, a.north_m), (b.east_m, b.north_m))
        for a, b in itertools.combinations(claims, 2)
    )
    assert exact >= 600
    assert all(
        math.hypot(plan.antenna.east_m, plan.antenna.north_m) > 50_000 for _, plan, _ in ring
    )


def test_unproven_keys_have_no_radio_and_a_cell_each(liars_of):
    keys = liars_of(unproven_keys=30)
    assert len(keys) == 30
    assert all(plan.region == 0 and not plan.antenna.radios for _, plan, _ in keys)
    cells = {h3.cell_to_parent(h3.int_to_str(plan.scoring_cell), 7) for _, plan, _ in keys}
    assert len(cells) == 30


def test_a_wormhole_has_an_end_in_town_and_one_that_claims_to_be(liars_of, honest):
    ends = {plan.hardware.keywords["near"]: plan for _, plan, _ in liars_of(wormhole=1)}
    near, far = ends[True], ends[False]
    assert lie_m(near, honest.town) < 250
    assert math.hypot(far.antenna.east_m, far.antenna.north_m) > 50_000
    assert math.dist(centre(near, honest.town), centre(far, honest.town)) == pytest.approx(
        2_500, abs=450
    )


def test_a_forger_stands_out_of_reach_and_a_griefer_at_home(liars_of, honest):
    [(_, forger, _)] = liars_of(rssi_forgery=1)
    assert forger.hardware is ForgingBoard
    assert lie_m(forger, honest.town) > 50_000
    [(_, griefer, before)] = liars_of(griefing_witness=1)
    assert griefer.hardware is GriefingBoard
    assert griefer.antenna == before.antenna


def test_replayed_reports_are_those_of_the_nearest_station(liars_of, honest_plans):
    [(index, plan, _)] = liars_of(replayed_reports=1)
    places = [(p.antenna.east_m, p.antenna.north_m) for p in honest_plans]
    copied = plan.hardware.keywords["copied"]
    others = [math.dist(places[index], place) for place in places[:index] + places[index + 1 :]]
    assert math.dist(places[index], places[copied]) == min(others)


def test_a_cloned_key_is_one_key(liars_of):
    (_, one, _), (_, two, _) = liars_of(key_clone=1)
    assert one.key_seed == two.key_seed
    assert one.scoring_cell != two.scoring_cell


@pytest.mark.parametrize("name", ["clone_neighbour", "backfill"])
def test_withheld_readings_come_after_their_release(liars_of, name):
    [(_, plan, _)] = liars_of(**{name: 1})
    assert plan.carriage is WithholdingLink
    release = parse_rules(read_spec("rules/0001.toml")).release
    assert release.window_ms + release.grace_ms < HOLD_MS


@pytest.mark.parametrize("name", ["frozen", "forecast_copy"])
def test_made_up_readings_come_in_time_and_from_the_right_place(liars_of, honest, name):
    [(_, plan, before)] = liars_of(**{name: 1})
    assert plan.carriage is None
    assert plan.sampler is not before.sampler
    assert lie_m(plan, honest.town) < 250


def test_every_attack_is_an_option_and_only_ordinary_stations_lie(liars_of):
    options = [one.name for one in dataclasses.fields(Liars)]
    assert list(ATTACKS) == options
    everybody = liars_of(**dict.fromkeys(options, 1))
    assert sum(ATTACKS[name].stations for name in options) == len(everybody)
    assert {plan.attack for _, plan, _ in everybody} == set(options)
    assert all(7 <= index < 46 for index, _, _ in everybody)


def test_one_seed_casts_the_same_liars(honest):
    scenario = dataclasses.replace(honest, liars=Liars(ring=1, frozen=2))
    names = [[plan.attack for plan in plan_stations(scenario, seed)] for seed in (3, 3, 4)]
    assert names[0] == names[1] != names[2]


def test_more_liars_than_ordinary_stations_are_refused(honest):
    scenario = dataclasses.replace(honest, liars=Liars(ring=4))
    with pytest.raises(ScenarioInvalid, match="the liars take 40 stations, 39 may lie"):
        plan_stations(scenario, SEED)
