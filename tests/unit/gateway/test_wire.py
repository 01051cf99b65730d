"""The edges of decoding that the vectors leave out; the rules of each kind are in spec/vectors."""

import pytest

from gateway.core.model import Kind, NotEvaluated
from gateway.core.verdicts import Verdict
from gateway.core.wire import Decoded, decode
from tests.unit.gateway.stations import NETWORK, NOON_MS, READINGS, Station, message_of


def test_header_fields_arrive_where_they_belong():
    station = Station()
    station.hello()
    prev = station.prev
    message = message_of(station.readings())
    assert message.device == station.kid
    assert (message.kind, message.seq, message.prev) == (Kind.READINGS, 2, prev)
    assert (message.time_ms, message.time_source, message.uncertainty_ms) == (NOON_MS, 1, 40)


@pytest.mark.parametrize("body", [None, 0, "", b"", [], [[]], [0] * 8, [None] * 8])
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind <= Kind.CLAIM])
def test_no_kind_takes_an_empty_shape(kind, body):
    decoded = decode(Station().make(kind, body), NETWORK)
    assert isinstance(decoded, Decoded)
    assert decoded.verdict is Verdict.BAD_BODY
    assert isinstance(decoded.message.body, NotEvaluated)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind > Kind.CLAIM])
def test_a_device_does_not_speak_for_the_gateway(kind):
    assert decode(Station().make(kind, []), NETWORK) is Verdict.BAD_PAYLOAD


def test_a_refused_message_keeps_its_seq():
    for data in (
        Station().make(Kind.GAP, [1], seq=77),
        Station().make(Kind.READINGS, READINGS, version=48, seq=77),
    ):
        decoded = decode(data, NETWORK)
        assert isinstance(decoded, Decoded)
        assert decoded.message.seq == 77


@pytest.mark.parametrize("size", [0, 1, 7, 4_095, 4_096, 4_097, 100_000])
def test_noise_of_any_size_is_a_verdict(size):
    assert isinstance(decode(bytes(size), NETWORK), Verdict)
    assert isinstance(decode(b"\xd2\x84" * (size // 2), NETWORK), Verdict)
