"""The retired rules of Helium, against their own published numbers where the data are at hand."""

import json
import math

import h3
import pytest

from simulator.baselines import helium_2026
from simulator.baselines.helium_2026 import Hotspot, Packet, Reason, WitnessReport


@pytest.mark.parametrize("metres, beyond", [(100_999, False), (101_000, True), (0, False)])
def test_the_maximum_distance_is_in_whole_kilometres(metres, beyond):
    assert helium_2026.beyond_max_distance(metres) is beyond


def test_free_space_is_an_upper_bound_alone():
    limit = helium_2026.rssi_limit_dbm(14, 12, 12, 1_000, 868_100_000)
    loss = 20 * math.log10(4 * math.pi * 1_000 * 868_100_000 / 2.998e8)
    assert limit == pytest.approx(14 + 1 + 1 - loss, abs=0.01)


def hotspot(cell, gain_ddbi=12):
    # Whatever else a hotspot is asserted to be has a default.
    return Hotspot(cell, gain_ddbi)


def test_a_level_that_free_space_allows_passes_however_weak_it_is():
    here = h3.latlng_to_cell(47.37, 8.54, 12)
    there = h3.latlng_to_cell(47.40, 8.54, 12)
    packet = Packet(b"beacon", 868_100_000, 14)
    for rssi_ddbm, reason in ((-900, None), (-1_500, None), (-300, Reason.BAD_RSSI)):
        report = WitnessReport(b"beacon", 868_100_000, rssi_ddbm)
        assert helium_2026.verify_witness(hotspot(here), packet, hotspot(there), report) is reason


def test_reward_units_saturate_at_five_for_a_ring():
    assert helium_2026.beaconer_units(4) == 1.0
    total = [helium_2026.beaconer_units(n) + n * helium_2026.witness_units(n) for n in (1, 4, 40)]
    assert total[0] == 1.25
    assert total[1] == 5.0
    assert total[2] == pytest.approx(5.0, abs=0.01)


def test_published_hex_scales_are_reproduced(shared_data):
    golden = json.loads((shared_data / "golden" / "hip17_golden.json").read_text())
    asserted = [h3.int_to_str(cell) for cell in golden["asserted_res12_cells"]]
    scales = helium_2026.density_scales(asserted)
    expected = {
        h3.int_to_str(int(cell)): scale for cell, scale in golden["expected_scale"].items()
    }
    assert len(expected) == 31
    assert {cell: scales[cell] for cell in expected} == expected


def test_density_halves_where_two_share_a_cell_and_knows_no_order():
    cell = h3.latlng_to_cell(47.37, 8.54, 12)
    far = h3.latlng_to_cell(40.0, -70.0, 12)
    scales = helium_2026.density_scales([cell, cell, far])
    assert scales[cell] == 0.5
    assert scales[far] == 1.0
    assert scales == helium_2026.density_scales([far, cell, cell])
