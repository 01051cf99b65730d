"""The page of `cairn explain` on a real closed epoch: it says what the tree says, and adds up."""

import re
from fractions import Fraction

import pytest

from gateway.cli import explain_text_quality
from gateway.cli.explain_text import print_explanation
from gateway.cli.explain_text_pay import exact_tokens
from gateway.core.coverage.table import decode_coverage
from gateway.core.explain import explain
from gateway.core.manifest import decode_manifest
from gateway.core.quantities import parse_quantities
from gateway.core.rules import parse_rules
from tests.unit.gateway.epoch_kit import (
    CELLS,
    DAY,
    HOUR_MS,
    OWNER,
    QUANTITIES,
    RULES,
    START_MS,
    Net,
)

KNOWN = parse_quantities(QUANTITIES)
UNITS = {quantity.name: quantity.unit for quantity in KNOWN.values()}
BAD_KS = {3: 9_999, 50: 4_500}
NAMES = ["proven", "standby", "unproven", "poor", "silent", "ownerless"]


def flawed(k: int) -> int:
    """Out of range once, a jump up and back, and in the evening a sensor that stands still."""
    return 1_500 if k > 90 else BAD_KS.get(k, 1_500 + k % 50)


@pytest.fixture(scope="module")
def trees():
    net = Net()
    boards = {
        "proven": net.station("proven", anchored=True),
        "standby": net.station("standby", cell=CELLS[1]),
        "unproven": net.station("unproven", cell=CELLS[2]),
        "poor": net.station("poor", cell=CELLS[3]),
        "silent": net.station("silent", cell=CELLS[4]),
        "ownerless": net.station("ownerless", cell=CELLS[5], owner=None),
    }
    net.send(boards["proven"].day())
    net.send(boards["standby"].day()[:100])
    net.send(boards["unproven"].day(value=flawed))
    fault = boards["unproven"].readings(START_MS + HOUR_MS, [[0, 0, -2, [None], [[0, 1]]]])
    # Never sent, so the fault that follows it stands behind a hole.
    boards["unproven"].reading(START_MS + HOUR_MS, 1_500)
    after = boards["unproven"].readings(START_MS + HOUR_MS + 1, [[0, 0, -2, [None], [[0, 1]]]])
    net.send([(START_MS + HOUR_MS, fault), (START_MS + HOUR_MS + 1, after)])
    net.send(boards["poor"].day(), delay_ms=HOUR_MS)
    net.send(boards["ownerless"].day())
    outcome = net.close()
    manifest, rules = decode_manifest(outcome.manifest), parse_rules(RULES)
    rows = {row.device: row for row in outcome.stations}
    coverage = decode_coverage(outcome.coverage)
    return {
        name: explain(manifest, rows[boards[name].kid], rules, KNOWN, coverage) for name in boards
    }


@pytest.fixture
def page(trees, capsys: pytest.CaptureFixture[str]):
    def show(name: str) -> str:
        print_explanation(trees[name], UNITS, " --data d")
        return capsys.readouterr().out

    return show


def cells(line: str) -> list[str]:
    return re.split(r"  +", line.strip())


def table(text: str, first_column: str) -> list[dict[str, str]]:
    """The rows of the plain table whose heading begins so; cells may be empty."""
    lines = text.splitlines()
    (start,) = [i for i, line in enumerate(lines) if line.startswith(f"{first_column}  ")]
    names = cells(lines[start])
    body = lines[start + 1 :]
    rows = body[: body.index("")]
    return [dict(zip(names, cells(row), strict=len(names) == len(cells(row)))) for row in rows]


@pytest.mark.parametrize(
    "name, first_line, advice",
    [
        (
            "proven",
            f"150.0000 tokens paid to 0x{OWNER.hex()}: paid_rate_cap",
            "No reading was lost: nothing to mend.",
        ),
        (
            "standby",
            f"Nothing paid to 0x{OWNER.hex()}: standby_distance",
            "Move at least the slot distance away, or stay as a spare.",
        ),
        (
            "poor",
            f"Nothing paid to 0x{OWNER.hex()}: low_quality",
            "See the quality per quantity: missing, late or flagged readings.",
        ),
        (
            "silent",
            f"Nothing paid to 0x{OWNER.hex()}: no_readings",
            "Look at the station and its connection.",
        ),
        (
            "ownerless",
            "3.0000 tokens held for the station, which has no owner yet: no_owner",
            "Set the owner on the board.",
        ),
        (
            "unproven",
            f"2.7811 tokens paid to 0x{OWNER.hex()}: paid_rate_cap",
            (
                "flat_line cost most: Check whether the sensor is stuck or disconnected. "
                "Ask the operator for an audit: an unproven station counts 2 %."
            ),
        ),
    ],
)
def test_it_begins_with_pay_reason_and_advice(page, trees, name, first_line, advice):
    lines = page(name).splitlines()
    assert lines[0] == first_line
    assert lines[1] == f"why         {trees[name]['outcome']['what']}"
    assert lines[2] == f"what to do  {advice}"


@pytest.mark.parametrize("name", NAMES)
def test_every_term_can_be_computed_from_what_is_shown(page, trees, name):
    text, pay = page(name), trees[name]["pay"]
    sums = re.findall(r"(?m)^ +  = ([\d /*()]+)$", text)
    if pay is None:
        assert sums == []
        assert "\nPay" not in text
        return
    # Nobody of this network has a radio, so there is nothing to compute of coverage.
    assert "Pay for coverage: nothing" in text
    part = pay["data"]
    assert len(sums) == len(part["terms"])
    for shown, term in zip(sums, part["terms"], strict=True):
        value = eval(re.sub(r"(\d+)", r"Fraction(\1)", shown), {"Fraction": Fraction})  # noqa: S307
        # One floor, and in B one more for the part of the pool.
        assert 0 <= value * 10**18 - int(term["value"]) < 2
    (marked,) = [line for line in text.splitlines() if line.startswith("-> ")]
    assert cells(marked)[1] == part["bound"].replace("_", " ")
    assert text.count(part["value"]) == 1
    letters = {row["letter"]: row["value"] for row in table(text, "letter")}
    used = {
        letter for term in part["terms"] for letter in re.findall(r"[A-Za-z]\S*", term["formula"])
    }
    assert {"P", "u", "U", "Z", "g(U)"} <= set(letters)
    assert letters["u"] == str(trees[name]["usefulness"]["u_ppm"])
    assert ("Z'" in letters) == any("Z'" in letter for letter in used)


@pytest.mark.parametrize("name", NAMES)
def test_the_quality_table_is_that_of_the_tree(page, trees, name):
    (shown,) = table(page(name), "quantity")
    (quality,) = trees[name]["quality"]["quantities"]
    assert shown["quantity"] == quality["quantity"]
    assert shown["every"] == "600 s"
    counted = ("expected", "full", "missing")
    assert [int(shown[key]) for key in counted] == [quality[key] for key in counted]
    windows = {one["verdict"]: str(one["windows"]) for one in quality["penalties"]}
    assert {key: shown[key] for key in windows} == windows
    expected, full, missing = (quality[key] for key in counted)
    assert expected == full + missing + sum(map(int, windows.values()))
    assert Fraction(shown["quality"].removesuffix(" %")) * 10_000 == quality["quality_ppm"]


@pytest.mark.parametrize("name", NAMES)
def test_usefulness_is_the_product_in_percent(page, trees, name):
    words = r"Usefulness of its data: (\S+) % = (\S+) % quality x (\S+) % verifiability"
    found = re.search(words, page(name))
    useful, quality, verifiability = (Fraction(one) * 10_000 for one in found.groups())
    assert useful == quality * verifiability // 1_000_000
    assert trees[name]["usefulness"]["u_ppm"] == useful


def test_every_penalty_shows_value_limit_time_message_and_cost(page, trees):
    shown = {row["rule"]: row for row in table(page("unproven"), "rule")}
    (quality,) = trees["unproven"]["quality"]["quantities"]
    assert set(shown) == {one["verdict"] for one in quality["penalties"]}
    for one in quality["penalties"]:
        row = shown[one["verdict"]]
        assert row["quantity"] == "temperature"
        assert Fraction(row["cost"].removesuffix(" %")) * 10_000 == one["cost_ppm"]
        assert one["first"]["message"].startswith(row["message"])
    seen = {
        rule: (row["first (UTC)"], row["observed"], row["limit"]) for rule, row in shown.items()
    }
    assert seen == {
        "out_of_range": ("00:35:00", "99.99 Cel", "at most 60.00 Cel"),
        "step": ("08:25:00", "45.00 Cel, a change of 29.51 Cel", "at most 15.00 Cel"),
        "flat_line": ("21:15:00", "15.00 Cel for 360 min", "less than 360 min"),
        "sensor_fault": ("01:00:00", "fault 1: bus did not answer", "none"),
    }


def test_faults_are_called_what_the_protocol_calls_them(repo_root):
    protocol = (repo_root / "spec" / "protocol.md").read_text("utf-8")
    (codes,) = re.findall(r"each indexes a null\. Codes: ([^.]+)\.", protocol)
    named = [one.split(" ", 1) for one in " ".join(codes.split()).split(", ")]
    ours = enumerate(explain_text_quality._FAULTS, 1)
    assert named == [[str(code), name] for code, name in ours]


def test_missing_and_late_readings_have_their_lines(page):
    (missing,) = [line for line in page("standby").splitlines() if line.startswith("missing  t")]
    assert cells(missing) == ["missing", "temperature", "30.5555 %"]
    (late,) = table(page("poor"), "rule")
    assert late["observed"] == "received 10-04 01:05:00"
    assert late["limit"] == "before 10-04 00:40:00"


def test_a_standby_is_told_by_whom_how_far_and_by_which_rule(page, trees):
    text = page("standby")
    assert f"Slot: standby, 328 m from {trees['proven']['station']}\n" in text
    assert "Slots are at least 500 m apart" in text
    assert "first epoch in that class, then by id" in text
    assert "A day of 25 % quality is below the threshold of 50 %." in page("poor")
    assert "A day of 0 % quality is below" in page("silent")


def test_findings_come_with_advice(page, trees):
    (hole,) = [one for one in trees["unproven"]["findings"] if one["verdict"] == "hole"]
    shown = {row["finding"]: row["count"] for row in table(page("unproven"), "finding")}
    assert shown == {one["verdict"]: str(one["count"]) for one in trees["unproven"]["findings"]}
    advice = re.escape(f"{hole['what']} {hole['do']}")
    assert re.search(rf"(?m)^hole +{advice}$", page("unproven"))
    assert "Findings: none" in page("silent")


def test_the_owner_learns_how_to_claim(page, trees):
    text = page("proven")
    total = exact_tokens(int(trees["proven"]["outcome"]["owner_cumulative"]))
    assert total == "152.78115"
    assert "152.7811 tokens earned with all stations" in text
    assert f"cairn claim proof 0x{OWNER.hex()} --epoch {DAY} --data d\n" in text
    assert "cairn claim proof" not in page("ownerless")
    assert "3.0000 tokens are held for the station" in page("ownerless")


def test_the_page_of_a_silent_station_in_full(page, trees):
    station = trees["silent"]["station"]
    assert (
        page("silent")
        == f"""\
Nothing paid to 0x{OWNER.hex()}: no_readings
why         No evaluable reading of the day was admitted.
what to do  Look at the station and its connection.
station     {station}
epoch       20000, the UTC day 2024-10-04
messages    2 of that day
cell        891f8ed9003ffff, paid in 871f8ed90ffffff

Slot: none
A day of 0 % quality is below the threshold of 50 %.

Usefulness of its data: 0 % = 0 % quality x 2 % verifiability
Unproven: nobody independent could have contradicted it yet.
Independent witnesses with a path to an audited station change that; agreeing peers change a part \
of it,
where at least one such witness heard the station.

Coverage: 0 % = 0 % usefulness x 2 % verifiability
beacons        0 of 0 heard
listened       0 of 24 hours, provably
witnesses      none that counts
path           none to an audited station
today's proof  unproven, 2 %
place          not tested

Each beacon: cairn coverage show {station} --epoch 20000 --data d

Quality: 0 %, the mean of 1 (threshold 50 %)
quantity     every  expected  full  missing   quality
temperature  600 s       144     0      144  0.0000 %

Lost, in percent of the quantity's own quality
rule     quantity           cost  first (UTC)  observed  limit  message
missing  temperature  100.0000 %

missing  No reading came in these windows. Look at the station's power, clock and connection.

Findings: none
No message missing without account, none forked, cloned, late or misplaced.

Owner: 0x{OWNER.hex()}
152.7811 tokens earned with all stations, up to and including this epoch.
The proof: cairn claim proof 0x{OWNER.hex()} --epoch 20000 --data d

Everything, with whole message ids: the same command with --json.
"""
    )


@pytest.mark.parametrize(
    "amount, text",
    [(0, "0"), (1, "0.000000000000000001"), (15 * 10**17, "1.5"), (10**21, "1000")],
)
def test_tokens_with_every_digit(amount, text):
    assert exact_tokens(amount) == text
