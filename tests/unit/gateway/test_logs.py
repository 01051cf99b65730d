"""The two hash chains, written out by hand beside the module."""

from hashlib import sha256

import pytest

from gateway.core.canonical import MalformedError
from gateway.core.logs import (
    ADMISSION_LABEL,
    admission_cbor,
    admission_fields,
    chain_over,
    chain_start,
    operator_cbor,
    parse_admission,
)
from gateway.core.model import AdmissionEntry
from gateway.core.verdicts import Verdict

ENTRY = AdmissionEntry(b"\x01" * 32, 1_000, Verdict.OK, 1, b"")


def test_the_chain_is_the_one_of_the_protocol():
    start = sha256(b"cairn admission log" + b"network8").digest()
    assert chain_start(ADMISSION_LABEL, b"network8") == start
    entry = bytes.fromhex("855820" + "01" * 32 + "1903e8000140")
    assert admission_cbor(ENTRY) == entry
    once = sha256(start + entry).digest()
    assert chain_over(start, [entry, entry]) == sha256(once + entry).digest()
    assert chain_over(start, []) == start


def test_an_operator_event_is_hashed_as_a_byte_string():
    assert operator_cbor(b"\xd2" * 30) == b"\x58\x1e" + b"\xd2" * 30


def test_an_entry_survives_its_fields():
    assert parse_admission(list(admission_fields(ENTRY))) == ENTRY


@pytest.mark.parametrize(
    "fields",
    [
        None,
        [],
        [b"", 1, 0, 1, b""],
        [bytes(32), -1, 0, 1, b""],
        [bytes(32), 1, 30, 1, b""],
        [bytes(32), 1, [], 1, b""],
        [bytes(32), 1, 0, 1, b"seven77"],
        [bytes(32), 1, 0, 1, b"", 0],
    ],
)
def test_what_is_no_entry_is_refused(fields):
    with pytest.raises(MalformedError):
        parse_admission(fields)
