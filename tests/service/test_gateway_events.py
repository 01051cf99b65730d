"""Operator events through the gateway: anchors, rules, and what may not be logged."""

import re
from pathlib import Path

import pytest

from gateway.core.cose import Role
from gateway.core.epoch_inputs import EpochError
from gateway.core.genesis import DAY_MS
from gateway.core.operator import NO_PREVIOUS, OperatorKind, operator_payload
from gateway.core.rules import rules_hash
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import NetworkKeys, create_network, sign_with
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


def refused(gateway: Gateway, kind: OperatorKind, body: list[object], now_ms: int) -> str:
    """Why the gateway does not log this event."""
    head = gateway.store.operator_head()
    with pytest.raises(OperatorFault) as caught:
        gateway.operate(kind, body, now_ms)
    assert caught.value.code == Code.EVENT_REFUSED
    assert gateway.store.operator_head() == head
    return str(caught.value)


def test_rules_never_reach_into_a_day_that_has_begun(keys: NetworkKeys, gateway: Gateway):
    text = read_spec("rules/0001.toml") + b"\n"
    (keys.folder / "rules" / "0002.toml").write_bytes(text)
    body = [EPOCH + 1, rules_hash(text)]
    # Dated yesterday, when they would have been in time.
    payload = operator_payload(OperatorKind.RULES, 1, NO_PREVIOUS, START + DAY_MS - 1, body)
    data, _ = sign_with(keys.operator, keys.network_id, Role.OPERATOR, payload)
    with pytest.raises(OperatorFault, match="has begun"):
        gateway.append_operator_event(data, START + DAY_MS)
    gateway.append_operator_event(data, START + DAY_MS - 1)
    assert gateway.store.operator_head().length == 1


@pytest.mark.parametrize(
    "change, why",
    [
        ((b"length_ms = 86_400_000", b"length_ms = 43_200_000"), "UTC day"),
        ((b'trig = "', b'trig = "00'), "trig.csv"),
        ((b'quantities = "', b'quantities = "00'), "quantities.toml"),
    ],
)
def test_rules_by_which_no_epoch_could_close_are_not_logged(
    keys: NetworkKeys, gateway: Gateway, tmp_path: Path, change: tuple[bytes, bytes], why: str
):
    # Where two digits of a hash are put in front, two are cut off behind.
    text = re.sub(
        rb'"([0-9a-f]{64})[0-9a-f]{2}"', rb'"\1"', read_spec("rules/0001.toml").replace(*change)
    )
    (keys.folder / "rules" / "0002.toml").write_bytes(text)
    assert why in refused(gateway, OperatorKind.RULES, [EPOCH + 1, rules_hash(text)], START)
    gateway.advance(DUE + DAY_MS)
    with pytest.raises(EpochError, match=why):
        create_network(
            tmp_path / "new", "new", simulated=True, epoch_zero_ms=START, seed=1, rules=text
        )


def test_times_of_events_neither_run_ahead_nor_back(keys: NetworkKeys, gateway: Gateway):
    payload = operator_payload(
        OperatorKind.ANCHOR, 1, NO_PREVIOUS, START + 120_001, [bytes(16), 1]
    )
    data, _ = sign_with(keys.operator, keys.network_id, Role.OPERATOR, payload)
    with pytest.raises(OperatorFault, match="future"):
        gateway.append_operator_event(data, START)
    gateway.append_operator_event(data, START + 1)
    assert "time" in refused(gateway, OperatorKind.ANCHOR, [bytes(16), 0], START + 120_000)
    gateway.operate(OperatorKind.ANCHOR, [bytes(16), 0], START + 120_001)
