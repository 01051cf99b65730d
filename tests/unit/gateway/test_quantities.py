"""spec/quantities.toml is read whole, and nothing else passes for it."""

import tomllib

import pytest

from gateway.core.quantities import QuantitiesError, parse_quantities
from tests.unit.gateway.epoch_kit import QUANTITIES


def test_every_quantity_of_the_specification_is_read():
    known = parse_quantities(QUANTITIES)
    tables = tomllib.loads(QUANTITIES.decode())["quantity"]
    assert {code: q.name for code, q in known.items()} == {t["code"]: t["name"] for t in tables}
    pressure = known[2]
    assert (pressure.resolution, pressure.low, pressure.high) == (-1, 3_000, 11_000)
    assert (pressure.step_per_min, pressure.step_cap) == (8, 150)
    assert (pressure.flat_suspect_min, pressure.flat_fail_min) == (240, 1_440)


@pytest.mark.parametrize(
    "old, new",
    [
        (b"[[quantity]]", b"[[other]]"),
        (b"code = 0\n", b"code = 1\n"),
        (b'name = "humidity"', b'name = "temperature"'),
        (b"code = 0\n", b""),
        (b"code = 0\n", b"code = 0\nmore = 1\n"),
        (b"range = [-4500, 6000]", b"range = [6000, -4500]"),
        (b"range = [-4500, 6000]", b"range = [-4500]"),
        (b"range = [-4500, 6000]", b"range = [-4500, 6000.0]"),
        (b"step_cap = 1500", b"step_cap = 0"),
        (b"step_per_min = 300", b"step_per_min = -300"),
        (b"resolution = -2", b"resolution = -12"),
        (b'unit = "Cel"', b"unit = 1"),
        (b"code = 0\n", b"code = true\n"),
        (b"code = 0\n", b"code = \xff\n"),
    ],
)
def test_a_changed_file_is_refused(old, new):
    assert old in QUANTITIES
    with pytest.raises(QuantitiesError) as caught:
        parse_quantities(QUANTITIES.replace(old, new, 1))
    assert caught.value.code == "bad_quantities"
    assert caught.value.do


def test_an_empty_file_is_refused():
    with pytest.raises(QuantitiesError):
        parse_quantities(b"")
