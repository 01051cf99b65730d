"""Properties of the board's codec, signer and verifier, each against another implementation."""

import io

import cbor2
import ed25519_zebra
from cairn import cbor, cose
from cairn.ed25519 import Signer
from cairn.ed25519_verify import verify
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

NETWORK = bytes(range(8))

integers = st.integers(-(2**63), 2**64 - 1) | st.integers(-(2**17), 2**17)
leaves = st.none() | integers | st.binary(max_size=40) | st.text(max_size=20)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.integers(0, 23), inner, max_size=4)
    ),
    max_leaves=20,
)
bounded = values.filter(lambda value: depth(value) <= cbor.DEPTH_MAX)
keys32 = st.binary(min_size=32, max_size=32)


def depth(value):
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 0


@st.composite
def damaged(draw, source):
    """Bytes of source after a few edits; often still nearly right."""
    data = bytearray(draw(source))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["put", "insert", "cut", "drop"]))
        if kind == "put" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif kind == "insert":
            data.insert(at, draw(st.integers(0, 255)))
        elif kind == "cut":
            del data[at:]
        elif at < len(data):
            del data[at]
    return bytes(data)


def decoded(data):
    """(value, None) or (None, code)."""
    try:
        return cbor.decode(data), None
    except cbor.CborError as error:
        return None, error.code


def check_decoding(data):
    value, code = decoded(data)
    if code is None:
        assert cbor.encode(value) == data
        assert depth(value) <= cbor.DEPTH_MAX
        assert cbor2.loads(data) == value
    else:
        assert code in str(cbor.CborError.__doc__)


@given(bounded)
def test_round_trip_and_same_bytes_as_cbor2(value):
    data = cbor.encode(value)
    assert data == cbor2.dumps(value, canonical=True)
    assert cbor.decode(data) == value == cbor2.loads(data)


@given(damaged(bounded.map(cbor.encode)))
def test_damaged_bytes_never_crash_and_are_deterministic_if_accepted(data):
    check_decoding(data)


@given(st.binary(max_size=40))
def test_any_bytes_never_crash_and_are_deterministic_if_accepted(data):
    check_decoding(data)


@given(leaves, st.lists(st.sampled_from([lambda v: [v], lambda v: {4: v}]), max_size=60))
def test_depth_is_counted_from_outside(value, wrappers):
    for wrap in wrappers:
        value = wrap(value)
    _, code = decoded(cbor.encode(value))
    assert code == (None if len(wrappers) <= cbor.DEPTH_MAX else "too_deep")


@given(bounded, st.integers(0, 3))
def test_what_another_encoder_may_write_is_refused_unless_deterministic(value, style):
    stream = io.BytesIO()
    encoder = cbor2.CBOREncoder(stream, indefinite_containers=style & 1 == 1)
    encoder.encode([value, 1.5] if style & 2 else [value])
    data = stream.getvalue()
    got, code = decoded(data)
    assert (code is None) == (data == cbor.encode([value]))
    assert code is not None or got == [value]


@given(keys32, st.binary(max_size=300), st.sampled_from([b"", bytes(32), bytes(range(32))]))
def test_signer_equals_libsodium(seed, message, blind):
    theirs = SigningKey(seed)
    ours = Signer(seed, blind)
    assert ours.public_key == bytes(theirs.verify_key)
    assert ours.sign(message, b"", blind) == theirs.sign(message).signature


@given(keys32, st.binary(max_size=100), keys32)
def test_hedged_signatures_verify_and_keep_the_key(seed, message, hedge):
    signer = Signer(seed)
    signature = signer.sign(message, hedge)
    assert signature != signer.sign(message)
    assert ed25519_zebra.ed_verify(signature, message, signer.public_key)


@given(keys32, st.binary(max_size=600), st.integers(0, 1023))
def test_verifier_equals_zebra(seed, message, bit):
    theirs = SigningKey(seed)
    signature = theirs.sign(message).signature
    public_key = bytes(theirs.verify_key)
    if bit < 768:  # one flipped bit in signature or key; the rest stay honest
        joined = bytearray(signature + public_key)
        joined[bit // 8] ^= 1 << bit % 8
        signature, public_key = bytes(joined[:64]), bytes(joined[64:])
    expected = ed25519_zebra.ed_verify(signature, message, public_key)
    assert verify(public_key, message, signature) is expected
    assert expected or bit < 768


@given(keys32, keys32, st.binary(max_size=64))
def test_verifier_equals_zebra_on_arbitrary_points(public_key, commitment, message):
    signature = commitment + bytes(32)
    expected = ed25519_zebra.ed_verify(signature, message, public_key)
    assert verify(public_key, message, signature) is expected


@st.composite
def messages(draw):
    signer = Signer(draw(st.sampled_from([bytes(32), bytes(range(32))])))
    kid = cose.kid_of(signer.public_key)
    payload = draw(st.binary(max_size=200))
    return cose.sign1(signer.sign, kid, NETWORK, "device", payload)[0]


def opened_or_code(data):
    try:
        return cose.open1(data, NETWORK, "device"), None
    except cose.CoseError as error:
        return None, error.code


@given(damaged(messages()))
def test_damaged_envelopes_never_crash_and_reassemble_if_opened(data):
    opened, code = opened_or_code(data)
    if opened is None:
        assert code in f"{cose.CoseError.__doc__} {cbor.CborError.__doc__}"
        return
    again, id32 = cose.sign1(
        lambda _: opened.signature, opened.kid, NETWORK, "device", opened.payload
    )
    assert again == data
    assert id32 == cose.message_id(opened.to_be_signed)
