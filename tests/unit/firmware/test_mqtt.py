"""The codec of the client against the gateway's, which was written apart."""

from contextlib import suppress

import pytest
from cairn import mqtt
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.mqtt import packets as server
from tests.unit.firmware.bench_broker import Packet, split_packets

BODY_MAX = 300
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
topics = texts.filter(lambda text: text and not set(text) & set("+#"))
packet_ids = st.integers(1, 65_535)


def one_packet(data: bytes) -> Packet:
    left = bytearray(data)
    (packet,) = split_packets(left)
    assert not left
    return packet


def parse(data: bytes, *, at_once: bool = True, body_bytes_max: int = BODY_MAX) -> list[tuple]:
    parser = mqtt.Parser(body_bytes_max)
    found = []
    for piece in [data] if at_once else [data[i : i + 1] for i in range(len(data))]:
        parser.feed(piece)
        while (packet := parser.next()) is not None:
            found.append(packet)
    return found


@given(texts, texts, st.binary(max_size=400), st.integers(0, 65_535))
def test_connect(client_id: str, user: str, password: bytes, keepalive_s: int) -> None:
    for clean in (True, False):
        data = mqtt.connect(client_id.encode(), user.encode(), password, keepalive_s, clean=clean)
        packet = one_packet(data)
        assert packet[:2] == (1, 0)
        expected = server.Connect(client_id, user, password, clean, keepalive_s)
        assert server.open_connect(packet.body) == expected


@given(topics, st.binary(max_size=200), st.integers(0, 65_535))
def test_publish(topic: str, payload: bytes, packet_id: int) -> None:
    data = mqtt.publish(topic.encode(), payload, packet_id)
    packet = one_packet(data)
    assert packet[:2] == (3, 2 if packet_id else 0)
    head = server.open_publish(packet.flags, packet.body)
    assert head is not None
    assert (head.topic, head.packet_id) == (topic, packet_id)
    assert packet.body[head.payload_at :] == payload
    if packet_id:
        assert one_packet(mqtt.again(data)) == packet._replace(flags=10)


@given(packet_ids, st.lists(st.tuples(topics, st.integers(0, 1)), min_size=1, max_size=4))
def test_subscribe_and_puback(packet_id: int, filters: list[tuple[str, int]]) -> None:
    wanted = [(topic.encode(), qos) for topic, qos in filters]
    packet = one_packet(mqtt.subscribe(packet_id, wanted))
    assert packet[:2] == (8, 2)
    assert server.open_subscribe(packet.body) == (packet_id, filters)
    assert server.open_puback(one_packet(mqtt.puback(packet_id)).body) == packet_id


def test_packets_without_a_body() -> None:
    assert one_packet(mqtt.PINGREQ) == (12, 0, b"")
    assert one_packet(mqtt.DISCONNECT) == (14, 0, b"")


@pytest.mark.parametrize("size", [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_every_length_of_the_remaining_length(size: int) -> None:
    topic = b"t"
    payload = bytes(max(0, size - 3))
    data = mqtt.publish(topic, payload, 0)
    assert one_packet(data).body == b"\x00\x01t" + payload
    assert parse(data, body_bytes_max=size + 3) == [(mqtt.PUBLISH, topic, payload, 0)]


def test_what_cannot_be_written_is_a_bug() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return mqtt.REMAINING_MAX + 1

    with pytest.raises(ValueError, match="so long"):
        mqtt._packet(0x30, Huge())
    with pytest.raises(ValueError, match="two bytes"):
        mqtt.publish(bytes(65_536), b"", 0)
    with pytest.raises(ValueError, match="two bytes"):
        mqtt.puback(65_536)


served = st.one_of(
    st.tuples(st.just(mqtt.PUBLISH), topics, st.binary(max_size=150), st.integers(0, 65_535)),
    st.tuples(st.just(mqtt.PUBACK), packet_ids),
    st.tuples(st.just(mqtt.CONNACK), st.integers(0, 5), st.booleans()),
    st.tuples(
        st.just(mqtt.SUBACK),
        packet_ids,
        st.lists(st.sampled_from([0, 1, 2, 128]), min_size=1, max_size=3),
    ),
    st.tuples(st.just(mqtt.PINGRESP)),
)


def serve(packet: tuple) -> bytes:
    """The packet as the gateway writes it."""
    kind, rest = packet[0], packet[1:]
    if kind == mqtt.PUBLISH:
        topic, payload, packet_id = rest
        parts = [packet_id.to_bytes(2, "big")] if packet_id else []
        return server.packet(0x32 if packet_id else 0x31, server.field(topic), *parts, payload)
    if kind == mqtt.PUBACK:
        return server.puback(*rest)
    if kind == mqtt.CONNACK:
        return server.connack(server.ReturnCode(rest[0]), present=rest[1])
    return server.suback(*rest) if kind == mqtt.SUBACK else server.PINGRESP


def as_parsed(packet: tuple) -> tuple:
    if packet[0] == mqtt.PUBLISH:
        return (packet[0], packet[1].encode(), *packet[2:])
    return (*packet[:2], bytes(packet[2])) if packet[0] == mqtt.SUBACK else packet


@given(st.lists(served, max_size=6), st.lists(st.integers(1, 60), max_size=20))
def test_a_stream_is_read_however_it_is_split(sent: list[tuple], sizes: list[int]) -> None:
    data = b"".join(map(serve, sent))
    parser = mqtt.Parser(400)
    found = []
    for size in [*sizes, len(data)]:
        piece, data = data[:size], data[size:]
        parser.feed(piece)
        while (packet := parser.next()) is not None:
            found.append(packet)
    assert found == [as_parsed(packet) for packet in sent]


@given(
    st.lists(served, min_size=1, max_size=4), st.integers(0, 400), st.integers(0, 255), st.data()
)
def test_mutated_bytes_raise_one_error_and_hold_little(
    sent: list[tuple], place: int, byte: int, data: st.DataObject
) -> None:
    stream = bytearray(b"".join(map(serve, sent)))
    stream[place % len(stream)] = byte
    parser = mqtt.Parser(BODY_MAX)
    with suppress(mqtt.MqttError):
        while stream:
            size = data.draw(st.integers(1, 100))
            parser.feed(bytes(stream[:size]))
            del stream[:size]
            while (packet := parser.next()) is not None:
                assert packet[0] in (2, 3, 4, 9, 13)
            assert len(parser._data) - parser._at < BODY_MAX + 5


@given(st.binary(max_size=200))
def test_any_bytes_raise_one_error_at_most(data: bytes) -> None:
    outcomes = []
    for at_once in (True, False):
        try:
            outcomes.append(parse(data, at_once=at_once))
        except mqtt.MqttError as error:
            outcomes.append(error.code)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("packet_id", [0, 7])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_payload_that_is_too_long_is_passed_over(at_once: bool, packet_id: int) -> None:  # noqa: FBT001
    long = mqtt.publish(b"topic", bytes(BODY_MAX + 100), packet_id)
    parser = mqtt.Parser(BODY_MAX)
    held = 0
    found = []
    for piece in [long + mqtt.puback(9)] if at_once else [b"%c" % byte for byte in long]:
        parser.feed(piece)
        while (packet := parser.next()) is not None:
            found.append(packet)
        held = max(held, len(parser._data) - parser._at)
    assert held < 20
    parser.feed(mqtt.puback(10))
    assert parser.next() == (mqtt.PUBACK, 10)
    assert found[0] == (mqtt.PUBLISH, b"topic", None, packet_id)
    assert found[1:] == ([(mqtt.PUBACK, 9)] if at_once else [])


@pytest.mark.parametrize(
    "data,code",
    [
        (b"\x00\x00", "kind"),
        (b"\x10\x00", "kind"),
        (b"\x50\x02\x00\x01", "kind"),
        (b"\xb0\x02\x00\x01", "kind"),
        (b"\xe0\x00", "kind"),
        (b"\xf0\x00", "kind"),
        (b"\xd1\x00", "flags"),
        (b"\x42\x02\x00\x01", "flags"),
        (b"\x38\x03\x00\x01t", "flags"),
        (b"\x34\x05\x00\x01t\x00\x01", "qos"),
        (b"\x36\x05\x00\x01t\x00\x01", "qos"),
        (b"\x30\x00", "topic"),
        (b"\x30\x01\x00", "topic"),
        (b"\x30\x03\x00\x02t", "topic"),
        (b"\x30\xe8\x07\x01\x50", "topic"),
        (b"\x32\x03\x00\x01t", "packet_id"),
        (b"\x32\x04\x00\x01t\x00", "packet_id"),
        (b"\x32\x05\x00\x01t\x00\x00", "packet_id"),
        (b"\x40\x02\x00\x00", "packet_id"),
        (b"\x90\x03\x00\x00\x00", "packet_id"),
        (b"\x40\x03\x00\x01\x00", "length"),
        (b"\xd0\x01\x00", "length"),
        (b"\x20\x01\x00", "length"),
        (b"\x90\x02\x00\x01", "length"),
        (b"\x40\xe8\x07", "length"),
        (b"\x30\xff\xff\xff\xff\x01", "length"),
        (b"\x20\x02\x02\x00", "connack"),
        (b"\x20\x02\x00\x06", "connack"),
        (b"\x90\x03\x00\x01\x03", "suback"),
        (b"\x90\x04\x00\x01\x00\x81", "suback"),
    ],
)
def test_every_refusal_has_a_code(data: bytes, code: str) -> None:
    parser = mqtt.Parser(BODY_MAX)
    parser.feed(data)
    with pytest.raises(mqtt.MqttError) as refused:
        parser.next()
    assert refused.value.code == code
