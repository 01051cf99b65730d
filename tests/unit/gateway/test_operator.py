"""Edges of operator events and key statements; one of each kind is in spec/vectors."""

import pytest

from gateway.core.cbor_profile import load
from gateway.core.cose import Role, open_envelope
from gateway.core.operator import (
    NO_PREVIOUS,
    OperatorEvent,
    OperatorKind,
    VoidSlots,
    follows,
    open_operator_event,
    operator_payload,
)
from gateway.core.statements import KeyStatement, key_in_force, open_statement
from gateway.core.verdicts import Verdict
from tests.unit.gateway.stations import NETWORK, NOON_MS, Signer

ROOT, OPERATOR = Signer("root"), Signer("operator")
DEVICE = b"d" * 16
STATEMENT = KeyStatement(Role.OPERATOR, OPERATOR.public_key, 1, NOON_MS - 10, NOON_MS + 10)


def event_of(kind, body, *, serial=1, prev=NO_PREVIOUS, time_ms=NOON_MS, signer=OPERATOR):
    fields = load(operator_payload(kind, serial, prev, time_ms, body))
    data = signer.sign1(Role.OPERATOR, fields)
    return open_operator_event(data, NETWORK, [STATEMENT])


@pytest.mark.parametrize("kind", [kind for kind in OperatorKind if kind != OperatorKind.PRICE])
@pytest.mark.parametrize("body", [[], [0], [b""], [[]], [DEVICE, b""], [DEVICE, [1]], [None] * 4])
def test_bad_bodies_are_verdicts(kind, body):
    assert event_of(kind, body) is Verdict.BAD_BODY


@pytest.mark.parametrize(
    "kind, body",
    [
        (OperatorKind.QUARANTINE, [DEVICE, 2, 1, "why"]),
        (OperatorKind.QUARANTINE, [DEVICE, 0, 1, "why"]),
        (OperatorKind.QUARANTINE, [DEVICE, 1, 1, "w" * 65]),
        (OperatorKind.APPEAL, [DEVICE, 2, 1, 1]),
        (OperatorKind.APPEAL, [DEVICE, 1, 2, 2]),
        (OperatorKind.PLACE, [DEVICE, 0x88283082A9FFFFF]),
        (OperatorKind.VOID_SLOT, [[2, 1]]),
        (OperatorKind.VOID_SLOT, [[1, 2, 3]]),
        (OperatorKind.RULES, [20_775, bytes(32)]),
    ],
)
def test_ranges_and_limits(kind, body):
    assert event_of(kind, body) is Verdict.BAD_BODY


def test_a_good_event_is_read():
    event = event_of(OperatorKind.VOID_SLOT, [[1, 2], [5, 5]])
    assert isinstance(event, OperatorEvent)
    assert event.body == VoidSlots(((1, 2), (5, 5)))
    assert (event.serial, event.prev, event.time_ms) == (1, NO_PREVIOUS, NOON_MS)


@pytest.mark.parametrize(
    "changed", [{"serial": 0}, {"prev": bytes(31)}, {"time_ms": -1}, {"time_ms": 1 << 53}]
)
def test_bad_headers(changed):
    assert event_of(OperatorKind.APPROVE, [DEVICE], **changed) is Verdict.BAD_PAYLOAD


def test_a_flag_is_no_boolean():
    assert event_of(OperatorKind.ANCHOR, [DEVICE, True]) is Verdict.UNSUPPORTED_TYPE


def test_the_key_must_be_in_force_at_the_events_time():
    good = [OperatorKind.APPROVE, [DEVICE]]
    assert isinstance(event_of(*good, time_ms=NOON_MS - 10), OperatorEvent)
    assert event_of(*good, time_ms=NOON_MS - 11) is Verdict.KEY_NOT_IN_FORCE
    assert event_of(*good, time_ms=NOON_MS + 10) is Verdict.KEY_NOT_IN_FORCE
    assert event_of(*good, signer=ROOT) is Verdict.KEY_NOT_IN_FORCE


def test_a_damaged_signature_is_bad():
    data = OPERATOR.sign1(Role.OPERATOR, [16, 0, 1, NO_PREVIOUS, NOON_MS, [DEVICE]])
    damaged = data[:-1] + bytes([data[-1] ^ 1])
    assert open_operator_event(damaged, NETWORK, [STATEMENT]) is Verdict.BAD_SIGNATURE
    assert open_operator_event(data, b"othernet", [STATEMENT]) is Verdict.BAD_SIGNATURE
    assert open_operator_event(data[:-1], NETWORK, [STATEMENT]) is Verdict.TRUNCATED


def test_the_log_has_one_order():
    first = event_of(OperatorKind.APPROVE, [DEVICE])
    second = event_of(OperatorKind.APPROVE, [DEVICE], serial=2, prev=first.event_id)
    assert follows(first, None)
    assert follows(second, first)
    assert not follows(second, None)
    assert not follows(first, second)
    assert not follows(event_of(OperatorKind.APPROVE, [DEVICE], serial=2), first)
    behind = {"serial": 2, "prev": first.event_id}
    assert not follows(
        event_of(OperatorKind.APPROVE, [DEVICE], **behind, time_ms=NOON_MS - 1), first
    )


def test_key_in_force_looks_at_role_kid_and_time():
    kid = OPERATOR.kid
    assert key_in_force([STATEMENT], Role.OPERATOR, kid, NOON_MS) == OPERATOR.public_key
    assert key_in_force([STATEMENT], Role.GATEWAY, kid, NOON_MS) is None
    assert key_in_force([STATEMENT], Role.OPERATOR, ROOT.kid, NOON_MS) is None
    assert key_in_force([], Role.OPERATOR, kid, NOON_MS) is None


def test_only_the_root_states_keys():
    fields = [16, "operator", OPERATOR.public_key, 1, 0, 1]
    data = ROOT.sign1(Role.ROOT, fields)
    assert isinstance(open_statement(data, NETWORK, ROOT.public_key), KeyStatement)
    assert open_statement(data, NETWORK, OPERATOR.public_key) is Verdict.KID_MISMATCH
    assert open_statement(data, b"othernet", ROOT.public_key) is Verdict.BAD_SIGNATURE
    other_role = ROOT.sign1(Role.GATEWAY, fields)
    assert open_statement(other_role, NETWORK, ROOT.public_key) is Verdict.BAD_SIGNATURE
    assert not isinstance(open_envelope(data, NETWORK, Role.ROOT), Verdict)
