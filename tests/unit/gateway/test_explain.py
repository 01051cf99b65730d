"""An explanation adds up to the paid integer, down to what each penalty cost."""

import json

import pytest

from gateway.core.allocator import points
from gateway.core.explain import decimal, explain, find_station
from gateway.core.ids import device_name
from gateway.core.manifest import decode_manifest
from gateway.core.quantities import parse_quantities
from gateway.core.rules import parse_rules
from gateway.core.station_table import decode_stations, encode_stations
from tests.unit.gateway.epoch_kit import CELLS, DAY, HOUR_MS, OWNER, QUANTITIES, RULES, Net

# Cells of one reward cell, farther apart than a slot.
NEIGHBOURS = (0x891F8ED951BFFFF, 0x891F8ED957BFFFF, 0x891F8ED959BFFFF)
SMALL_POOL = RULES.replace(
    b'initial = "14400000000000000000000"', b'initial = "144000000000000000001"'
)
RULES_1 = parse_rules(SMALL_POOL)
KNOWN = parse_quantities(QUANTITIES)


@pytest.fixture(scope="module")
def closed():
    net = Net(rules=SMALL_POOL)
    boards = {
        "proven": net.station("proven", cell=NEIGHBOURS[0], anchored=True),
        "second": net.station("second", cell=NEIGHBOURS[1], anchored=True),
        "unproven": net.station("unproven", cell=NEIGHBOURS[2], owner=None),
        "standby": net.station("standby", cell=CELLS[1]),
        "poor": net.station("poor", cell=CELLS[3]),
    }
    net.send(boards["proven"].day())
    net.send(boards["second"].day(value=lambda k: 9_999 if k % 9 == 0 else 1_500 + k % 7))
    net.send(boards["unproven"].day(value=lambda _: 1_500))
    net.send(boards["standby"].day())
    net.send(boards["poor"].day(), delay_ms=HOUR_MS)
    outcome = net.close()
    # As an auditor reads them: from the bundle's sections.
    rows = decode_stations(encode_stations(outcome.stations))
    manifest = decode_manifest(outcome.manifest)
    trees = {
        name: explain(manifest, find_station(rows, board.kid), RULES_1, KNOWN)
        for name, board in boards.items()
    }
    return boards, trees, {row.device: row for row in rows}


def recomputed(tree):
    """The payment from the numbers that the explanation shows, and from nothing else."""
    n = {
        name: value if isinstance(value, list) else int(value)
        for name, value in tree["pay"]["data"]["numbers"].items()
    }
    pool_share = n["P"] * n["w"] * n["g(U)"] * n["u"] // (n["Z"] * n["U"])
    full = n["w0"] * n["slopes"][0] * n["segment"]
    values = {
        "pool_share": pool_share,
        "rate_cap": n["cap"] * n["w"] * n["g(U)"] * n["u"] // (full * n["U"]),
    }
    if n["U'"] and "unproven_share" in {term["name"] for term in tree["pay"]["data"]["terms"]}:
        part = n["P"] // n["divisor"] * n["w"] * n["g(U')"] * n["u"]
        values["unproven_share"] = part // (n["Z'"] * n["U'"])
    return values


@pytest.mark.parametrize("name", ["proven", "second", "unproven"])
def test_the_terms_recompute_to_the_paid_integer(closed, name):
    boards, trees, rows = closed
    tree, paid = trees[name], rows[boards[name].kid].paid
    values = recomputed(tree)
    assert {term["name"]: int(term["value"]) for term in tree["pay"]["data"]["terms"]} == values
    assert (
        min(values.values()) == paid == int(tree["outcome"]["paid"]) == int(tree["pay"]["value"])
    )
    assert values[tree["pay"]["data"]["bound"]] == paid > 0
    numbers = tree["pay"]["data"]["numbers"]
    assert points(numbers["U"], RULES_1.allocation) == int(numbers["g(U)"])
    assert tree["usefulness"]["u_ppm"] == (
        tree["usefulness"]["quality_ppm"] * tree["usefulness"]["verifiability_ppm"] // 1_000_000
    )


def test_the_bound_is_told_by_the_verdict(closed):
    _, trees, _ = closed
    assert trees["proven"]["pay"]["data"]["bound"] == "pool_share"
    assert trees["proven"]["outcome"]["verdict"] == "paid_pool_share"
    assert trees["unproven"]["outcome"]["verdict"] == "no_owner"
    assert trees["unproven"]["outcome"]["held"] == trees["unproven"]["outcome"]["paid"]


def test_quality_adds_up_to_its_costs(closed):
    _, trees, _ = closed
    for tree in trees.values():
        for quality in tree["quality"]["quantities"]:
            assert quality["quality_ppm"] == quality["credit_ppm"] // quality["expected"]
            costs = [quality["missing_cost_ppm"], *(p["cost_ppm"] for p in quality["penalties"])]
            # Each cost is rounded down on its own.
            explained = quality["quality_ppm"] + sum(costs)
            assert 1_000_000 - len(costs) - 1 <= explained <= 1_000_000


def test_a_penalty_says_rule_value_limit_cost_and_remedy(closed):
    _, trees, _ = closed
    penalties = trees["second"]["quality"]["quantities"][0]["penalties"]
    (penalty,) = [p for p in penalties if p["verdict"] == "out_of_range"]
    assert (penalty["first"]["value"], penalty["first"]["limit"]) == ("99.99", "60.00")
    assert penalty["first"]["unit"] == "Cel"
    assert len(penalty["first"]["message"]) == 64
    assert (penalty["readings"], penalty["cost_ppm"]) == (16, 16 * 1_000_000 // 144)
    assert penalty["do"] == "Check the sensor and its wiring."
    (flat,) = trees["unproven"]["quality"]["quantities"][0]["penalties"]
    assert (flat["verdict"], flat["first"]["unchanged_min"]) == ("flat_line", 360)
    (late,) = trees["poor"]["quality"]["quantities"][0]["penalties"]
    assert late["first"]["received_ms"] >= late["first"]["released_ms"]


def test_a_standby_names_who_stands_closer(closed):
    boards, trees, _ = closed
    slot = trees["standby"]["slot"]
    assert slot["blocked_by"] == device_name(boards["proven"].kid)
    assert (slot["distance_m"], slot["distance_min_m"]) == (328, 500)
    assert trees["standby"]["pay"] is None
    assert trees["poor"]["slot"]["decision"].startswith("no candidate")


def test_it_is_json_down_to_the_messages(closed):
    boards, trees, rows = closed
    for name, tree in trees.items():
        assert json.loads(json.dumps(tree)) == tree
        row = rows[boards[name].kid]
        assert tree["inputs"]["messages"] == row.messages
        assert tree["inputs"]["samples"] == [one.hex() for one in row.samples]
    assert trees["proven"]["epoch"] == DAY
    assert trees["proven"]["outcome"]["owner"] == OWNER.hex()


def test_a_stranger_has_no_row(closed):
    _, _, rows = closed
    assert find_station(rows.values(), bytes(16)) is None


@pytest.mark.parametrize(
    "value, exponent, text",
    [
        (0, 0, "0"),
        (5, -2, "0.05"),
        (-5, -1, "-0.5"),
        (1500, -2, "15.00"),
        (-123, -3, "-0.123"),
        (12, 3, "12000"),
    ],
)
def test_decimal_text_is_exact(value, exponent, text):
    assert decimal(value, exponent) == text
