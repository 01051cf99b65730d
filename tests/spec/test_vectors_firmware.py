"""The firmware against the vectors: it refuses what it can see, and writes the same bytes.

The board has no register: topics, strangers and rules of uplink bodies are not its to check.
"""

from itertools import pairwise

import pytest
from cairn import cbor, cose, downlinks, ed25519, ed25519_verify, wire

from gateway.core.cose import Role, open_envelope
from gateway.core.ids import device_id
from gateway.core.model import Readings
from gateway.core.wire import decode
from tests.spec.vector_files import each, signed_by_seed

FORM = {
    "oversize",
    "truncated",
    "trailing_bytes",
    "duplicate_key",
    "non_minimal_integer",
    "float",
    "indefinite_length",
    "unsupported_type",
    "too_deep",
    "bad_text",
    "bad_envelope",
}
"""Verdicts on the form alone, which both sides must find."""

HEADER_MAP_IN_PAYLOAD = "map_in_payload"
"""The board's codec also reads the map of the COSE header, wherever it stands."""


@each("genesis")
def test_the_board_reads_the_genesis(case):
    assert cbor.encode(cbor.decode(case.bytes)) == case.bytes


@each(where=lambda case: case.role != "none")
def test_both_codecs_refuse_the_same_forms(case):
    should_refuse = case.expect in FORM and case.name != HEADER_MAP_IN_PAYLOAD
    try:
        opened = cose.open1(case.bytes, case.network_id, case.role)
        cbor.decode(opened.payload)
    except (cose.CoseError, cbor.CborError):
        assert should_refuse
    else:
        assert not should_refuse


@each("signature", "later")
def test_valid_signatures_are_valid_on_the_board(case):
    opened = cose.open1(case.bytes, case.network_id, "device")
    assert ed25519_verify.verify(case.public_key, opened.to_be_signed, opened.signature)


@each("invalid", where=lambda case: case.expect == "bad_signature")
def test_bad_signatures_are_bad_on_the_board(case):
    opened = cose.open1(case.bytes, case.network_id, "device")
    assert not ed25519_verify.verify(case.public_key, opened.to_be_signed, opened.signature)


@each(where=signed_by_seed)
def test_the_board_signs_the_same_bytes(case):
    signer = ed25519.Signer(case.seed)
    assert signer.public_key == case.public_key
    payload = cose.open1(case.bytes, case.network_id, case.role).payload
    written = cbor.encode(cbor.decode(payload))
    kid = cose.kid_of(signer.public_key)
    signed = cose.sign1(signer.sign, kid, case.network_id, case.role, written)
    assert signed == (case.bytes, case.message_id)


@each(role="device", where=lambda case: signed_by_seed(case) and case.expect == "ok")
def test_the_boards_writer_makes_the_payload(case):
    payload = open_envelope(case.bytes, case.network_id, Role.DEVICE).payload
    version, kind, boot, seq, prev, time_ms, (source, uncertainty_ms), body = cbor.decode(payload)
    assert version == wire.VERSION
    written = WRITERS[kind](case, body)
    made = wire.encode_payload(
        kind=kind,
        boot=boot,
        seq=seq,
        prev=prev,
        time_ms=time_ms,
        source=source,
        uncertainty_ms=uncertainty_ms,
        body=written,
    )
    assert made == payload


def write_hello(_, body):
    key, firmware, declared, duty, place, cell, antenna = body
    return wire.hello_body(
        public_key=key,
        firmware=firmware,
        quantities=[tuple(one) for one in declared],
        duty=duty,
        place_commitment=place,
        scoring_cell=cell,
        antenna=antenna,
    )


def write_readings(case, body):
    """From the absolute values that the gateway decoded."""
    decoded = decode(case.bytes, case.network_id).message.body
    assert isinstance(decoded, Readings)
    ages = decoded.sample_ages_ms
    steps = [older - younger for older, younger in pairwise(ages)]
    columns = [(c.quantity, c.channel, c.exponent, c.values, c.faults) for c in decoded.columns]
    return wire.readings_body(ages[-1], steps, columns)


def write_status(_, body):
    uptime, heap, reset, outbox, dropped, battery, rssi, listening = body
    return wire.status_body(uptime, (heap, reset, battery, rssi), outbox, dropped, listening)


WRITERS = {
    wire.HELLO: write_hello,
    wire.READINGS: write_readings,
    wire.COMMIT: lambda _, body: wire.commit_body(*body),
    wire.BEACON: lambda _, body: wire.beacon_body(*body),
    wire.WITNESS: lambda _, body: wire.witness_body(
        body[0], body[1], list(zip(*body[2:], strict=True))
    ),
    wire.REVEAL: lambda _, body: wire.reveal_body(*body),
    wire.STATUS: write_status,
    wire.GAP: lambda _, body: wire.gap_body(*body),
    wire.CLOCK: lambda _, body: wire.clock_body(*body),
    wire.CONFIG_ACK: lambda _, body: wire.config_ack_body(*body),
    wire.CLAIM: lambda _, body: wire.claim_body(body[0], body[2]),
}


@each(role="gateway")
def test_the_board_reads_the_gateways_messages(case):
    opened = cose.open1(case.bytes, case.network_id, "gateway")
    assert opened.kid == device_id(case.public_key)
    kind, to, serial, time_ms, body = downlinks.parse(opened.payload)
    fields = cbor.decode(opened.payload)
    assert [kind, to, serial, time_ms] == fields[1:5]
    if body is not None:
        assert cbor.encode(body) == cbor.encode(fields[5])


@each("statement")
def test_the_board_reads_key_statements(case):
    opened = cose.open1(case.bytes, case.network_id, "root")
    role, public_key, *_ = downlinks.parse_statement(opened.payload)
    assert role == case.name
    assert len(public_key) == 32


@each("invalid_root", where=lambda case: case.name == "device_role")
def test_the_board_refuses_a_statement_for_another_role(case):
    opened = cose.open1(case.bytes, case.network_id, "root")
    with pytest.raises(downlinks.DownlinkError):
        downlinks.parse_statement(opened.payload)
