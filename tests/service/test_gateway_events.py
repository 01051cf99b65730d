"""Operator events through the gateway: anchors, rules, and what may not be logged."""

from pathlib import Path

import pytest

from gateway.core.cose import Role
from gateway.core.genesis import DAY_MS
from gateway.core.operator import NO_PREVIOUS, OperatorKind, operator_payload
from gateway.core.rules import rules_hash
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import NetworkKeys, sign_with
from gateway.shell.service import Gateway
from gateway.shell.spec_files import read_spec
from tests.service.gateway_rig import (
    DUE,
    EPOCH,
    START,
    day_of,
    network,
    open_gateway,
    run_day,
)
from tests.service.signing_station import SigningStation


def test_an_anchored_station_is_paid_more(tmp_path: Path):
    paid = []
    for name in ("unproven", "anchored"):
        keys = network(tmp_path / name)
        gateway = open_gateway(keys)
        station = SigningStation(1, keys.network_id)
        if name == "anchored":
            gateway.operate(OperatorKind.ANCHOR, [station.device, 1], START)
        run_day(gateway, day_of(station))
        (outcome,) = gateway.advance(DUE)
        paid.append(outcome.totals.paid)
        gateway.close()
    assert 0 < paid[0] < paid[1]


def test_an_event_must_continue_the_log(keys: NetworkKeys, gateway: Gateway):
    def event(serial: int, prev: bytes) -> bytes:
        payload = operator_payload(OperatorKind.ANCHOR, serial, prev, START, [bytes(16), 1])
        return sign_with(keys.operator, keys.network_id, Role.OPERATOR, payload)[0]

    for data in (event(2, NO_PREVIOUS), event(1, b"x" * 32), b"junk"):
        with pytest.raises(OperatorFault) as caught:
            gateway.append_operator_event(data, START)
        assert caught.value.code == Code.EVENT_REFUSED
    gateway.append_operator_event(event(1, NO_PREVIOUS), START)
    assert gateway.store.operator_head().length == 1


def test_an_event_signed_by_the_wrong_key_is_refused(keys: NetworkKeys, gateway: Gateway):
    payload = operator_payload(OperatorKind.ANCHOR, 1, NO_PREVIOUS, START, [bytes(16), 1])
    data, _ = sign_with(keys.gateway, keys.network_id, Role.OPERATOR, payload)
    with pytest.raises(OperatorFault) as caught:
        gateway.append_operator_event(data, START)
    assert caught.value.code == Code.EVENT_REFUSED


def test_new_rules_count_from_their_first_epoch(keys: NetworkKeys, gateway: Gateway):
    text = read_spec("rules/0001.toml").replace(b"10_800_000", b"7_200_000")
    body = [EPOCH + 1, rules_hash(text)]
    with pytest.raises(OperatorFault) as caught:
        gateway.operate(OperatorKind.RULES, body, START)
    assert caught.value.code == Code.RULES_UNKNOWN
    (keys.folder / "rules" / "0002.toml").write_bytes(text)
    gateway.operate(OperatorKind.RULES, body, START)
    assert gateway.next_close() == (EPOCH, DUE)
    gateway.advance(DUE)
    assert gateway.next_close() == (EPOCH + 1, START + 2 * DAY_MS + 7_200_000)
    gateway.advance(START + 2 * DAY_MS + 7_200_000)
    assert [gateway.store.epoch(number).rules for number in (EPOCH, EPOCH + 1)] == [1, 2]
