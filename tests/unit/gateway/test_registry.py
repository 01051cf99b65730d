import itertools

import h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import h3bits
from gateway.core.cose import Role
from gateway.core.ids import owner_id
from gateway.core.model import Claim, Kind
from gateway.core.operator import Anchor, Approve, OperatorEvent, SetOwner
from gateway.core.registry import Policy, Registry, cell_centre, claim_proven
from tests.unit.gateway.stations import CELL, NETWORK, Signer, Station, message_of

EVM = b"\x01" * 20
OTHER = b"\x02" * 20


def event(serial, body):
    return OperatorEvent(bytes(32), serial, bytes(32), 0, body)


def test_hello_registers_and_the_last_one_by_seq_counts():
    station = Station()
    first = message_of(station.hello())
    moved = message_of(station.hello(cell=0x872830828FFFFFF))
    for order in itertools.permutations([first, moved]):
        registry = Registry(Policy.OPEN)
        for message in order:
            registry.admit(message)
        assert registry.key_of(station.kid) == station.public_key
        assert registry.stations[station.kid].hello == moved.body
    assert Registry(Policy.OPEN).key_of(station.kid) is None


def test_claims_and_the_operators_word_do_not_depend_on_order():
    station = Station()
    hello = message_of(station.hello())
    claims = [message_of(station.make(Kind.CLAIM, [owner, 0, None])) for owner in (OTHER, EVM)]
    set_owner = event(4, SetOwner(station.kid, b"\x04" * 20))
    set_before = event(3, SetOwner(station.kid, b"\x05" * 20))
    for order in itertools.permutations(claims):
        registry = Registry(Policy.OPEN)
        registry.admit(hello)
        assert registry.owner_of(station.kid) is None
        for claim in order:
            registry.admit(claim)
        assert registry.owner_of(station.kid) == EVM
        for one in (set_owner, set_before):
            registry.apply(one)
        assert registry.owner_of(station.kid) == b"\x04" * 20
    assert registry.owner_of(b"x" * 16) is None


def test_a_claim_that_is_not_evaluated_names_nobody():
    station = Station()
    registry = Registry(Policy.OPEN)
    registry.admit(message_of(station.hello()))
    registry.admit(message_of(station.make(Kind.CLAIM, [EVM, 2, b"proof"])))
    assert registry.owner_of(station.kid) is None


def test_policy_approved_waits_for_the_operator():
    registry = Registry(Policy.APPROVED)
    device = b"d" * 16
    assert not registry.may_register(device)
    registry.apply(event(1, Anchor(device, anchored=True)))
    assert not registry.may_register(device)
    registry.apply(event(2, Approve(device)))
    assert registry.may_register(device)
    assert Registry(Policy.OPEN).may_register(device)


def test_a_centre_is_fixed_once():
    registry = Registry(Policy.OPEN)
    centre = registry.fix_centre(CELL)
    assert centre == cell_centre(CELL)
    assert registry.fix_centre(CELL) is None
    registry.load_centres({5: (1, 2)})
    assert registry.fix_centre(5) is None
    assert registry.centres[5] == (1, 2)


@given(st.floats(-90, 90), st.floats(-180, 180), st.sampled_from([7, 9]))
def test_centres_lie_in_their_cells_and_the_integer_check_agrees(lat, lon, resolution):
    name = h3.latlng_to_cell(lat, lon, resolution)
    cell = h3.str_to_int(name)
    assert h3bits.is_valid_shape(cell)
    lat_e6, lon_e6 = cell_centre(cell)
    assert h3.latlng_to_cell(lat_e6 / 1e6, lon_e6 / 1e6, resolution) == name


def proof_by(owner, device, role=Role.OWNER):
    return owner.sign1(role, [device, owner.public_key])


def test_an_owners_proof():
    owner, device = Signer("owner"), b"d" * 16
    good = Claim(owner_id(owner.public_key), 1, proof_by(owner, device))
    assert claim_proven(good, device, NETWORK)
    assert not claim_proven(good, b"e" * 16, NETWORK)
    assert not claim_proven(good, device, b"othernet")
    assert claim_proven(Claim(EVM, 0, None), device, NETWORK)


@pytest.mark.parametrize("payload", [[], [b"d" * 16], [b"d" * 16, b"key"], [b"d" * 16, 7], 0])
def test_a_proof_of_the_wrong_shape_proves_nothing(payload):
    owner = Signer("owner")
    claim = Claim(owner_id(owner.public_key), 1, owner.sign1(Role.OWNER, payload))
    assert not claim_proven(claim, b"d" * 16, NETWORK)
