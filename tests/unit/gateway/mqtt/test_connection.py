"""The protocol machine against the MQTT 3.1.1 text and protocol section 7, case by case."""

import pytest

from gateway.core.mqtt.connection import (
    HELD_BYTES_MAX,
    INBOUND_MAX,
    LOGIN_BYTES_MAX,
    SKIP_BYTES_MAX,
    Limits,
)
from gateway.core.mqtt.packets import ReturnCode
from tests.unit.gateway.mqtt.mqtt_kit import (
    DEVICE,
    GRANTED,
    NAME,
    OTHER,
    OTHER_NAME,
    PINGREQ,
    PREFIX,
    REFUSALS,
    UP,
    Client,
    connect,
    live,
    packet,
    puback,
    publish,
    text,
    two,
)

BAD_UTF8 = b"\xff\xfe"
SURROGATE = b"\xed\xa0\x80"

# ---- CONNECT


def test_a_login_is_asked_for_and_granted():
    client = Client()
    assert client.send(connect(keepalive_s=9, clean=False)) == GRANTED
    (asked,) = client.logins
    assert asked == (NAME, NAME, b"secret", False, 9)


@pytest.mark.parametrize(
    "case,code",
    [
        (connect(level=5, rest=b"\0" * 9), ReturnCode.PROTOCOL),
        (connect(level=3), ReturnCode.PROTOCOL),
        (connect(level=0x84), ReturnCode.PROTOCOL),
        (connect(protocol="MQIsdp", level=3), ReturnCode.PROTOCOL),
        (connect(client_id=""), ReturnCode.IDENTIFIER),
        (connect(client_id="", clean=False), ReturnCode.IDENTIFIER),
        (connect(client_id="gateway"), ReturnCode.IDENTIFIER),
        (connect(client_id=NAME.upper()), ReturnCode.IDENTIFIER),
        (connect(user=None, password=None), ReturnCode.CREDENTIALS),
        (connect(password=None), ReturnCode.CREDENTIALS),
        (connect(user=OTHER_NAME), ReturnCode.NOT_AUTHORIZED),
        (connect(user=""), ReturnCode.NOT_AUTHORIZED),
    ],
)
def test_a_connect_that_cannot_be_granted_is_told_why(case, code):
    client = Client()
    assert client.send(case) == REFUSALS[code]
    assert client.closed
    assert client.logins == []


@pytest.mark.parametrize(
    "case",
    [
        connect(flags=0xC3),  # reserved bit
        connect(flags=0x42, user=None),  # password without user name
        connect(flags=0xD2),  # will QoS without will
        connect(flags=0xE2),  # will retain without will
        connect(flags=0xDE, will=("t", "m")),  # will QoS 3
        connect(will=("t", None)),  # will cut off: the user name is read as its message
        connect(will=("a/#", "m")),
        connect(will=("", "m")),
        connect(protocol="HTTP"),
        connect(client_id=BAD_UTF8),
        connect(client_id=SURROGATE),
        connect(client_id="a\0b"),
        connect(user=BAD_UTF8),
        connect(rest=b"\0"),
        packet(0x11, connect()[2:]),  # reserved flags of the first byte
        packet(0x10, b""),
        packet(0x10, connect()[2:-1]),
        publish(),
        PINGREQ,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00",  # TLS to the plain port
        b"\x10\xff\xff\xff\xff\x01",  # a fifth byte of length
        packet(0x10, bytes(LOGIN_BYTES_MAX)),
    ],
)
def test_a_first_packet_that_breaks_the_protocol_ends_the_connection_without_an_answer(case):
    client = Client()
    assert client.send(case) == b""
    assert client.closed in ("protocol", "too_long")
    assert client.logins == []


def test_a_will_is_parsed_and_never_published():
    client = live()
    client = Client()
    assert client.send(connect(will=(f"{PREFIX}/{NAME}/up", "gone"))) == GRANTED
    client.leave()
    assert client.submits == []


@pytest.mark.parametrize("flags", [0xC6, 0xCE, 0xD6, 0xE6])
def test_every_will_qos_and_retain_is_parsed(flags):
    assert Client().send(connect(flags=flags, will=("t", "m"))) == GRANTED


def test_a_second_connect_ends_the_connection():
    client = live()
    assert client.send(connect()) == b""
    assert client.closed == "protocol"


def test_what_comes_while_the_login_is_pending_is_held_and_then_taken():
    client = Client(answer=False)
    assert client.send(connect() + publish(), PINGREQ) == b""
    assert client.submits == []
    assert client.connection.blocked
    client.grant()
    assert client.run() == GRANTED + b"\xd0\x00" + puback(1)
    assert len(client.submits) == 1


def test_what_comes_while_the_login_is_pending_is_bounded():
    client = Client(answer=False)
    client.send(connect(), *[bytes(1000)] * (HELD_BYTES_MAX // 1000))
    assert client.closed is None
    client.send(bytes(1000))
    assert client.closed == "flood"


def test_a_refused_login_leaves_no_session():
    client = Client(answer=False)
    client.send(connect(clean=False))
    client.connection.refuse(ReturnCode.NOT_AUTHORIZED, "counter")
    assert client.run() == REFUSALS[ReturnCode.NOT_AUTHORIZED]
    assert client.closed == "counter"
    assert len(client.sessions) == 0


# ---- PUBLISH


def test_a_publish_is_submitted_and_acknowledged_when_it_has_its_verdict():
    client = live(acknowledge=False)
    assert client.send(publish(payload=b"abc", packet_id=0x1234)) == b""
    (submit,) = client.submits
    assert (submit.device, submit.data, submit.oversize) == (DEVICE, b"abc", False)
    submit.ticket.done = True
    assert client.run() == puback(0x1234)


def test_pubacks_keep_the_order_of_arrival():
    client = live(acknowledge=False)
    client.send(publish(packet_id=3) + publish(packet_id=0) + publish(packet_id=1))
    first, second, third = (submit.ticket for submit in client.submits)
    third.done = second.done = True
    assert client.run() == b""
    first.done = True
    assert client.run() == puback(3) + puback(1)


def test_qos_0_is_submitted_and_not_acknowledged():
    client = live()
    assert client.send(publish(packet_id=0, payload=b"")) == b""
    assert [(s.device, s.data) for s in client.submits] == [(DEVICE, b"")]


@pytest.mark.parametrize("first", [0x33, 0x3A, 0x3B])
def test_dup_and_retain_of_a_qos_1_publish_change_nothing(first):
    client = live()
    assert client.send(publish(first=first)) == puback(1)
    assert client.submits[0].device == DEVICE


@pytest.mark.parametrize(
    "topic,device",
    [
        (f"{PREFIX}/{OTHER_NAME}/up", OTHER),
        (f"{PREFIX}/{NAME.upper()}/up", None),
        (f"{PREFIX}/{NAME}/down/receipt", None),
        (f"{PREFIX}/{NAME}/up/more", None),
        (f"{PREFIX}/all/tick", None),
        (f"{PREFIX}/control/tick", None),
        (f"cairn/1/0000000000000000/{NAME}/up", None),
        ("anything", None),
        ("$SYS/broker", None),
    ],
)
@pytest.mark.parametrize("packet_id", [0, 5])
def test_a_publish_under_any_topic_is_submitted_under_what_it_names(topic, device, packet_id):
    client = live()
    assert client.send(publish(topic, packet_id=packet_id)) == (b"", puback(5))[packet_id > 0]
    assert [submit.device for submit in client.submits] == [device]


@pytest.mark.parametrize(
    "case",
    [
        publish(first=0x34),  # QoS 2
        publish(first=0x36),  # reserved QoS 3
        publish(packet_id=0, first=0x38),  # DUP at QoS 0
        publish(packet_id=0, first=0x32, payload=b"\0\0"),  # packet id 0
        publish("", packet_id=1),
        publish("a/+"),
        publish("a/#"),
        publish(BAD_UTF8),
        publish(SURROGATE),
        publish("a\0"),
        packet(0x32, text(UP)),  # no packet id
        packet(0x32, text(UP) + b"\0"),
        packet(0x30, b"\0"),
        packet(0x30, b"\0\x09a"),
    ],
)
def test_a_publish_that_breaks_the_protocol_ends_the_connection(case):
    client = live()
    assert client.send(case) == b""
    assert client.closed == "protocol"
    assert client.submits == []


def test_reading_stops_at_the_window_and_goes_on_behind_it():
    client = live(acknowledge=False)
    client.send(b"".join(publish(packet_id=i + 1) for i in range(INBOUND_MAX + 5)))
    assert len(client.submits) == INBOUND_MAX
    assert client.connection.blocked
    client.submits[0].ticket.done = True
    assert client.run() == puback(1)
    assert len(client.submits) == INBOUND_MAX + 1
    for submit in client.submits:
        submit.ticket.done = True
    client.acknowledge = True
    assert client.run() == b"".join(puback(i + 1) for i in range(1, INBOUND_MAX + 5))
    assert not client.connection.blocked


def test_without_parsing_only_answers_go_out():
    client = live(acknowledge=False)
    client.send(publish(packet_id=1))
    client.submits[0].ticket.done = True
    client.connection.feed(publish(packet_id=2), 0)
    assert client.run(parse=False) == puback(1)
    assert len(client.submits) == 1


# ---- too long


def test_a_publish_that_is_too_long_is_submitted_by_its_beginning():
    client = live(limits=Limits(packet_bytes_max=256))
    payload = bytes(i % 251 for i in range(1000))
    data = publish(payload=payload) + publish(packet_id=2)
    assert client.send(*(data[i : i + 7] for i in range(0, len(data), 7))) == (
        puback(1) + puback(2)
    )
    long, short = client.submits
    assert (long.device, long.oversize) == (DEVICE, True)
    assert payload.startswith(long.data)
    assert 0 < len(long.data) <= 256
    assert (short.data, short.oversize) == (b"data", False)


@pytest.mark.parametrize("over,oversize", [(0, False), (1, True)])
def test_the_limit_is_the_whole_packet(over, oversize):
    client = live()
    head = len(publish(payload=bytes(8000))) - 8000
    client.send(publish(payload=bytes(8192 - head + over)))
    assert [submit.oversize for submit in client.submits] == [oversize]


def test_a_publish_without_end_is_submitted_once_and_the_connection_ends():
    client = live()
    head = bytes([0x32]) + b"\xff\xff\xff\x7f" + text(UP) + two(1)
    client.send(head, bytes(10_000))
    assert [(s.device, s.oversize) for s in client.submits] == [(DEVICE, True)]
    assert client.closed == "too_long"


@pytest.mark.parametrize("over,reason", [(0, None), (1, "too_long")])
def test_one_mebibyte_is_skipped_and_one_byte_more_is_not(over, reason):
    client = live()
    body = text(UP) + two(1)
    client.send(packet(0x32, body + bytes(SKIP_BYTES_MAX + over - len(body))))
    assert [submit.oversize for submit in client.submits] == [True]
    assert client.closed == reason


def test_an_oversized_publish_under_anothers_topic_keeps_its_topic():
    client = live()
    client.send(publish(f"{PREFIX}/{OTHER_NAME}/up", bytes(9000)))
    assert [(s.device, s.oversize) for s in client.submits] == [(OTHER, True)]


def test_an_oversized_publish_with_a_broken_head_ends_the_connection():
    client = live()
    client.send(publish("a\0", bytes(9000)))
    assert client.closed == "protocol"


@pytest.mark.parametrize("case", [packet(0x82, bytes(9000)), packet(0xA2, bytes(9000))])
def test_other_packets_that_are_too_long_end_the_connection(case):
    client = live()
    client.send(case)
    assert client.closed == "too_long"
