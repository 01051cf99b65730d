from contextlib import suppress
from typing import Any

import pytest
from cairn import cbor, cose, downlinks, wire
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import model
from gateway.core.verdicts import Verdict
from gateway.core.wire import decode
from tests.unit.firmware.bench import GATEWAY_PUBLIC, keypair

PUBLIC, sign = keypair("device")
NETWORK = b"network!"
SLOT_START = 1_790_000_000_000


def signed(kind: int, body: list[Any], **header: int) -> bytes:
    values = {"boot": 3, "seq": 1000, "time_ms": SLOT_START, "source": 1, "uncertainty_ms": 50}
    values.update(header)
    payload = wire.encode_payload(kind=kind, prev=b"p" * 16, body=body, **values)
    return cose.sign1(sign, cose.kid_of(PUBLIC), NETWORK, "device", payload)[0]


def gateway_body(kind: int, body: list[Any]) -> Any:
    decoded = decode(signed(kind, body), NETWORK)
    assert not isinstance(decoded, Verdict), decoded
    assert decoded.verdict is Verdict.OK
    return decoded.message.body


# Four BME280 and PMS5003 quantities at their default resolutions, four samples each.
CALM = [
    (0, 0, -2, [2153, 2149, 2146, 2150], ()),
    (1, 0, -1, [554, 556, 557, 555], ()),
    (2, 0, -1, [10132, 10132, 10131, 10131], ()),
    (3, 0, -1, [85, 88, 83, 86], ()),
]
# Sun and cloud on a bad shield, a bus at the kerb: three columns jump by more than 24 units.
NOISY = [
    (0, 0, -2, [2153, 2190, 2141, 2185], ()),
    (1, 0, -1, [554, 590, 550, 587], ()),
    (2, 0, -1, [10132, 10135, 10130, 10133], ()),
    (3, 0, -1, [85, 210, 120, 260], ()),
]


def size_of(columns: Any, interval_ms: int, seq: int) -> int:
    body = wire.readings_body(0, [interval_ms] * 3, columns)
    return len(signed(wire.READINGS, body, seq=seq))


@pytest.mark.parametrize(
    "columns,interval_ms,seq,size",
    [
        (CALM, 60_000, 1_000, 182),
        (CALM, 300_000, 1_000, 184),
        (CALM, 300_000, 100_000, 186),
        (NOISY, 60_000, 1_000, 191),
        (NOISY, 300_000, 1_000, 193),
        (NOISY, 300_000, 100_000, 195),
    ],
)
def test_size_of_16_readings(columns: Any, interval_ms: int, seq: int, size: int) -> None:
    assert size_of(columns, interval_ms, seq) == size
    assert size <= 200


def test_gateway_reads_what_the_board_writes() -> None:
    hello = wire.hello_body(
        public_key=PUBLIC,
        firmware="cairn 0.1.0",
        quantities=[(0, 0, 60_000), (1, 2, 300_000)],
        duty=(1, 600_000, 30_000),
        place_commitment=b"c" * 32,
        scoring_cell=0x891F1D48B17FFFF,
        antenna=(215, 80),
    )
    declared = (model.Declared(0, 0, 60_000), model.Declared(1, 2, 300_000))
    assert gateway_body(wire.HELLO, hello) == model.Hello(
        PUBLIC,
        "cairn 0.1.0",
        declared,
        1,
        600_000,
        30_000,
        b"c" * 32,
        0x891F1D48B17FFFF,
        (215, 80),
    )
    assert gateway_body(wire.COMMIT, wire.commit_body(7, b"x" * 32)) == model.Commit(7, b"x" * 32)
    sent = [(9, 0, 1, -300)]
    assert gateway_body(wire.BEACON, wire.beacon_body(7, sent)).sent == tuple(sent)
    rows = [(9, b"t" * 16, -9000, 55, 1, 20), (10, b"u" * 16, -12000, None, 1, 0)]
    heard = gateway_body(wire.WITNESS, wire.witness_body(7, 0, rows))
    assert (heard.slots, heard.snr_cdb, heard.delays_ms) == ((9, 10), (55, None), (20, 0))
    assert gateway_body(wire.REVEAL, wire.reveal_body(7, b"x" * 32)) == model.Reveal(7, b"x" * 32)
    status = wire.status_body(60, (90_000, 1, None, -61), 5, 2, (20_000, 3))
    expected = model.Status(60, 90_000, 1, 5, 2, None, -61, (20_000, 3))
    assert gateway_body(wire.STATUS, status) == expected
    gap = gateway_body(wire.GAP, wire.gap_body(3, 9, 2, wire.GAP_DROPPED))
    assert gap == model.Gap(3, 9, 2, model.GapReason.DROPPED)
    clock = gateway_body(wire.CLOCK, wire.clock_body(2, SLOT_START, 1, 40))
    assert clock == model.ClockMap(2, SLOT_START, model.TimeSource.GATEWAY, 40)
    ack = gateway_body(wire.CONFIG_ACK, wire.config_ack_body(b"i" * 16, 2))
    assert ack == model.ConfigAck(b"i" * 16, 2)
    claim = gateway_body(wire.CLAIM, wire.claim_body(b"o" * 20, None))
    assert claim == model.Claim(b"o" * 20, 0, None)


values = st.one_of(st.none(), st.integers(-(2**53), 2**53))


@st.composite
def readings(draw: st.DrawFn) -> tuple[int, list[int], list[Any]]:
    steps = draw(st.lists(st.integers(1, 10_000_000), max_size=6))
    pairs = draw(
        st.lists(
            st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=5, unique=True
        )
    )
    columns = []
    for quantity, channel in sorted(pairs):
        column = draw(st.lists(values, min_size=len(steps) + 1, max_size=len(steps) + 1))
        empty = [index for index, value in enumerate(column) if value is None]
        faulty = draw(st.sets(st.sampled_from(empty))) if empty else set()
        faults = [(index, draw(st.integers(1, 9))) for index in sorted(faulty)]
        columns.append((quantity, channel, draw(st.integers(-9, 6)), column, faults))
    return draw(st.integers(0, 1_000_000)), steps, columns


@given(readings())
def test_readings_come_back_as_absolute_values(case: tuple[int, list[int], list[Any]]) -> None:
    t0, steps, columns = case
    body = gateway_body(wire.READINGS, wire.readings_body(t0, steps, columns))
    ages = [t0]
    for step in reversed(steps):
        ages.insert(0, ages[0] + step)
    assert list(body.sample_ages_ms) == ages
    back = [
        (
            column.quantity,
            column.channel,
            column.exponent,
            list(column.values),
            list(column.faults),
        )
        for column in body.columns
    ]
    assert back == [tuple(column) for column in columns]


@pytest.mark.parametrize(
    "build",
    [
        lambda: wire.readings_body(0, [0], CALM),
        lambda: wire.readings_body(0, [1], [(0, 0, 0, [1], ())]),
        lambda: wire.readings_body(0, [], [(1, 0, 0, [1], ()), (0, 0, 0, [1], ())]),
        lambda: wire.readings_body(0, [], [(0, 0, 0, [1], [(0, 1)])]),
        lambda: wire.readings_body(0, [], [(0, 0, 0, [2**53 + 1], ())]),
        lambda: wire.readings_body(0, [], [(0, 0, 0, [None], [(0, 10)])]),
        lambda: wire.readings_body(0, [], [(0, 0, 7, [1], ())]),
        lambda: wire.readings_body(0, [], []),
        lambda: wire.gap_body(5, 4, 0, 0),
        lambda: wire.gap_body(5, 5, 2, 1),
        lambda: wire.claim_body(b"short", None),
        lambda: wire.clock_body(1, 2, 0, 0),
        lambda: signed(16, []),
        lambda: signed(0, [], seq=0),
        lambda: signed(0, [], boot=0),
    ],
)
def test_builders_refuse_what_the_protocol_forbids(build: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any text will do: it is a bug report
        build()


RECEIPT = [7, b"i" * 16, [[9, 10], [12, 12]], [[3, 22]], SLOT_START]


def payload(kind: int, body: Any, to: bytes = b"d" * 16, version: int = 16) -> bytes:
    return cbor.encode([version, kind, to, 1, SLOT_START, body])


def test_downlinks_parse() -> None:
    kind, to, serial, time_ms, body = downlinks.parse(payload(17, RECEIPT))
    assert (kind, to, serial, time_ms) == (17, b"d" * 16, 1, SLOT_START)
    assert body == (7, b"i" * 16, ((9, 10), (12, 12)), ((3, 22),), SLOT_START)
    assert downlinks.parse(payload(21, [5], to=b""))[4] == (5,)
    assert downlinks.parse(payload(18, [b"s"]))[4] == (b"s",)
    assert downlinks.parse(payload(16, [b"n" * 16]))[4] == (b"n" * 16,)
    assert downlinks.parse(payload(23, [1, "text", b""]))[4] == (1, "text", b"")
    assert downlinks.parse(payload(20, ["whatever"]))[4] is None
    assert downlinks.parse(payload(99, [], version=17))[4] is None


@pytest.mark.parametrize(
    "data,code",
    [
        (payload(17, RECEIPT, version=32), "version"),
        (payload(17, RECEIPT, to=b"d"), "to"),
        (payload(15, []), "kind"),
        (payload(17, 1), "body"),
        (payload(17, RECEIPT[:4]), "body"),
        (payload(17, [7, b"i" * 16, [[8, 9]], [], 0]), "ranges"),
        (payload(17, [7, b"i" * 16, [[9, 10], [11, 12]], [], 0]), "ranges"),
        (payload(17, [7, b"i" * 16, [[10, 9]], [], 0]), "ranges"),
        (payload(17, [7, b"i" * 16, [[2 * n, 2 * n] for n in range(5, 38)], [], 0]), "ranges"),
        (payload(17, [7, b"i" * 16, [], [[n, 22] for n in range(1, 10)], 0]), "refused"),
        (payload(17, [7, b"i" * 15, [], [], 0]), "id16"),
        (payload(17, [2**53, b"i" * 16, [], [], 0]), "up_to"),
        (payload(16, [b"n"]), "nonce"),
        (payload(21, [-1]), "slot"),
        (payload(23, [1, "x" * 65, b""]), "text"),
        (payload(18, [1]), "statement"),
        (payload(17, RECEIPT) + b"\0", "trailing_bytes"),
        (b"", "truncated"),
        (b"\x01", "fields"),
    ],
)
def test_downlinks_refuse(data: bytes, code: str) -> None:
    with pytest.raises(downlinks.DownlinkError) as refused:
        downlinks.parse(data)
    assert refused.value.code == code


STATEMENT = cbor.encode([16, "gateway", GATEWAY_PUBLIC, 1, 0, 2**60])
ANSWER = cbor.encode([b"statement", b"message"])


@given(
    st.sampled_from([payload(17, RECEIPT), payload(23, [1, "t", b""]), STATEMENT, ANSWER]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 200),
)
def test_downlink_parsers_survive_mutation(
    data: bytes, changes: list[tuple[int, int]], length: int
) -> None:
    mutated = bytearray(data)
    for place, byte in changes:
        mutated[place % len(mutated)] = byte
    for parse in (downlinks.parse, downlinks.parse_statement, downlinks.parse_time_answer):
        for hostile in (bytes(mutated), bytes(mutated[:length])):
            with suppress(downlinks.DownlinkError):
                parse(hostile)


@given(st.binary(max_size=300))
def test_downlink_parsers_survive_noise(data: bytes) -> None:
    for parse in (downlinks.parse, downlinks.parse_statement, downlinks.parse_time_answer):
        with suppress(downlinks.DownlinkError):
            parse(data)
