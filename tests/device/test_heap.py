"""What a station at work takes of the heap, and that it stays so."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.bench_heap import HEAP_BAR, SIGNATURE_BAR, measure_heap, signature_free_bytes

NodeModules = Callable[[str], Path]
pytestmark = pytest.mark.slow
# Measured: 89 to 95 kB, at work 73 to 79 kB; 168 kB as written (docs/decisions/0018). Runs of one
# program lie up to 8 kB apart, so these lie that far above them: more would be a step back. They
# are no goal: the bar itself is HEAP_BAR, and the bench says that it is not met.
LIVE_BYTES_MAX = 104_000
AT_WORK_BYTES_MAX = 88_000
MINUTES = 12


@pytest.fixture(scope="module")
def small(node_modules: NodeModules) -> dict:
    return measure_heap(node_modules("device"), MINUTES)


def bar(result, name):
    (found,) = [bar for bar in result["bars"] if bar["name"] == name]
    return found


def test_a_station_at_work_keeps_to_its_budget(small):
    heap = bar(small, "application_heap_bytes")
    assert heap["value"] <= LIVE_BYTES_MAX
    assert small["live_bytes_at_work"] <= AT_WORK_BYTES_MAX
    assert heap["bar"] == HEAP_BAR == 65_536
    # It worked: hello, claim, readings and the day's commitments came, signed and in order.
    assert {"0", "1", "2", "10"} <= small["messages_by_kind"].keys()
    assert small["messages_by_kind"]["1"] >= MINUTES - 2


def test_in_romfs_it_fits(small):
    """Code that is read in place, on a board with a partition for it."""
    assert small["in_romfs"]["live_bytes_max"] <= HEAP_BAR


def test_the_build_time_pass_is_worth_a_third(small, node_modules: NodeModules):
    plain = measure_heap(node_modules("device"), 3, minified=False)
    before = bar(plain, "application_heap_bytes")["value"]
    assert bar(small, "application_heap_bytes")["value"] < before * 2 / 3


def test_a_signature_needs_no_more_than_16_kib_free():
    assert signature_free_bytes() <= SIGNATURE_BAR
