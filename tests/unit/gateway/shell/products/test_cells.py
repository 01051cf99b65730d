"""Cells as products use them, compared with the H3 library."""

import h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.shell.products import cells

# A cell that holds a pole has no outline on the plane of the degrees.
POINTS = st.tuples(st.floats(-85, 85), st.floats(-180, 180))


def number(text: str) -> int:
    return int(text, 16)


@given(POINTS, st.integers(5, 8))
def test_a_cell_holds_its_descendants_paths_and_no_others(point, resolution):
    coarse = h3.latlng_to_cell(*point, resolution)
    first, last = cells.paths(number(coarse))
    children = h3.cell_to_children(coarse, min(resolution + 2, 8))
    assert all(first <= cells.path(number(child)) <= last for child in children)
    ring = set(h3.grid_disk(coarse, 1)) - {coarse}
    for neighbour in ring:
        for child in h3.cell_to_children(neighbour, 8):
            assert not first <= cells.path(number(child)) <= last


def test_the_base_cell_is_as_fine_as_products_are_or_the_station_says():
    fine = h3.latlng_to_cell(52.5, 13.4, 9)
    base = cells.base_cell(number(fine))
    assert base == number(h3.cell_to_parent(fine, 8))
    assert cells.parents(base) == [number(h3.cell_to_parent(fine, r)) for r in (8, 7, 6, 5)]
    coarse = number(h3.latlng_to_cell(52.5, 13.4, 7))
    assert cells.base_cell(coarse) == coarse
    assert cells.parents(coarse) == [coarse, *cells.parents(base)[2:]]
    # A coarse station is in no finer cell.
    child = number(h3.cell_to_center_child(f"{coarse:x}", 8))
    first, last = cells.paths(child)
    assert not first <= cells.path(coarse) <= last


@pytest.mark.parametrize(
    "text", ["891f1d48947ffff", "841f1d5ffffffff", "8fffffffffffffff", "871f1d489fffffe", "0"]
)
def test_what_is_no_product_cell_is_refused(text):
    assert cells.parse_cell(text) is None


def test_a_product_cell_is_read():
    assert cells.parse_cell("871f1d489ffffff") == 0x871F1D489FFFFFF


@given(POINTS, st.integers(5, 8))
def test_a_point_meets_its_cell_and_a_far_one_does_not(point, resolution):
    latitude, longitude = point
    cell = cells.cell_at(longitude, latitude, resolution)
    assert cell == number(h3.latlng_to_cell(latitude, longitude, resolution))
    x, y = cells.centre(cell)
    tiny = [(x - 1e-7, y - 1e-7), (x + 1e-7, y - 1e-7), (x, y + 1e-7), (x - 1e-7, y - 1e-7)]
    assert cells.meets(cell, tiny)
    far = [(a + 90 if a < 0 else a - 90, -b) for a, b in tiny]
    assert not cells.meets(cell, far)


def test_a_thin_bar_across_a_cell_meets_it():
    """No corner of either lies in the other."""
    cell = 0x871F1D489FFFFFF
    x, y = cells.centre(cell)
    bar = [(x - 1, y), (x + 1, y), (x + 1, y + 1e-5), (x - 1, y + 1e-5), (x - 1, y)]
    assert cells.meets(cell, bar)
    above = [(a, b + 0.5) for a, b in bar]
    assert not cells.meets(cell, above)


def test_a_polygon_around_everything_meets_everything():
    world = [(-180, -90), (180, -90), (180, 90), (-180, 90), (-180, -90)]
    assert cells.meets(0x871F1D489FFFFFF, world)


def test_a_cell_across_the_antimeridian_is_in_one_piece_and_met_from_both_sides():
    cell = cells.cell_at(180.0, 10.0, 5)
    xs = [x for x, _ in cells.outline(cell)]
    assert max(xs) - min(xs) < 1
    east = [(179.9, 9), (180, 9), (180, 11), (179.9, 11), (179.9, 9)]
    west = [(-180, 9), (-179.9, 9), (-179.9, 11), (-180, 11), (-180, 9)]
    assert cells.meets(cell, east)
    assert cells.meets(cell, west)
