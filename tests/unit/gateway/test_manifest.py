"""The manifest and the station table: one encoding each, and nothing else is read."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canonical import MalformedError
from gateway.core.cbor_profile import encode, load
from gateway.core.epoch_inputs import Totals
from gateway.core.manifest import (
    FIELDS,
    decode_manifest,
    digest,
    encode_manifest,
    manifest_differences,
    manifest_json,
)
from gateway.core.station_table import decode_stations, encode_stations
from tests.unit.gateway.epoch_kit import (
    CELLS,
    DAY,
    HOUR_MS,
    QUANTITIES,
    RULES,
    TABLES,
    Net,
)


@pytest.fixture(scope="module")
def closed():
    """Three stations: anchored, one that stands by beside it, one with penalties and no owner."""
    net = Net()
    anchored = net.station("anchored", anchored=True)
    beside = net.station("beside", cell=CELLS[1])
    poor = net.station("poor", cell=CELLS[2], owner=None)
    net.send(anchored.day())
    net.send(beside.day())
    net.send(poor.day(value=lambda k: 9_999 if k % 9 == 0 else 1_500 + k), delay_ms=HOUR_MS)
    return net.close_with_inputs()


def test_the_manifest_names_every_input(closed):
    inputs, outcome = closed
    manifest = decode_manifest(outcome.manifest)
    assert outcome.manifest_hash == digest(outcome.manifest)
    assert manifest.epoch == DAY
    assert manifest.rules == digest(RULES)
    assert manifest.quantities == digest(QUANTITIES)
    assert dict(manifest.tables) == {name: digest(text) for name, text in TABLES.items()}
    assert manifest.genesis == digest(inputs.genesis)
    assert manifest.opening == digest(b"")
    assert manifest.closing == digest(outcome.closing)
    assert manifest.stations == digest(encode_stations(outcome.stations))
    assert (manifest.admission, manifest.operator) == (
        inputs.admission_range,
        inputs.operator_range,
    )
    assert manifest.previous == bytes(32)
    assert manifest.simulated == 1
    assert manifest.totals == outcome.totals
    assert manifest.payout_root == outcome.tree.root


def test_encoding_is_one_to_one(closed):
    _, outcome = closed
    assert encode_manifest(decode_manifest(outcome.manifest)) == outcome.manifest
    assert decode_stations(encode_stations(outcome.stations)) == outcome.stations


def test_json_holds_every_field_and_amounts_as_text(closed):
    document = json.loads(json.dumps(manifest_json(decode_manifest(closed[1].manifest))))
    assert tuple(document) == FIELDS
    assert document["totals"]["emission"] == "14400000000000000000000"
    assert document["previous"] == "00" * 32
    assert document["admission"]["first"] == 0
    assert document["tables"] == {name: digest(text).hex() for name, text in TABLES.items()}


def test_differences_are_named_in_order(closed):
    ours = decode_manifest(closed[1].manifest)
    theirs = replace(ours, epoch=1, totals=Totals(0, 0, 0, 0, 0, 0, 0))
    assert manifest_differences(ours, theirs) == ["epoch", "totals"]
    assert manifest_differences(ours, ours) == []


@pytest.mark.parametrize("position", range(len(FIELDS) + 1))
def test_a_field_of_another_shape_is_refused(closed, position):
    fields = load(closed[1].manifest)
    fields[position] = [[]]
    with pytest.raises(MalformedError):
        decode_manifest(encode(fields))
    del fields[position]
    with pytest.raises(MalformedError):
        decode_manifest(encode(fields))


@given(data=st.data())
def test_mutated_documents_are_refused_or_mean_something_else(closed, data):
    _, outcome = closed
    for encoded, read, write in (
        (outcome.manifest, decode_manifest, encode_manifest),
        (encode_stations(outcome.stations), decode_stations, encode_stations),
    ):
        changed = bytearray(encoded)
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
        try:
            value = read(bytes(changed))
        except MalformedError:
            continue
        assert write(value) == bytes(changed)
