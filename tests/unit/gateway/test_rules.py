"""Rule files: what is read, and that nothing unknown, missing or absurd is accepted."""

import hashlib
import re
import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.emission import Constant, Geometric, Halving, LinearTaper, Table
from gateway.core.rules import RulesError, parse_rules, rules_hash

HEADING = re.compile(rb"^\[(\w+)\]$", re.MULTILINE)


@pytest.fixture(scope="module")
def text(repo_root):
    return (repo_root / "spec/rules/0001.toml").read_bytes()


def keys(text):
    """(section, key) of every value; arrays of tables say their units line by line."""
    return [
        (section, key)
        for section, table in tomllib.loads(text.decode()).items()
        for key, value in table.items()
        if not (isinstance(value, list) and isinstance(value[0], dict))
    ]


def span(text, section):
    """Where a section's text begins and ends."""
    first = text.index(b"\n[%s]\n" % section.encode()) + 1
    behind = HEADING.search(text, first + 1)
    return first, behind.start() if behind else len(text)


def changed(text, line, replacement):
    assert text.count(line) == 1
    return text.replace(line, replacement)


def with_emission(text, *lines):
    first, last = span(text, "emission")
    section = b"[emission]\n" + "\n".join(lines).encode() + b"\n"
    return text[:first] + section + text[last:]


def test_the_first_rules(text):
    rules = parse_rules(text)
    assert rules.epoch.length_ms == 24 * 60 * 60 * 1_000
    assert rules.epoch.close_after_ms == 3 * 60 * 60 * 1_000
    assert rules.slot_clock.slot_ms == 60_000
    assert rules.release.late_ppm == 250_000
    assert rules.quality.threshold_ppm == 500_000
    assert rules.verifiability.unproven_ppm == 20_000
    assert rules.slots.distance_min_m == 500
    assert rules.allocation.slopes == (100, 50, 25)
    assert rules.allocation.rate_cap == 150 * 10**18
    assert rules.allocation.weight(0x871F8A8D0FFFFFF) == 1_000
    assert rules.emission.schedule == Halving(14_400 * 10**18, 730)
    assert rules.emission.max_supply == 21_024_000 * 10**18


def test_the_rules_name_the_files_of_this_release(text, repo_root):
    files = parse_rules(text).files
    assert (
        files.quantities
        == hashlib.sha256((repo_root / "spec/quantities.toml").read_bytes()).digest()
    )
    for digest, name in (
        (files.trig, "tables/trig.csv"),
        (files.radio, "tables/radio.csv"),
        (files.regions, "regions.toml"),
    ):
        assert digest == hashlib.sha256((repo_root / "spec" / name).read_bytes()).digest()


def test_every_parameter_states_its_unit(text):
    for section, key in keys(text):
        first, last = span(text, section)
        lines = text[first:last].decode().splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{key} = "))
        comment = []
        while lines[at - 1].startswith("#"):
            at -= 1
            comment.insert(0, lines[at])
        assert " ".join(comment).startswith("# unit: "), f"{section}.{key}"
        assert len(" ".join(comment)) > 50, f"{section}.{key} gives no reason"


def test_hash_is_of_the_bytes(text):
    assert rules_hash(text) == hashlib.sha256(text).digest()
    assert rules_hash(text + b"\n") != rules_hash(text)


def test_each_missing_key_is_named(text):
    for section, key in keys(text):
        first, last = span(text, section)
        own = re.sub(rb"(?m)^" + key.encode() + rb" = .*$", b"", text[first:last])
        without = text[:first] + own + text[last:]
        with pytest.raises(RulesError, match=f"lacks the key '{key}'") as caught:
            parse_rules(without)
        assert caught.value.code == "rules_missing_key", section


def test_each_section_refuses_an_unknown_key(text):
    names = HEADING.findall(text)
    assert len(names) == 13
    for name in names:
        with pytest.raises(RulesError, match="unknown key 'slopez'") as caught:
            parse_rules(text.replace(b"[%s]" % name, b"[%s]\nslopez = 1" % name))
        assert caught.value.code == "rules_unknown_key"
    with pytest.raises(RulesError, match="unknown key 'bonus'"):
        parse_rules(text + b"\n[bonus]\n")


@pytest.mark.parametrize(
    "line, replacement",
    [
        (b"threshold_ppm = 500_000", b"threshold_ppm = 1_000_001"),
        (b"threshold_ppm = 500_000", b"threshold_ppm = true"),
        (b"threshold_ppm = 500_000", b"threshold_ppm = 0.5"),
        (b"distance_min_m = 500", b"distance_min_m = -1"),
        (b"slopes = [100, 50, 25]", b"slopes = [50, 100]"),
        (b"slopes = [100, 50, 25]", b"slopes = [100, 0]"),
        (b"slopes = [100, 50, 25]", b"slopes = []"),
        (b"unproven_pool_divisor = 20", b"unproven_pool_divisor = 0"),
        (b'rate_cap = "150000000000000000000"', b"rate_cap = 150"),
        (b'rate_cap = "150000000000000000000"', b'rate_cap = "-1"'),
        (b'rate_cap = "150000000000000000000"', b'rate_cap = "1_0"'),
        (b'rate_cap = "150000000000000000000"', '"rate_cap" = "٣"'.encode()),
        (b"bearings = 12", b"bearings = 3"),
        (b"rings_m = [300, 1_000,", b"rings_m = [300, 300,"),
        (b"rings_m = [300, 1_000,", b"rings_m = [300, 1_000.0,"),
        (b"co_located_cdb = -6_000", b"co_located_cdb = 1"),
        (b"entropy_late_ms = 30_000", b"entropy_late_ms = 30_001"),
        (b"quantity = 1    # humidity", b"quantity = 0"),
        (b'kind = "halving"', b'kind = "generous"'),
        (b'kind = "halving"', b"kind = 1"),
        (b"[files]", b"files = 1\n[unused]"),
        (b'trig = "', b'trig = "00'),
    ],
)
def test_absurd_values_are_refused(text, line, replacement):
    with pytest.raises(RulesError) as caught:
        parse_rules(changed(text, line, replacement))
    assert caught.value.code == "rules_bad_value"
    assert all((caught.value.what, caught.value.why, caught.value.do))


@pytest.mark.parametrize(
    "line, replacement, why",
    [
        (b"slot_ms = 60_000", b"slot_ms = 70_000", "no multiple"),
        (b"close_after_ms = 10_800_000", b"close_after_ms = 2_399_999", "closes before"),
    ],
)
def test_contradictions_are_refused(text, line, replacement, why):
    with pytest.raises(RulesError, match=why) as caught:
        parse_rules(changed(text, line, replacement))
    assert caught.value.code == "rules_contradiction"


@pytest.mark.parametrize(
    "lines, schedule",
    [
        (['kind = "constant"', 'amount = "7"', "epochs = 3"], Constant(7, 3)),
        (['kind = "linear"', 'initial = "7"', "epochs = 3"], LinearTaper(7, 3)),
        (
            ['kind = "table"', 'amounts = ["7", "0", "3"]', "period_epochs = 2"],
            Table((7, 0, 3), 2),
        ),
        (
            [
                'kind = "geometric"',
                'initial = "7"',
                "numerator = 1",
                "denominator = 2",
                "period_epochs = 2",
            ],
            Geometric(7, 1, 2, 2),
        ),
    ],
)
def test_every_schedule_can_be_written(text, lines, schedule):
    whole = with_emission(text, *lines, "decimals = 18", 'max_supply = "28"')
    assert parse_rules(whole).emission.schedule == schedule


def test_a_schedule_above_max_supply_is_refused(text):
    supply = b'max_supply = "21024000000000000000000000"'
    whole = changed(text, supply, b'max_supply = "21023000000000000000000000"')
    with pytest.raises(RulesError, match="more than max_supply") as caught:
        parse_rules(whole)
    assert caught.value.code == "rules_supply"


def test_cell_weights(text):
    section = b'\n[[allocation.cell_weights]]\ncell = "%s"\nweight = 2_000\n'
    head, tail = text.split(b"[emission]")
    good = section % b"871f8ed95ffffff"
    rules = parse_rules(head + good + b"[emission]" + tail)
    assert rules.allocation.weight(0x871F8ED95FFFFFF) == 2_000
    assert rules.allocation.weight(0x871F8ED94FFFFFF) == 1_000
    for cell in (b"871F8ED95FFFFFF", b"891f8ed951bffff", b"871f8ed95fffff", b"", b"0x1", b"-1"):
        with pytest.raises(RulesError, match="cannot have a weight"):
            parse_rules(head + section % cell + b"[emission]" + tail)
    with pytest.raises(RulesError, match="cannot have a weight"):
        parse_rules(head + good + good + b"[emission]" + tail)


@given(st.binary(max_size=200))
@example(b"\xff")
@example(b"a = " + b"[" * 5_000)
@example(b"a = " + b"9" * 5_000)
def test_any_bytes_give_a_rules_error(junk):
    with pytest.raises(RulesError) as caught:
        parse_rules(junk)
    assert caught.value.code.startswith("rules_")


@given(st.data())
def test_a_mutated_file_is_parsed_or_refused(text, data):
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.integers(0, 255))
    mutated = text[:at] + bytes([byte]) + text[at + 1 :]
    try:
        rules = parse_rules(mutated)
    except RulesError as error:
        refused = error.code
    else:
        refused = ""
        assert rules.allocation.carry_reentry_divisor > 0
    assert refused == "" or refused.startswith("rules_")
