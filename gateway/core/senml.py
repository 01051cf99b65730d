"""Readings as SenML (RFC 8428), in JSON and in CBOR, without loss: protocol section 6.5.

Values and times are decimal text in JSON and integers or decimal fractions (tag 4) in CBOR, so no
float ever rounds them. What SenML has no word for is said in fields of our own, which a reader
that does not know them ignores: `fault` (then `vd` is absent and `vs` names the fault) and
`post_release`. Whether a reading may be seen is decided elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import cbor2

from gateway.core.explain import decimal
from gateway.core.ids import device_name

JSON_TYPE = "application/senml+json"
CBOR_TYPE = "application/senml+cbor"
# RFC 9100: version 10 with feature 4, secondary units (RFC 8798), of which we use hPa and ug/m3.
VERSION = 10 + (1 << 4)
_MILLI = -3
_DECIMAL_FRACTION = 4
# Labels of RFC 8428 section 6.
_BVER, _BN, _N, _U, _V, _VS, _T = -1, -2, 0, 1, 2, 3, 6


class Sample(NamedTuple):
    """One value of one quantity, or the fault that stands in its place (then value is None).

    quantity: its name, or its code where nobody knows a name; unit: SenML's, empty if unknown.
    """

    time_ms: int
    quantity: str
    channel: int
    unit: str
    exponent: int
    value: int | None
    fault: int
    message_id: bytes
    recv_ms: int
    post_release: bool


def base_name(device: bytes) -> str:
    """The beginning of the name of everything that a station measures."""
    return f"urn:dev:cairn:{device_name(device)}:"


def to_json(device: bytes, samples: Sequence[Sample]) -> bytes:
    """A pack in JSON; the caller has one sample at least."""
    records = [_json_record(sample) for sample in samples]
    first = {"bn": base_name(device), "bver": VERSION}
    head = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in first.items())
    records[0] = f"{head},{records[0]}"
    return ("[" + ",\n".join(f"{{{record}}}" for record in records) + "]\n").encode()


def to_cbor(device: bytes, samples: Sequence[Sample]) -> bytes:
    """The same pack in CBOR."""
    records = [_cbor_record(sample) for sample in samples]
    records[0] = {_BVER: VERSION, _BN: base_name(device), **records[0]}
    return cbor2.dumps(records, canonical=True)


def _json_record(sample: Sample) -> str:
    fields = [f'"n":{json.dumps(_name(sample))}']
    if sample.value is None:
        fields.append(f'"vs":"fault {sample.fault}"')
    else:
        if sample.unit:
            fields.append(f'"u":{json.dumps(sample.unit)}')
        fields.append(f'"v":{decimal(sample.value, sample.exponent)}')
    fields.append(f'"t":{decimal(sample.time_ms, _MILLI)}')
    if sample.post_release:
        fields.append('"post_release":true')
    return ",".join(fields)


def _cbor_record(sample: Sample) -> dict[Any, Any]:
    record: dict[Any, Any] = {_N: _name(sample), _T: _number(sample.time_ms, _MILLI)}
    if sample.value is None:
        record[_VS] = f"fault {sample.fault}"
    else:
        if sample.unit:
            record[_U] = sample.unit
        record[_V] = _number(sample.value, sample.exponent)
    if sample.post_release:
        record["post_release"] = True
    return record


def _name(sample: Sample) -> str:
    return f"{sample.quantity}:{sample.channel}"


def _number(value: int, exponent: int) -> Any:
    """value * 10**exponent exactly; the exponent says how finely it was measured, so it stays."""
    return value if exponent == 0 else cbor2.CBORTag(_DECIMAL_FRACTION, [exponent, value])
