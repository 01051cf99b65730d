"""SenML packs: lossless to the digit, read back by parsers that are not ours."""

import json
from decimal import Decimal

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import senml
from gateway.core.ids import device_name
from gateway.core.senml import Sample

DEVICE = bytes(range(16))
BASE = f"urn:dev:cairn:{device_name(DEVICE)}:"
LIMIT = 2**53
SAMPLE = Sample(1_500, "temperature", 1, "Cel", -2, 2150, 0, b"", 0, post_release=False)

samples = st.builds(
    Sample,
    time_ms=st.integers(0, LIMIT),
    quantity=st.sampled_from(["temperature", "pm2_5", "77"]),
    channel=st.integers(0, 255),
    unit=st.sampled_from(["Cel", "%RH", ""]),
    exponent=st.integers(-9, 6),
    value=st.none() | st.integers(-LIMIT, LIMIT),
    fault=st.integers(1, 9),
    message_id=st.just(bytes(32)),
    recv_ms=st.just(0),
    post_release=st.booleans(),
)
packs = st.lists(samples, min_size=1, max_size=8)


def expected(sample: Sample) -> tuple[object, ...]:
    """Name, unit, value, fault, time and flag, as exact numbers."""
    value = None if sample.value is None else Decimal(sample.value).scaleb(sample.exponent)
    return (
        f"{BASE}{sample.quantity}:{sample.channel}",
        sample.unit if sample.unit and value is not None else None,
        value,
        f"fault {sample.fault}" if value is None else None,
        Decimal(sample.time_ms).scaleb(-3),
        sample.post_release,
    )


def resolved(records: list[dict], labels: dict[str, object]) -> list[tuple[object, ...]]:
    base = records[0].get(labels["bn"])
    return [
        (
            base + record[labels["n"]],
            record.get(labels["u"]),
            record.get(labels["v"]),
            record.get(labels["vs"]),
            record[labels["t"]],
            record.get("post_release", False),
        )
        for record in records
    ]


@given(packs)
def test_json_says_every_digit(pack):
    text = senml.to_json(DEVICE, pack).decode()
    records = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    names = {name: name for name in ("bn", "n", "u", "v", "vs", "t")}
    assert resolved(records, names) == [expected(sample) for sample in pack]
    assert records[0]["bver"] == 26
    assert all("bn" not in record and "bver" not in record for record in records[1:])


@given(packs)
def test_cbor_says_the_same(pack):
    records = cbor2.loads(senml.to_cbor(DEVICE, pack))
    numbers = {"bn": -2, "n": 0, "u": 1, "v": 2, "vs": 3, "t": 6}
    assert resolved(records, numbers) == [expected(sample) for sample in pack]
    assert records[0][-1] == 26


@given(packs)
def test_no_float_is_in_the_cbor(pack):
    """Half, single and double floats begin with 0xf9 to 0xfb; the values are tag 4 or integers."""
    for record in cbor2.loads(senml.to_cbor(DEVICE, pack)):
        assert not any(isinstance(value, float) for value in record.values())


@pytest.mark.parametrize(
    "value, exponent, text",
    [
        (2150, -2, "21.50"),
        (-5, -1, "-0.5"),
        (-5, -3, "-0.005"),
        (0, -2, "0.00"),
        (7, 0, "7"),
        (7, 3, "7000"),
        (LIMIT, -9, "9007199.254740992"),
    ],
)
def test_json_numbers_are_decimal_text(value, exponent, text):
    sample = SAMPLE._replace(exponent=exponent, value=value)
    assert f'"v":{text},"t":1.500}}' in senml.to_json(DEVICE, [sample]).decode()


def test_cbor_keeps_the_resolution():
    data = senml.to_cbor(DEVICE, [SAMPLE])
    # Map of 6; 2: tag 4 [-2, 2150]; 6: tag 4 [-3, 1500].
    assert data.startswith(b"\x81\xa6")
    assert bytes.fromhex("02c48221190866") in data
    assert bytes.fromhex("06c482221905dc") in data
