"""Scenario files: shipped ones are sound, and every mistake is named."""

import re
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest

from simulator.scenario import (
    Scenario,
    ScenarioInvalid,
    load_scenario,
    parse_scenario,
    shipped_names,
)

MINIMAL = """
name = "x"
description = "y"
start = 2026-03-02
[fleet]
stations = 10
"""


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_scenarios_load_and_carry_their_name(name):
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.start_ms % 86_400_000 == 0


def test_demo_meets_its_brief():
    demo = load_scenario("demo")
    fleet = demo.fleet
    assert (fleet.stations, fleet.anchored, demo.days) == (100, 10, 1)
    messages = fleet.stations * 86_400 // fleet.sample_interval_s // fleet.samples_per_message
    assert messages > 10_000
    assert demo.faults.corrupt_ppm > 0
    assert demo.faults.gateway_crash_minutes
    assert fleet.without_owner in (1, 2)


def test_path_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL)
    scenario = load_scenario(str(path))
    assert scenario.fleet.stations == 10
    assert scenario.source == str(path)


def test_source_is_no_key():
    with pytest.raises(ScenarioInvalid, match="unknown key 'source'"):
        parse_scenario('source = "x"\n' + MINIMAL, "mine.toml")


@pytest.mark.parametrize(
    "change, message",
    [
        ("statoins = 3", r"unknown key 'fleet\.statoins'; did you mean 'stations'"),
        ("[faults]\ndorp_ppm = 3", r"unknown key 'faults\.dorp_ppm'; did you mean 'drop_ppm'"),
        ("[faluts]\n", r"unknown key 'faluts'; did you mean 'faults'"),
        ("[faults]\ndrop_ppm = 1_000_001", r"'faults\.drop_ppm' must lie in 0\.\.1000000"),
        ("[faults]\ndrop_ppm = -1", r"must lie in"),
        ("[faults]\ndrop_ppm = 0.5", r"must be a int, not 0\.5"),
        ("[faults]\ndrop_ppm = true", r"must be a int, not True"),
        ("[faults]\ngateway_crash_minutes = 3", r"must be a list of integers"),
        ("[town]\nlat_deg = nan", r"must be a float"),
        ("anchored = 8\nwithout_owner = 3", r"must not exceed the 10 stations"),
        ("[errors]\nbias_ppm = 900_000\nstuck_ppm = 200_000", r"add up to more"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(ScenarioInvalid, match=message):
        parse_scenario(MINIMAL + change, "mine.toml")


@pytest.mark.parametrize(
    "text, message",
    [
        ("name = ", "not TOML"),
        ('name = "x"\ndescription = "y"\nstart = 2026-03-02\n', "key 'fleet' is missing"),
        (MINIMAL.replace("2026-03-02", "2026-03-02T00:00:00Z"), "'start' must be a date"),
        (MINIMAL.replace('"x"', "3"), "'name' must be a str"),
        (MINIMAL.replace("[fleet]\nstations = 10", "fleet = 3"), "'fleet' must be a table"),
        (MINIMAL.replace("stations = 10", ""), "'fleet.stations' is missing"),
    ],
)
def test_broken_files_are_named(text, message):
    with pytest.raises(ScenarioInvalid, match=message):
        parse_scenario(text, "mine.toml")


@pytest.mark.parametrize(
    "change, message",
    [
        ('[radio]\nregion = "EU8"', r"'radio\.region' is 'EU8'; did you mean 'EU868'"),
        ('[radio]\nsurroundings = "twon"', r"did you mean 'town'"),
        ("[liars]\nring = 1", r"'liars\.ring' lies by radio, and 'radio\.region' is 'none'"),
        ("[liars]\nrings = 1", r"unknown key 'liars\.rings'; did you mean 'ring'"),
    ],
)
def test_mistakes_about_radio_are_named(change, message):
    with pytest.raises(ScenarioInvalid, match=message):
        parse_scenario(MINIMAL + "\n" + change, "mine.toml")


def test_a_region_wants_a_fleet_that_fits_into_the_air():
    crowd = MINIMAL.replace("stations = 10", "stations = 4001") + '\n[radio]\nregion = "EU868"'
    with pytest.raises(ScenarioInvalid, match="at most 4000 can have radios"):
        parse_scenario(crowd, "mine.toml")


def test_only_a_region_makes_boards_start_early():
    radio = parse_scenario(MINIMAL + '\n[radio]\nregion = "US915"', "mine.toml")
    assert (radio.region, radio.lead_ms) == (2, 7_200_000)
    assert parse_scenario(MINIMAL, "mine.toml").lead_ms == 0


def test_unknown_name_is_answered_with_a_suggestion():
    with pytest.raises(ScenarioInvalid, match="did you mean 'storm'"):
        load_scenario("strom")
    with pytest.raises(ScenarioInvalid, match="known are demo"):
        load_scenario("xyzzy")


def test_missing_file_is_named():
    with pytest.raises(ScenarioInvalid, match=r"absent\.toml cannot be read"):
        load_scenario("absent.toml")


def keys(kind, prefix=""):
    hints = get_type_hints(kind)
    for spec in fields(kind):
        if not spec.metadata.get("key", True):
            continue
        if is_dataclass(hints[spec.name]):
            yield from keys(hints[spec.name], prefix + spec.name + ".")
        else:
            yield prefix + spec.name


def test_reference_lists_every_key_and_no_other(repo_root):
    text = (repo_root / "docs" / "simulator.md").read_text()
    reference = text.partition("## Scenario reference")[2]
    listed = re.findall(r"(?m)^\| `([a-z_.0-9]+)` \|", reference)
    assert sorted(listed) == sorted(keys(Scenario))


def test_shipped_scenarios_are_all_described(repo_root):
    text = (repo_root / "docs" / "simulator.md").read_text()
    described = re.findall(r"(?m)^\| `([a-z]+)` \|", text.partition("## What is checked")[0])
    assert sorted(described) == shipped_names()


def test_defaults_in_the_reference_are_the_real_ones(repo_root):
    text = (repo_root / "docs" / "simulator.md").read_text()
    rows = re.findall(r"(?m)^\| `([a-z_0-9]+)\.([a-z_0-9]+)` \|[^|]*\| ([^|]+) \|", text)
    assert len(rows) > 30
    minimal = parse_scenario(MINIMAL, "mine.toml")
    for table, key, shown in rows:
        real = getattr(getattr(minimal, table), key)
        if isinstance(real, str):
            assert real == shown, key
        else:
            assert list(real) == [] if shown == "[]" else real == float(shown.replace(",", "")), (
                key
            )
