"""Logins over a real store: counters that only rise, operators, and the limit on strangers."""

import asyncio
import sqlite3
from dataclasses import replace

import pytest

from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_id, device_name
from gateway.core.login import LoginRequest, login_password
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.ingest import IngestLimits
from gateway.shell.network import DATABASE, STATEMENT_DAYS, NetworkKeys
from gateway.shell.service import Gateway
from tests.service.gateway_rig import START, body_of, open_gateway, send
from tests.service.ingest_rig import FixedClock, driven, ingesting, run
from tests.service.signing_station import SigningStation


def request(station: SigningStation, counter: int, address: str = "192.0.2.1") -> LoginRequest:
    name = device_name(station.device)
    return LoginRequest(name, name, station.login(counter).encode(), address)


def operator_request(keys: NetworkKeys, counter: int) -> LoginRequest:
    public = bytes(keys.operator.verify_key)
    password = login_password(
        lambda data: keys.operator.sign(data).signature,
        public,
        keys.network_id,
        counter,
        bytes(8),
    )
    name = device_name(device_id(public))
    return LoginRequest(name, name, password.encode(), "192.0.2.1")


@pytest.fixture
def station(keys: NetworkKeys) -> SigningStation:
    return SigningStation(1, keys.network_id)


def test_a_counter_is_used_once_also_after_a_restart(keys: NetworkKeys, station):
    gateway = open_gateway(keys)
    results = gateway.login([request(station, n) for n in (5, 5, 4, 6)], START)
    assert [one.reason for one in results] == ["granted", "counter", "counter", "granted"]
    assert [one.device for one in results] == [station.device, b"", b"", station.device]
    gateway.close()
    gateway = open_gateway(keys)
    again, higher = gateway.login([request(station, 6), request(station, 7)], START)
    assert (again.granted, higher.granted) == (False, True)
    gateway.close()


def test_a_crash_between_two_counters_of_one_call_raises_neither(keys: NetworkKeys, station):
    gateway = open_gateway(keys)
    other = SigningStation(2, keys.network_id)
    database = sqlite3.connect(keys.folder / DATABASE)
    database.execute(
        "CREATE TRIGGER full BEFORE INSERT ON logins WHEN (SELECT COUNT(*) FROM logins) = 1"
        " BEGIN SELECT RAISE(ROLLBACK, 'full'); END"
    )
    database.commit()
    with pytest.raises(ValueError, match="stored already"):
        gateway.login([request(station, 1), request(other, 1)], START)
    database.execute("DROP TRIGGER full")
    database.commit()
    database.close()
    results = gateway.login([request(station, 1), request(other, 1)], START)
    assert [one.granted for one in results] == [True, True]
    gateway.close()


def test_a_registered_station_is_given_its_receipt(keys: NetworkKeys, gateway: Gateway, station):
    (before,) = gateway.login([request(station, 1)], START)
    assert (before.granted, before.registered, before.retained) == (True, False, ())
    send(gateway, station.hello(START), station.reading(START, 1))
    (after,) = gateway.login([request(station, 2)], START + 9)
    assert after.registered
    (receipt,) = after.retained
    assert receipt[:2] == (station.device, "receipt")
    up_to, _, _, _, gateway_ms = body_of(keys, receipt)
    assert (up_to, gateway_ms) == (2, START + 9)


def test_what_is_wrong_with_a_password_is_named(gateway: Gateway, station):
    good = request(station, 1)
    requests = [
        good._replace(client_id="gateway"),
        good._replace(user_name="gateway"),
        good._replace(password=b"\xff\xfe"),
        good._replace(password=good.password[:-1]),
        good._replace(password=b"A" * 100_000),
        good._replace(password=b""),
        good,
    ]
    reasons = [one.reason for one in gateway.login(requests, START)]
    assert reasons == ["bad_name"] * 2 + ["bad_token"] * 4 + ["granted"]


def test_the_operator_is_known_by_its_statement(keys: NetworkKeys, gateway: Gateway):
    (result,) = gateway.login([operator_request(keys, 1)], START)
    assert (result.granted, result.operator, result.registered) == (True, True, True)
    (replayed,) = gateway.login([operator_request(keys, 1)], START)
    assert not replayed.granted


def test_an_operator_out_of_force_is_nobody(keys: NetworkKeys, gateway: Gateway):
    expired = START + STATEMENT_DAYS * DAY_MS
    early = START - DAY_MS - 1
    for counter, time_ms in enumerate((expired, early), 1):
        (result,) = gateway.login([operator_request(keys, counter)], time_ms)
        assert (result.granted, result.operator) == (True, False)


def test_the_gateways_own_key_is_no_operator(keys: NetworkKeys, gateway: Gateway):
    (result,) = gateway.login([operator_request(replace(keys, operator=keys.gateway), 1)], START)
    assert not result.operator


def test_before_the_first_tick_an_operator_may_log_in(keys: NetworkKeys):
    async def test():
        async with ingesting(keys, driven()) as rig:
            result = await rig.ingest.login(operator_request(keys, 1))
            assert (result.granted, result.operator) == (True, True)

    run(test)


def test_after_a_restart_receipts_are_dated_by_the_newest_message(keys: NetworkKeys, station):
    gateway = open_gateway(keys)
    send(gateway, station.hello(START), now_ms=START + 77)
    (result,) = gateway.login([request(station, 1)], None)
    assert body_of(keys, result.retained[0])[4] == START + 77
    gateway.close()


# ---- through ingest


def test_strangers_of_one_address_are_limited_and_nobody_else(keys: NetworkKeys, station):
    limits = IngestLimits(address_logins_per_minute=1, address_logins_burst=3)
    strangers = [SigningStation(n, keys.network_id) for n in range(2, 8)]

    async def test():
        async with ingesting(keys, FixedClock(), limits) as rig:
            rig.source.submit(station.hello(START), station.device)
            await rig.source.verdicts_on(1)
            for counter in range(1, 21):
                assert (await rig.ingest.login(request(station, counter))).granted
            results = await asyncio.gather(
                *(rig.ingest.login(request(stranger, 1)) for stranger in strangers)
            )
            reasons = [one.reason for one in results]
            assert reasons == ["granted"] * 3 + ["address_limit"] * 3
            # What it knows, it lets in; and another address has its own limit.
            assert (await rig.ingest.login(request(station, 21))).granted
            assert (await rig.ingest.login(operator_request(keys, 1))).granted
            elsewhere = await rig.ingest.login(request(strangers[3], 1, "198.51.100.7"))
            assert elsewhere.granted
            text = rig.metrics.render().decode()
            assert 'cairn_logins_total{reason="address_limit"} 3.0' in text

    run(test)


def test_failures_count_against_their_address(keys: NetworkKeys, station):
    limits = IngestLimits(address_logins_per_minute=1, address_logins_burst=2)
    bad = request(station, 1)._replace(password=b"guess")

    async def test():
        async with ingesting(keys, FixedClock(), limits) as rig:
            reasons = [(await rig.ingest.login(bad)).reason for _ in range(4)]
            assert reasons == ["bad_token"] * 2 + ["address_limit"] * 2

    run(test)


def test_when_the_store_fails_nobody_is_let_in(keys: NetworkKeys, station):
    async def test():
        async with ingesting(keys) as rig:
            rig.store.fails = OperatorFault("full", "", "", Code.STORE_UNWRITABLE)
            rig.source.submit(station.hello(START), station.device)
            with pytest.raises(OperatorFault):
                await rig.task
            assert (await rig.ingest.login(request(station, 1))).reason == "unavailable"

    run(test)
