"""The state between epochs: one encoding, and nothing else is read."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canonical import MalformedError
from gateway.core.cbor_profile import encode, load
from gateway.core.chain import Before
from gateway.core.clockmap import BootClock
from gateway.core.model import AdmissionEntry, Declared
from gateway.core.peer_days import PeerDay
from gateway.core.quality import Standing
from gateway.core.slots import StationClass
from gateway.core.state import (
    EpochState,
    LogHead,
    StationState,
    decode_state,
    encode_state,
)
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import CELLS, OWNER

A, B = b"a" * 16, b"b" * 16
HASH = b"h" * 32
STATION = StationState(
    device=A,
    public_key=HASH,
    registered_epoch=3,
    hello_seq=1,
    declared=(Declared(0, 0, 600_000),),
    scoring_cell=CELLS[0],
    owner=OWNER,
    claim_seq=2,
    station_class=StationClass.WITNESSED,
    since_epoch=4,
    evidence_epoch=5,
    standings=((0, 0, Standing(-150, -2, 1_000, 4, 9_000)),),
    duty_class=1,
    proof_class=StationClass.PEER_CHECKED,
    proof_epoch=5,
    unrevealed=(3, 4),
    peers=(PeerDay(5, 0, 0, (-150, None, 7), (1, 2, None)),),
)
STATE = EpochState(
    epoch=5,
    admission_head=LogHead(7, HASH),
    operator_head=LogHead(2, HASH),
    carry=10**22,
    stations={A: STATION, B: replace(STATION, device=B, since_epoch=None, owner=b"")},
    operator_owners={B: OWNER},
    anchored=frozenset({A}),
    quarantines=frozenset({(A, 1, 9), (A, 1, 8)}),
    rules=((9, HASH), (7, HASH)),
    later_events=(b"signed", b"again"),
    cumulative={OWNER: 10**20, bytes(20): 0},
    held={B: 2**200},
    delivered={A: Before(((1, 5), (7, 7)), ((2, 3),)), B: Before()},
    boots={(A, 2): BootClock(40, HASH, 1_000), (A, 1): BootClock(1, HASH, 5)},
    centres={CELLS[0]: (47_378_191, 8_540_917), CELLS[1]: (-90_000_000, -180_000_000)},
    pending=(
        AdmissionEntry(b"2" * 32, 8, Verdict.OK, 1, b""),
        AdmissionEntry(b"1" * 32, 9, Verdict.NOT_EVALUATED, 1, b"tagtagta"),
    ),
)


def test_a_state_survives_its_encoding():
    again = decode_state(encode_state(STATE))
    assert again == replace(STATE, pending=STATE.pending[::-1])
    assert encode_state(again) == encode_state(STATE)


def test_no_bytes_are_the_empty_state():
    assert decode_state(b"") == EpochState()


def test_the_order_in_which_a_state_was_filled_is_not_in_it():
    other = replace(
        STATE,
        stations=dict(reversed(STATE.stations.items())),
        cumulative=dict(reversed(STATE.cumulative.items())),
        boots=dict(reversed(STATE.boots.items())),
        pending=STATE.pending[::-1],
    )
    assert encode_state(other) == encode_state(STATE)


def fields():
    return load(encode_state(STATE))


@pytest.mark.parametrize(
    "path, value",
    [
        ((0,), 3),
        ((1,), -1),
        ((2,), None),
        ((0,), 1),
        ((5, 0, 12), -1),
        ((5, 0, 13), 3),
        ((5, 0, 14), "5"),
        ((5, 0, 15), 5),
        ((5, 0, 16, 0, 3), [1, 2]),
        ((5, 0, 16, 0, 4, 1), 1 << 21),
        ((4,), "01"),
        ((4,), "-1"),
        ((4,), "1" * 79),
        ((4,), str(2**256)),
        ((4,), 5),
        ((5, 0, 0), b"short"),
        ((5, 0, 4, 0, 2), 0),
        ((5, 0, 5), 0),
        ((5, 0, 6), b"x"),
        ((5, 0, 8), 3),
        ((5, 0, 8), []),
        ((5, 0, 9), -1),
        ((5, 0, 11, 0, 3), 7),
        ((7,), [A, A]),
        ((7,), [B, A]),
        ((8, 0, 1), "1"),
        ((9, 0, 1), b""),
        ((10, 0), 1),
        ((11, 0, 0), b""),
        ((13, 0, 1), [[5, 1]]),
        ((13, 0, 1), [[1, 5], [6, 7]]),
        ((13, 0, 1), [[0, 5]]),
        ((15, 0, 1), 90_000_001),
        ((15, 0, 2), -180_000_001),
        ((16, 0, 2), 30),
        ((16,), None),
    ],
)
def test_what_is_no_state_is_refused(path, value):
    document = fields()
    *parents, last = path
    target = document
    for index in parents:
        target = target[index]
    assert target[last] != value
    target[last] = value
    with pytest.raises(MalformedError):
        decode_state(encode(document))


def test_an_entry_twice_is_refused():
    document = fields()
    document[11].append(document[11][-1])
    with pytest.raises(MalformedError):
        decode_state(encode(document))


@given(st.data())
def test_mutated_states_are_refused_or_mean_something_else(data):
    encoded = bytearray(encode_state(STATE))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(encoded) - 1))
        encoded[position] = data.draw(st.integers(0, 255))
    try:
        state = decode_state(bytes(encoded))
    except MalformedError:
        return
    assert encode_state(state) == bytes(encoded)
