"""The gateway's decoder under hostile bytes: no exception, and only what re-encodes is accepted.

The firmware's codec, written by others, is the second opinion on what the profile is.
"""

import cbor2
from cairn import cbor as board_cbor
from cairn import cose as board_cose
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.admission import AdmissionState, Arrival, Arrivals, Rejected, step
from gateway.core.cbor_profile import encode, load, violation
from gateway.core.cose import Envelope, Role, open_envelope, sign1
from gateway.core.genesis import Genesis
from gateway.core.operator import OperatorEvent, open_operator_event
from gateway.core.registry import Policy
from gateway.core.statements import KeyStatement, open_statement
from gateway.core.verdicts import Verdict
from gateway.core.wire import Decoded, decode
from tests.spec.vector_files import CASES
from tests.unit.gateway.stations import NOON_MS, Signer

NETWORK = CASES[0].network_id
SEEDS = sorted({case.bytes for case in CASES if len(case.bytes) < 1_000})
# Heads, tags, breaks and lengths that a parser may stumble over.
TOKENS = [
    *(bytes([head]) for head in (0, 0x18, 0x1B, 0x20, 0x3B, 0x40, 0x5F, 0x60, 0x78, 0x7F, 0x80)),
    *(bytes([head]) for head in (0x81, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xD2, 0xF4, 0xF6, 0xF7)),
    *(bytes([head]) for head in (0xF8, 0xFB, 0xFF)),
    *(b"\x18\x01", b"\x9b" + b"\xff" * 8, b"\xa1\x01\x01", b"\xa2\x01\x01\x01\x01"),
    *(b"\xd2\x84\x55", b"\xd8\x1c", b"\xd9\xd9\xf7", b"\xf9\x00\x00", b"\x58\x40"),
]


@st.composite
def mutated(draw, seeds=SEEDS):
    """A vector with a few edits: bits flipped, bytes cut, doubled, swapped for tokens."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        to = draw(st.integers(at, min(len(data), at + 24)))
        new = draw(
            st.sampled_from([b"", data[at:to] * 2, *TOKENS])
            | st.binary(max_size=9)
            | st.sampled_from(seeds).map(lambda other: other[:40])
        )
        if draw(st.booleans()):
            data = data[:at] + new + data[to:]
        elif at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
    return data


def rewritten(opened):
    """What cbor2 makes of an opened envelope."""
    header = cbor2.dumps({1: -8, 4: opened.kid}, canonical=True)
    item = cbor2.CBORTag(18, [header, {}, opened.payload, opened.signature])
    return cbor2.dumps(item, canonical=True)


@given(mutated() | st.binary(max_size=300))
def test_only_what_re_encodes_is_accepted(data):
    opened = open_envelope(data, NETWORK, Role.DEVICE)
    assert isinstance(opened, Envelope | Verdict)
    if isinstance(opened, Envelope):
        assert rewritten(opened) == data
    decoded = decode(data, NETWORK)
    assert isinstance(decoded, Decoded | Verdict)
    if isinstance(decoded, Decoded):
        assert encode(load(opened.payload)) == opened.payload
        assert violation(opened.payload) is None


@given(mutated() | st.binary(max_size=300))
def test_board_and_gateway_open_the_same_envelopes(data):
    try:
        theirs = board_cose.open1(data, NETWORK, "device")
    except board_cose.CoseError:
        theirs = None
    ours = open_envelope(data, NETWORK, Role.DEVICE)
    assert isinstance(ours, Envelope) is (theirs is not None)
    if theirs is not None:
        assert ours[:4] == (theirs.kid, theirs.payload, theirs.signature, theirs.to_be_signed)


PAYLOADS = sorted(
    {
        opened.payload
        for opened in (open_envelope(seed, NETWORK, Role.DEVICE) for seed in SEEDS)
        if isinstance(opened, Envelope)
    }
)


@given(mutated(PAYLOADS) | st.binary(max_size=60))
@example(b"")
def test_board_and_gateway_have_one_profile(data):
    try:
        theirs = board_cbor.decode(data)
    except board_cbor.CborError:
        theirs = None
        accepted = False
    else:
        # The board's codec reads the header's map anywhere; payloads have none.
        accepted = not holds_map(theirs)
    assert (violation(data) is None) is accepted
    ours = load(data)
    if accepted:
        assert ours == theirs


def holds_map(value):
    if isinstance(value, dict):
        return True
    return isinstance(value, list) and any(map(holds_map, value))


@given(mutated(PAYLOADS))
def test_signed_nonsense_is_a_verdict(payload):
    """The same below a valid signature, where a broken board or a rogue owner stands."""
    signer = Signer()
    if len(payload) > 3_900:
        return
    data, _ = sign1(signer.sign, signer.kid, NETWORK, Role.DEVICE, payload)
    decoded = decode(data, NETWORK)
    assert isinstance(decoded, Decoded | Verdict)
    if isinstance(decoded, Decoded):
        assert violation(payload) is None


IN_PROFILE = st.recursive(
    st.none()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.binary(max_size=40)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)
OUTSIDE = (
    st.floats(allow_nan=True)
    | st.booleans()
    | st.just(cbor2.undefined)
    | st.dictionaries(st.integers(0, 23), st.integers(), max_size=3)
    | st.integers(min_value=1 << 64)
    | st.integers(max_value=-(1 << 63) - 1)
    | st.builds(cbor2.CBORTag, st.integers(6, 1 << 32), st.integers(0, 9))
)


def depth(value):
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(IN_PROFILE)
def test_the_profile_goes_there_and_back_on_both_sides(value):
    data = encode(value)
    assert board_cbor.encode(value) == data
    if depth(value) <= 8:
        assert load(data) == value
        assert board_cbor.decode(data) == value
        assert violation(data) is None
    else:
        assert violation(data) is Verdict.TOO_DEEP


@given(IN_PROFILE, OUTSIDE, IN_PROFILE)
def test_one_item_outside_the_profile_is_enough(before, item, after):
    assert violation(cbor2.dumps([before, item, after], canonical=True)) is not None


@given(mutated())
def test_admission_lets_nothing_damaged_through(data):
    """Unless the damage made another vector that is valid as it stands."""
    state = AdmissionState.empty(NETWORK, Policy.OPEN)
    arrivals = Arrivals((Arrival(None, data),), lambda _: False, 1)
    _, (effect,) = step(state, NOON_MS, arrivals)
    assert isinstance(effect, Rejected) or data in SEEDS


@given(mutated() | st.binary(max_size=120))
def test_documents_are_read_or_refused(data):
    statement = KeyStatement(Role.OPERATOR, Signer().public_key, 1, 0, 1)
    assert isinstance(open_operator_event(data, NETWORK, [statement]), OperatorEvent | Verdict)
    assert isinstance(open_statement(data, NETWORK, Signer().public_key), KeyStatement | Verdict)
    genesis = Genesis.decode(data)
    assert isinstance(genesis, Verdict) or genesis.encode() == data
