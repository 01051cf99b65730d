"""The gateway judges the releases of spec/vectors/release_* as they say."""

import json
from types import SimpleNamespace

import pytest

from gateway.core.ids import device_id
from gateway.core.releases import (
    Accepted,
    IndexRow,
    Refusal,
    Shown,
    Standing,
    encode_bundle,
    encode_index,
    judge,
    manifest_payload,
    parse_bundle,
    parse_index,
    parse_manifest,
    read_shown,
    shown_text,
    trust_payload,
)
from tests.spec.vector_files import FOLDER


def load(folder: str) -> list[SimpleNamespace]:
    paths = sorted((FOLDER / folder).glob("*.json"))
    return [SimpleNamespace(name=path.stem, **json.loads(path.read_text())) for path in paths]


BUNDLES, INDEXES, TEXTS = map(load, ("release_bundle", "release_index", "release_shown"))


def name_of(case: SimpleNamespace) -> str:
    return case.name


def standing(case: SimpleNamespace) -> Standing:
    return Standing(case.architecture, case.running, case.confirmed, case.trust_serial)


def test_every_outcome_of_a_bundle_has_a_case():
    expected = {case.expect for case in BUNDLES}
    assert expected == {"ok", *(set(Refusal) - {Refusal.OTHER_CONTENT})}
    assert {case.expect for case in INDEXES} == {"ok", "malformed"}


@pytest.mark.parametrize("case", BUNDLES, ids=name_of)
def test_a_bundle_is_judged(case):
    data, network_id = bytes.fromhex(case.bytes), bytes.fromhex(case.network_id)
    judged = judge(data, standing(case), network_id, bytes.fromhex(case.root_key))
    if case.expect != "ok":
        assert judged == Refusal(case.expect)
        return
    assert isinstance(judged, Accepted)
    trust, manifest, signers = judged
    assert (trust.serial, trust.threshold) == (case.serial, case.threshold)
    assert (manifest.counter, manifest.version) == (case.counter, case.version)
    assert [[one.name, one.size, one.sha256.hex()] for one in manifest.files] == case.files
    assert [kid.hex() for kid in signers] == case.signers
    assert set(signers) <= {device_id(key) for key in trust.keys}


@pytest.mark.parametrize("case", [c for c in BUNDLES if c.expect == "ok"], ids=name_of)
def test_what_was_read_is_written_again(case):
    data = bytes.fromhex(case.bytes)
    bundle = parse_bundle(data)
    assert not isinstance(bundle, Refusal)
    assert encode_bundle(bundle) == data
    manifest = parse_manifest(bundle.manifest)
    assert not isinstance(manifest, Refusal)
    assert manifest_payload(manifest) == bundle.manifest
    judged = judge(
        data, standing(case), bytes.fromhex(case.network_id), bytes.fromhex(case.root_key)
    )
    assert isinstance(judged, Accepted)
    assert trust_payload(judged.trust) in bundle.trust


@pytest.mark.parametrize("case", INDEXES, ids=name_of)
def test_an_index_is_read(case):
    data = bytes.fromhex(case.bytes)
    found = parse_index(data)
    if case.expect != "ok":
        assert found == Refusal(case.expect)
        return
    rows = tuple(IndexRow(name, size, bytes.fromhex(digest)) for name, size, digest in case.rows)
    assert found == rows
    assert encode_index(rows) == data


@pytest.mark.parametrize("case", TEXTS, ids=name_of)
def test_a_hello_text_is_read(case):
    expected = None
    if case.version is not None:
        expected = Shown(case.version, case.counter, case.failed)
    assert read_shown(case.text) == expected
    if expected is not None and case.counter is not None:
        assert shown_text(case.version, case.counter, case.failed) == case.text
