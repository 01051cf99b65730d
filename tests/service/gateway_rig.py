"""A gateway over a real store, and how tests talk to it."""

from pathlib import Path

import cbor2

from gateway.core.admission import Arrival
from gateway.core.cose import Role, open_envelope
from gateway.core.downlink import Downlink
from gateway.core.genesis import DAY_MS
from gateway.core.registry import Policy
from gateway.core.verdicts import Verdict
from gateway.core.verify import signature_valid
from gateway.shell.network import DATABASE, NetworkKeys, create_network
from gateway.shell.service import Gateway
from gateway.shell.store.sqlite import SqliteStore
from tests.service.signing_station import INTERVAL_MS, SigningStation

EPOCH = 20_000
START = EPOCH * DAY_MS
CLOSE_AFTER_MS = 10_800_000
DUE = START + DAY_MS + CLOSE_AFTER_MS
OWNER = bytes(range(20))


def open_gateway(keys: NetworkKeys, policy: Policy = Policy.OPEN) -> Gateway:
    return Gateway.open(SqliteStore.create(keys.folder / DATABASE, keys.network_id), keys, policy)


def network(folder: Path) -> NetworkKeys:
    return create_network(folder, "test", simulated=True, epoch_zero_ms=START, seed=1)


def send(gateway: Gateway, *messages: bytes, now_ms: int = START) -> list[Verdict]:
    judged = gateway.deliver([Arrival(None, data) for data in messages], now_ms)
    return [one.verdict for one in judged]


def body_of(keys: NetworkKeys, downlink: Downlink) -> list[object]:
    """Body of a downlink, after checking its signature and its envelope."""
    envelope = open_envelope(downlink.data, keys.network_id, Role.GATEWAY)
    assert not isinstance(envelope, Verdict)
    key = bytes(keys.gateway.verify_key)
    assert signature_valid(key, envelope.signature, envelope.to_be_signed)
    payload = cbor2.loads(envelope.payload)
    assert payload[2] == downlink.device
    return payload[5]


def day_of(station: SigningStation, every_ms: int = INTERVAL_MS) -> list[tuple[int, bytes]]:
    """A whole day: hello, claim, and a reading per interval; with their times."""
    messages = [(START, station.hello(START)), (START, station.claim(START, OWNER))]
    for number, time_ms in enumerate(range(START, START + DAY_MS, every_ms)):
        messages.append((time_ms, station.reading(time_ms, 1_000 + number % 50)))
    return messages


def run_day(gateway: Gateway, messages: list[tuple[int, bytes]]) -> None:
    for time_ms, data in messages:
        assert send(gateway, data, now_ms=time_ms + 1_000) == [Verdict.OK]
