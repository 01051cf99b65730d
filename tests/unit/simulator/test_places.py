"""Layout: spacing, close pairs, and the cells that the protocol expects."""

import math

import h3
import pytest

from simulator.places import METRES_PER_DEGREE, Town, TownTooSmall, lay_out, scoring_cell
from simulator.seeds import stream


def distance_m(one, two):
    north = (one.lat_deg - two.lat_deg) * METRES_PER_DEGREE
    east = (one.lon_deg - two.lon_deg) * METRES_PER_DEGREE
    return math.hypot(north, east * math.cos(math.radians(one.lat_deg)))


def nearest_m(places, index):
    return min(distance_m(places[index], p) for i, p in enumerate(places) if i != index)


def test_stations_keep_their_distance_but_for_the_close_ones():
    places = lay_out(stream(1, "places"), Town(spacing_m=900), 100, 12)
    assert all(
        min(distance_m(places[i], p) for p in places[:88] if p is not places[i]) > 890
        for i in range(88)
    )
    assert all(nearest_m(places, i) < 310 for i in range(88, 100))


def test_demo_sized_town_spans_reward_cells():
    places = lay_out(stream(1, "places"), Town(), 100, 12)
    cells = [scoring_cell(p.lat_deg, p.lon_deg) for p in places]
    assert all(h3.get_resolution(h3.int_to_str(cell)) == 9 for cell in cells)
    assert len({h3.cell_to_parent(h3.int_to_str(cell), 7) for cell in cells}) >= 10


def test_crowded_town_is_refused():
    with pytest.raises(TownTooSmall, match="widen radius_m"):
        lay_out(stream(1, "places"), Town(radius_m=500, spacing_m=900), 5, 0)
