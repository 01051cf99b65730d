"""What of a place is public, and the owner's file that holds the rest."""

import hashlib
import json
import stat

import h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.board.place import Place, keep, kept, parse_place, place_file
from gateway.shell.errors import Code, OperatorFault
from simulator.run import place_commitment

DEVICE = "abcdefghijklmnopqrstuvwxya"


def fault_of(act) -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        act()
    return caught.value


def test_the_commitment_is_of_the_salt_and_the_place_as_text() -> None:
    place = parse_place("52.52, 13.405")
    assert place.text == "52.520000,13.405000"
    assert place.commitment == hashlib.sha256(place.salt + b"52.520000,13.405000").digest()
    assert place.commitment == place_commitment(place.salt, 52.52, 13.405)
    assert f"{place.cell:x}" == h3.latlng_to_cell(52.52, 13.405, 9)
    assert len(place.salt) == 32
    assert parse_place("52.52,13.405").salt != place.salt


@pytest.mark.parametrize(
    "text,written",
    [
        ("-0.0000001,0", "0.000000,0.000000"),
        ("-0.5,-179.9999999", "-0.500000,-180.000000"),
        ("+90,180", "90.000000,180.000000"),
        ("1.0000005,1.0000015", "1.000000,1.000002"),
    ],
)
def test_six_decimals_and_no_minus_before_zero(text: str, written: str) -> None:
    assert parse_place(text).text == written


@given(
    st.integers(-90_000_000, 90_000_000),
    st.integers(-180_000_000, 180_000_000),
    st.sampled_from([7, 9]),
)
def test_any_place_survives_its_file(
    tmp_path_factory, lat: int, lon: int, resolution: int
) -> None:
    path = place_file(tmp_path_factory.getbasetemp() / "places", DEVICE)
    place = Place(lat, lon, b"s" * 32, resolution)
    coarse = resolution == 7
    keep(path, DEVICE, place)
    assert kept(path) == place
    again = parse_place(place.text, coarse=coarse)
    assert again.same_as(place)
    assert again.cell == place.cell
    assert h3.get_resolution(f"{place.cell:x}") == place.resolution


def test_the_file_is_its_owners_alone_and_says_all(tmp_path) -> None:
    path = place_file(tmp_path / "new", DEVICE)
    place = parse_place("52.52,13.405", coarse=True)
    keep(path, DEVICE, place)
    keep(path, DEVICE, place)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert json.loads(path.read_text()) == {
        "format": "cairn-place-1",
        "device": DEVICE,
        "lat": "52.520000",
        "lon": "13.405000",
        "salt": place.salt.hex(),
        "scoring_cell": f"{place.cell:x}",
        "place_commitment": place.commitment.hex(),
    }


def test_the_sentence_names_the_cell_and_not_the_place() -> None:
    for coarse in (False, True):
        place = parse_place("52.523456,13.412345", coarse=coarse)
        text = place.public()
        assert f"{place.cell:x}" in text
        assert "PUBLIC" in text
        assert "52.5" not in text
        assert "13.4" not in text
        assert ("unproven" in text) == coarse


@pytest.mark.parametrize(
    "text",
    [
        "",
        "52.5",
        "52.5,13.4,1",
        "north,east",
        "91,0",
        "0,181",
        "nan,0",
        "1e2,3",
        "52,5;13,4",
        "\u0665,\u0665",
    ],
)
def test_what_is_no_place(text: str) -> None:
    assert fault_of(lambda: parse_place(text)).code == Code.PLACE_INVALID


def test_a_damaged_file_is_no_other_place(tmp_path) -> None:
    path = place_file(tmp_path, DEVICE)
    assert kept(path) is None
    keep(path, DEVICE, parse_place("52.52,13.405"))
    good = json.loads(path.read_text())
    for change in (
        {"lat": "52.520001"},
        {"salt": "00" * 32},
        {"salt": 5},
        {"format": "x"},
        {"lon": ""},
    ):
        path.write_text(json.dumps(good | change))
        assert fault_of(lambda: kept(path)).code == Code.PLACE_INVALID
    for text in ("", "[]", "{", "null"):
        path.write_text(text)
        assert fault_of(lambda: kept(path)).code == Code.PLACE_INVALID
    path.unlink()
    path.mkdir()
    assert fault_of(lambda: kept(path)).code == Code.PLACE_INVALID


def test_a_file_that_cannot_be_written_is_said(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    path = place_file(tmp_path / "file", DEVICE)
    act = lambda: keep(path, DEVICE, parse_place("1,2"))  # noqa: E731
    assert fault_of(act).code == Code.FILE_UNWRITABLE
