"""`cairn coverage` on a small network that ran in this process: it shows what was settled."""

import json
import re
from collections import Counter
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.coverage_text import path_words, radio_name
from gateway.core.coverage.table import decode_coverage
from gateway.core.ids import device_name
from gateway.shell.network import load_network
from gateway.shell.store.sqlite import SqliteStore

pytestmark = pytest.mark.slow

EPOCH = 20514
SCENARIO = """
name = "hamlet"
description = "Nine stations with radios, three of them audited, one of them elsewhere."
start = 2026-03-02

[fleet]
stations = 9
anchored = 3
owners = 9
sample_interval_s = 900
samples_per_message = 1

[town]
lat_deg = 52.52
lon_deg = 13.405
radius_m = 3_000
spacing_m = 900
height_m = 40

[radio]
region = "EU868"

[liars]
location_lie_10km = 1
"""


def cairn(*arguments: object):
    return CliRunner().invoke(main, [str(one) for one in arguments])


def answer(*arguments: object):
    """The one JSON object on stdout."""
    done = cairn(*arguments, "--json")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("hamlet")
    (base / "hamlet.toml").write_text(SCENARIO)
    data = base / "data"
    done = cairn(
        "fleet", "run", "--in-process", "--scenario", base / "hamlet.toml", "--data", data
    )
    assert done.exit_code == 0, done.output
    return data


@pytest.fixture(scope="module")
def stored(folder):
    network = load_network(folder)
    store = SqliteStore.open(folder / "cairn.db", network.network_id)
    try:
        yield store.epoch(EPOCH)
    finally:
        store.close()


@pytest.fixture(scope="module")
def settled(stored):
    return decode_coverage(stored.coverage)


@pytest.fixture(scope="module")
def shown(folder, settled):
    """By name, what `show` says of every station."""
    names = [device_name(one.device) for one in settled.stations]
    return {name: answer("coverage", "show", name, "--data", folder) for name in names}


def test_the_network_is_worth_looking_at(settled):
    assert len(settled.stations) == 9
    assert sum(one.hops is not None for one in settled.stations) >= 7
    assert {link.verdict.name for link in settled.links} >= {"HEARD", "SILENT"}


def test_show_gives_the_settled_numbers(settled, shown):
    for one in settled.stations:
        told = shown[device_name(one.device)]
        assert told["epoch"] == EPOCH
        for key in ("expected", "heard", "witnesses", "listening_hours", "hops", "v_ppm", "u_ppm"):
            assert told[key] == getattr(one, key)
        assert told["place"]["odds_milli"] == one.place.odds_milli
        assert {z["witness"]: z["z_milli"] for z in told["place"]["z_milli"]} == {
            device_name(witness): z for witness, z in one.place.zs_milli
        }


def test_beacons_worked_out_again_add_up_to_the_settled_links(shown):
    """What the messages say of each beacon sums up to what the table says of each witness."""
    for told in shown.values():
        assert len(told["beacons"]) == told["expected"] > 0
        heard, silent = Counter(), Counter()
        for beacon in told["beacons"]:
            assert beacon["slot"] == beacon["time_ms"] // 60_000
            heard.update(e["witness"] for e in beacon["heard"] if e["verdict"] == "heard")
            silent.update(beacon["silent"])
        assert heard == {one["witness"]: one["heard"] for one in told["links"] if one["heard"]}
        assert silent == {one["witness"]: one["silent"] for one in told["links"] if one["silent"]}


def test_a_link_has_two_ends(shown):
    as_beaconer = [link for told in shown.values() for link in told["links"]]
    as_witness = [link for told in shown.values() for link in told["witness_of"]]
    assert sorted(map(json.dumps, as_beaconer)) == sorted(map(json.dumps, as_witness))


def test_show_says_it_in_words(folder, shown):
    name, told = next((n, t) for n, t in shown.items() if t["hops"] == 1)
    text = cairn("coverage", "show", name, "--data", folder, "--epoch", EPOCH).stdout
    assert text.startswith(f"Coverage {told['u_ppm'] / 10_000:g} % useful, 100 % verifiable")
    assert f"beacons           {told['heard']} of {told['expected']} heard" in text
    assert "1 step from an audited station" in text
    assert f"Beacons: {told['expected']}" in text
    for link in told["links"]:
        assert link["witness"] in text
    assert len(re.findall(r"(?m)^\d\d:\d\d:\d\d +\d{8} +\d+\.\d\d dBm", text)) == told["expected"]


def test_every_verdict_on_the_page_has_its_advice(folder, shown):
    for name, told in shown.items():
        text = cairn("coverage", "show", name, "--data", folder).stdout
        for one in (*told["findings"], *told["links"]):
            assert one["what"] in text
            assert one["do"] in text
        assert told["place"]["what"] in text


def test_links_are_all_or_those_of_one_station(folder, settled):
    every = answer("coverage", "links", "--data", folder)
    assert every["epoch"] == EPOCH
    assert [(one["beaconer"], one["witness"], one["verdict"]) for one in every["links"]] == [
        (device_name(one.beaconer), device_name(one.witness), one.verdict.name.lower())
        for one in settled.links
    ]
    name = device_name(settled.stations[0].device)
    own = answer("coverage", "links", "--data", folder, "--device", name)["links"]
    assert own == [one for one in every["links"] if name in (one["beaconer"], one["witness"])]
    assert 0 < len(own) < len(every["links"])
    text = cairn("coverage", "links", "--data", folder, "--epoch", EPOCH).stdout
    assert len(text.splitlines()) > len(every["links"])
    assert "The witness heard this beacon." in text


def test_geojson_has_every_cell_and_every_link_with_a_sound(folder, settled, tmp_path):
    out = tmp_path / "map.geojson"
    told = answer("coverage", "map", "--data", folder, "--out", out)
    with_sound = sum(one.heard > 0 for one in settled.links)
    assert told == {"epoch": EPOCH, "file": str(out), "stations": 9, "links": with_sound}
    features = json.loads(out.read_text())["features"]
    kinds = Counter(one["properties"]["kind"] for one in features)
    assert kinds == {"station": 9, "link": with_sound}
    for one in features:
        shape = one["geometry"]
        points = shape["coordinates"][0] if shape["type"] == "Polygon" else shape["coordinates"]
        # RFC 7946: longitude first, and a ring ends where it begins.
        assert all(13 < lon < 14 and 52 < lat < 53 for lon, lat in points)
        assert (points[0] == points[-1]) == (shape["type"] == "Polygon")
    cells = {one["properties"]["station"]: one["properties"] for one in features[:9]}
    for one in settled.stations:
        properties = cells[device_name(one.device)]
        assert properties["beacons"] == one.expected
        assert properties["place"] == one.place.verdict.name.lower()


def test_svg_stands_alone_and_tells_by_more_than_colour(folder, settled, tmp_path):
    out = tmp_path / "map.svg"
    assert cairn("coverage", "map", "--data", folder, "--out", out).exit_code == 0
    text = out.read_text()
    picture = ET.fromstring(text)  # noqa: S314 - our own file
    space = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f".//{space}polygon")) == 9
    titles = [one.text for one in picture.iter(f"{space}title")]
    assert titles[0].startswith(f"Coverage of epoch {EPOCH}: 9 stations")
    for one in settled.stations:
        assert any(title.startswith(device_name(one.device)) for title in titles[1:])
    letters = [one.text for one in picture.findall(f".//{space}g/{space}text")]
    assert len(letters) == 9
    assert set(letters) <= {"W", "P", "U", "!"}
    refused = sum(one.place.verdict.name == "PLACE_IMPLAUSIBLE" for one in settled.stations)
    assert letters.count("!") == refused
    assert re.findall(r"(?:href|src|url)\b", text) == []


def test_explain_names_the_witnesses(folder, shown):
    name, told = next((n, t) for n, t in shown.items() if t["hops"] == 1)
    text = cairn("explain", name, EPOCH, "--data", folder).stdout
    assert f"{told['heard']} of {told['expected']} heard" in text
    for link in told["links"]:
        assert link["witness"] in text
    assert f"cairn coverage show {name} --epoch {EPOCH} --data {folder}" in text
    assert "Pay for data:" in text
    assert "Pay for coverage:" in text


@pytest.mark.parametrize(
    "arguments, code, word",
    [
        (["show", "short"], 2, "base32"),
        (["show", "a" * 26], 2, "station_unknown"),
        (["links", "--device", "a" * 26], 2, "station_unknown"),
        (["links", "--epoch", "1"], 2, "epoch_missing"),
        (["map", "--out", "map.bmp"], 2, ".geojson, .svg"),
        (["map"], 2, "--out"),
        (["map", "--out", "/dev/null/map.svg"], 3, "file_unwritable"),
    ],
)
def test_what_cannot_be_shown_is_said(folder, arguments, code, word):
    done = cairn("coverage", *arguments, "--data", folder)
    assert done.exit_code == code, done.output
    assert word in done.stderr
    assert done.stdout == ""


def test_an_epoch_from_before_coverage_has_none(folder, stored, monkeypatch):
    old = stored.__class__(
        **{name: getattr(stored, name) for name in stored.__slots__ if name != "coverage"}
    )
    monkeypatch.setattr("gateway.cli.coverage_look.last_epoch", lambda _: old)
    done = cairn("coverage", "links", "--data", folder)
    assert done.exit_code == 2
    assert "has no coverage proofs" in done.stderr


def test_words():
    assert path_words(0) == "audited itself"
    assert path_words(2) == "2 steps from an audited station"
    assert [radio_name(number) for number in (0, 1, 2, 9)] == ["LoRa", "ESP-NOW", "BLE", "9"]
