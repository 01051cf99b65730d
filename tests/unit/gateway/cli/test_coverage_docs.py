"""docs/coverage.md says of every verdict what the software says, and of every bar what it is."""

import re

import pytest

from gateway.cli.bench_coverage_attacks import HARMS
from gateway.cli.bench_coverage_measure import LIES
from gateway.core.verdicts import ADVICE, Verdict
from tests.unit.gateway.cli.test_bench_coverage import BARS

COVERAGE = [verdict for verdict in Verdict if Verdict.HEARD <= verdict <= Verdict.SILENT]


@pytest.fixture(scope="module")
def rows(repo_root):
    """Table rows by the code in their first cell."""
    text = (repo_root / "docs" / "coverage.md").read_text("utf-8")
    found = re.findall(r"(?m)^\| `(\w+)` \| (.*) \|$", text)
    assert len({name for name, _ in found}) == len(found)
    return {name: cells.split(" | ") for name, cells in found}


@pytest.mark.parametrize("verdict", [*COVERAGE, Verdict.CELL_TOO_COARSE])
def test_every_verdict_has_its_meaning_and_advice(rows, verdict):
    what, do = ADVICE[verdict]
    assert rows[verdict.name.lower()] == [what, do or "Nothing."]


def test_every_measured_figure_has_its_row(rows):
    for name in BARS:
        value, _, met = rows[name]
        assert re.fullmatch(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]|-", value)
        assert met in {"yes", "**no**"}
    for name in (*(lie.name for lie in LIES), *HARMS):
        assert name in rows
