"""Whatever bytes come, a reader of releases says a value or a Refusal, and no forgery passes."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from gateway.core import releases
from gateway.core.cbor_profile import encode
from gateway.core.cose import Role, sign1, signature_input
from gateway.core.ids import device_id
from gateway.core.releases import (
    Accepted,
    Bundle,
    IndexRow,
    Manifest,
    Refusal,
    ReleaseFile,
    Signature,
    Standing,
    Trust,
)

NETWORK = bytes(range(8))
ROOT = SigningKey(hashlib.sha256(b"root").digest())
KEYS = [SigningKey(hashlib.sha256(b"release %d" % n).digest()) for n in range(4)]
BOARD = Standing("bytecode")
HASHES = st.binary(min_size=32, max_size=32)
NUMBERS = st.integers(1, 2**53 - 1)
PARTS = st.text("abcXYZ019_-", min_size=1, max_size=12)
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join).filter(releases.is_file_name)
ARCHITECTURES = st.text("abcz09", min_size=1, max_size=16).filter(releases.is_architecture)
ROWS = st.builds(IndexRow, ARCHITECTURES, st.integers(1, releases.BUNDLE_BYTES_MAX), HASHES)
INDEXES = st.lists(ROWS, min_size=1, max_size=8, unique_by=lambda row: row.architecture)
# What a CBOR reader may give, in the shapes and out of them.
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.integers(0, 9), inner),
    max_leaves=12,
)


@st.composite
def manifests(draw) -> Manifest:
    names = draw(st.sets(NAMES, max_size=8)) | {releases.PROGRAM}
    sizes = st.integers(0, releases.FILE_BYTES_MAX)
    files = [ReleaseFile(name, draw(sizes), draw(HASHES)) for name in sorted(names)]
    text = draw(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
    return Manifest(draw(NUMBERS), text[:32], draw(ARCHITECTURES), tuple(files))


def sign(key: SigningKey, payload: bytes, network: bytes = NETWORK) -> Signature:
    kid = device_id(bytes(key.verify_key))
    message = signature_input(kid, network, Role.RELEASE, payload)
    return Signature(kid, key.sign(message).signature)


def trusted(threshold: int, keys: list[SigningKey], serial: int = 1) -> bytes:
    trust = Trust(serial, threshold, tuple(bytes(key.verify_key) for key in keys))
    kid = device_id(bytes(ROOT.verify_key))
    payload = releases.trust_payload(trust)
    return sign1(lambda data: ROOT.sign(data).signature, kid, NETWORK, Role.ROOT, payload)[0]


def bundle(manifest: Manifest, signers: list[SigningKey], threshold: int, trust=None) -> bytes:
    payload = releases.manifest_payload(manifest)
    signatures = sorted(sign(key, payload) for key in signers)
    made = Bundle(trust or trusted(threshold, KEYS[:3]), payload, tuple(signatures))
    return releases.encode_bundle(made)


def judged(data: bytes, standing: Standing = BOARD) -> Accepted | Refusal:
    return releases.judge(data, standing, NETWORK, bytes(ROOT.verify_key))


@given(manifests())
def test_a_manifest_is_read_as_it_was_written(manifest):
    assert releases.manifest_fault(manifest) == ""
    assert releases.parse_manifest(releases.manifest_payload(manifest)) == manifest


@given(INDEXES)
def test_an_index_is_read_as_it_was_written(rows):
    assert releases.parse_index(releases.encode_index(rows)) == tuple(sorted(rows))


@given(st.binary(max_size=300) | ANYTHING.map(encode))
def test_no_bytes_make_a_reader_raise(data):
    assert isinstance(releases.parse_bundle(data), Bundle | Refusal)
    assert isinstance(releases.parse_manifest(data), Manifest | Refusal)
    assert isinstance(releases.parse_index(data), tuple | Refusal)
    assert isinstance(judged(data), Refusal)
    assert isinstance(releases.open_trust(data, NETWORK, bytes(ROOT.verify_key)), Refusal)
    found = releases.parse_trust(data)
    assert found is None or releases.trust_payload(found) == data


@given(ANYTHING, ANYTHING, ANYTHING)
def test_no_shape_of_a_bundle_makes_the_judge_raise(trust, manifest, signatures):
    parts = [part if isinstance(part, bytes) else encode(part) for part in (trust, manifest)]
    assert isinstance(judged(encode([*parts, signatures])), Refusal)


@given(manifests(), st.integers(1, 3), st.sets(st.integers(0, 3)))
@settings(max_examples=60, deadline=None)
def test_enough_different_trusted_keys_make_a_release(manifest, threshold, chosen):
    """KEYS[3] is a stranger."""
    data = bundle(manifest, [KEYS[number] for number in chosen], threshold)
    verdict = judged(data, Standing(manifest.architecture))
    if len(chosen - {3}) >= threshold:
        assert isinstance(verdict, Accepted)
        assert verdict.manifest == manifest
        assert len(set(verdict.signers)) == threshold
    else:
        assert verdict is Refusal.TOO_FEW_SIGNATURES


@given(manifests(), NUMBERS, NUMBERS)
@settings(max_examples=60, deadline=None)
def test_a_board_goes_forward_only(manifest, running, confirmed):
    standing = Standing(manifest.architecture, running, confirmed)
    verdict = judged(bundle(manifest, KEYS[:2], 2), standing)
    if manifest.counter > running and manifest.counter > confirmed:
        assert isinstance(verdict, Accepted)
    else:
        assert verdict is Refusal.ROLLED_BACK


GOOD = bundle(
    Manifest(
        7,
        "0.2.0",
        "bytecode",
        tuple(
            ReleaseFile(name, size, hashlib.sha256(name.encode()).digest())
            for name, size in (("application.mpy", 90_000), ("cairn/station.mpy", 3_000))
        ),
    ),
    KEYS[:2],
    2,
)


def test_the_bundle_that_is_mutated_below_is_good():
    assert isinstance(judged(GOOD), Accepted)


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_no_single_bit_of_a_bundle_may_change(bit):
    for place in range(len(GOOD)):
        spoiled = bytearray(GOOD)
        spoiled[place] ^= 1 << bit
        assert isinstance(judged(bytes(spoiled)), Refusal), place


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_mutated_bundles_are_refused(data):
    """Cut, doubled, overwritten: whatever comes out is refused, or is the bundle itself."""
    first = data.draw(st.integers(0, len(GOOD)))
    last = data.draw(st.integers(first, len(GOOD)))
    between = data.draw(st.binary(max_size=64) | st.just(GOOD[first:last] * 2))
    made = GOOD[:first] + between + GOOD[last:]
    assert made == GOOD or isinstance(judged(made), Refusal)


def test_every_cut_of_a_bundle_is_refused():
    for size in range(len(GOOD)):
        assert judged(GOOD[:size]) is Refusal.MALFORMED


@given(st.text(max_size=60))
def test_no_name_leads_out_of_a_slot(text):
    if releases.is_file_name(text):
        assert not text.startswith("/")
        assert ".." not in text.split("/")
        assert text.isascii()
        assert "\\" not in text
        assert "\x00" not in text


@given(st.text(max_size=40))
def test_any_hello_text_is_read_or_not_ours(text):
    found = releases.read_shown(text)
    if found is not None and found.counter is not None:
        assert releases.shown_text(*found) == text
