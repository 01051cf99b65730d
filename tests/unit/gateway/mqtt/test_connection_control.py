"""The protocol machine, continued: subscriptions, small packets, the operator, time."""

import pytest

from gateway.core.mqtt.connection import ControlTick
from tests.unit.gateway.mqtt.mqtt_kit import (
    ALL,
    DISCONNECT,
    DOWN,
    NAME,
    OTHER,
    OTHER_NAME,
    PINGREQ,
    PREFIX,
    Client,
    connect,
    live,
    packet,
    puback,
    publish,
    suback,
    subscribe,
    text,
    two,
    unsubscribe,
)

BAD_UTF8 = b"\xff\xfe"

# ---- SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT, PUBACK


@pytest.mark.parametrize(
    "name,qos,code",
    [
        (f"{DOWN}/#", 1, 1),
        (f"{DOWN}/#", 2, 1),
        (f"{DOWN}/#", 0, 0),
        (f"{DOWN}/+", 1, 1),
        (f"{DOWN}/receipt", 1, 1),
        (f"{ALL}/#", 0, 0),
        (f"{ALL}/tick", 1, 1),
        (f"{ALL}/+/more", 1, 1),
        ("#", 0, 0x80),
        ("+", 0, 0x80),
        ("$SYS/#", 0, 0x80),
        (f"{PREFIX}/#", 0, 0x80),
        (f"{PREFIX}/+/down/#", 0, 0x80),
        (f"{PREFIX}/+/#", 0, 0x80),
        (f"{PREFIX}/{NAME}/#", 0, 0x80),
        (f"{PREFIX}/{NAME}/up", 0, 0x80),
        (f"{PREFIX}/{OTHER_NAME}/down/#", 0, 0x80),
        (f"{PREFIX}/all", 0, 0x80),
        (f"{PREFIX}/control/tick", 0, 0x80),
        (f"cairn/1/0000000000000000/{NAME}/down/#", 0, 0x80),
        (f"{ALL}/" + "x" * 200, 0, 0x80),
    ],
)
def test_a_subscription_is_granted_beneath_ones_own_topics_only(name, qos, code):
    client = live()
    assert client.send(subscribe((name, qos))) == suback(code)
    assert client.closed is None


def test_several_filters_are_answered_in_their_order():
    client = live()
    asked = subscribe(("#", 1), (f"{DOWN}/#", 1), (f"{ALL}/#", 0))
    assert client.send(asked) == suback(0x80, 1, 0)


def test_the_number_of_subscriptions_is_bounded():
    client = live()
    names = [f"{ALL}/{i}" for i in range(20)]
    assert client.send(subscribe(*((name, 0) for name in names))) == suback(*[0] * 16, *[0x80] * 4)
    # One that is there may change, and one that goes makes room.
    assert client.send(subscribe((names[0], 1))) == suback(1)
    client.send(unsubscribe(names[1]))
    assert client.send(subscribe((names[19], 0))) == suback(0)


@pytest.mark.parametrize(
    "case",
    [
        packet(0x80, subscribe((ALL, 0))[2:]),  # flags must be 2
        subscribe(),
        subscribe((ALL, 0), packet_id=0),
        subscribe((f"{ALL}/#", 3)),
        subscribe((f"{ALL}/#", 0x81)),
        subscribe(("", 0)),
        subscribe((f"{ALL}/#/x", 0)),
        subscribe((f"{ALL}/x#", 0)),
        subscribe((f"{ALL}/x+", 0)),
        subscribe((f"{ALL}\0", 0)),
        subscribe((BAD_UTF8, 0)),
        packet(0x82, two(1) + text(ALL)),  # no QoS
        packet(0x82, b"\0"),
        packet(0xA0, unsubscribe(ALL)[2:]),
        unsubscribe(),
        unsubscribe(ALL, packet_id=0),
        unsubscribe("a/#/b"),
        packet(0xC1),
        packet(0xC0, b"\0"),
        packet(0xE1),
        packet(0xE0, b"\0"),
        packet(0x40, b"\0"),
        packet(0x40, b"\0\0"),
        packet(0x40, b"\0\1\0"),
        packet(0x41, b"\0\1"),
        packet(0x20, b"\0\0"),  # what only a server sends
        packet(0x90, b"\0\1\0"),
        packet(0xB0, b"\0\1"),
        packet(0xD0),
        packet(0x50, b"\0\1"),  # QoS 2
        packet(0x62, b"\0\1"),
        packet(0x70, b"\0\1"),
        packet(0x00),
        packet(0xF0),
    ],
)
def test_a_packet_that_breaks_the_protocol_ends_the_connection(case):
    client = live()
    assert client.send(case) == b""
    assert client.closed == "protocol"


def test_unsubscribe_is_always_answered_and_ends_delivery():
    client = live()
    client.send(subscribe((f"{ALL}/#", 0)))
    assert client.to_all(f"{ALL}/tick") is not None
    assert client.send(unsubscribe(f"{ALL}/#", "never")) == packet(0xB0, two(8))
    assert client.to_all(f"{ALL}/tick") is None


def test_a_ping_is_answered():
    assert live().send(PINGREQ) == b"\xd0\x00"


def test_after_disconnect_nothing_is_taken():
    client = live()
    assert client.send(DISCONNECT + publish()) == b""
    assert (client.closed, client.submits) == ("disconnect", [])
    assert client.send(publish()) == b""


def test_an_unknown_puback_is_ignored():
    client = live()
    assert client.send(puback(77)) == b""
    assert client.closed is None


# ---- the operator


def test_the_operators_tick_is_for_the_clock_and_acknowledged_after_it():
    client = live(operator=True, acknowledge=False)
    assert client.send(publish(f"{PREFIX}/control/tick", b"\x81\x05", packet_id=9)) == b""
    (tick,) = client.submits
    assert isinstance(tick, ControlTick)
    assert tick.data == b"\x81\x05"
    tick.ticket.done = True
    assert client.run() == puback(9)


def test_what_else_an_operator_publishes_is_submitted():
    client = live(operator=True)
    client.send(publish(f"{PREFIX}/{OTHER_NAME}/up") + publish(f"{PREFIX}/control/tick/x"))
    assert [submit.device for submit in client.submits] == [OTHER, None]


# ---- time


def test_a_client_that_does_not_connect_is_dropped_even_if_it_dribbles():
    client = Client()
    client.now_ms = 9_999
    client.send(connect()[:5])
    assert client.connection.expired(9_999, reading=True) is None
    assert client.connection.expired(10_000, reading=True) == "connect_timeout"


def test_the_wait_for_our_own_answer_costs_a_client_nothing():
    client = Client(answer=False)
    client.send(connect(keepalive_s=1))
    assert client.connection.expired(60_000, reading=True) is None
    client.grant()
    client.run()
    assert client.connection.expired(61_000, reading=True) is None


@pytest.mark.parametrize("keepalive_s,dead_ms", [(2, 3_001), (0, None)])
def test_keepalive_is_one_and_a_half_times_what_was_asked(keepalive_s, dead_ms):
    client = Client()
    client.send(connect(keepalive_s=keepalive_s))
    assert client.connection.expired(3_000, reading=True) is None
    late = client.connection.expired(dead_ms or 10**9, reading=True)
    assert late == ("keepalive" if dead_ms else None)


def test_any_packet_keeps_a_client_alive():
    client = live()
    client.now_ms = 80_000
    client.send(PINGREQ)
    assert client.connection.expired(170_000, reading=True) is None
    assert client.connection.expired(170_001, reading=True) == "keepalive"


def test_silence_does_not_count_while_we_do_not_read():
    client = live()
    assert client.connection.expired(10**6, reading=False) is None
    assert client.connection.expired(10**6 + 90_000, reading=True) is None
    assert client.connection.expired(10**6 + 90_001, reading=True) == "keepalive"


def test_a_client_that_does_not_read_is_dropped_in_the_end():
    client = live()
    client.connection.clogged_ms = 5
    assert client.connection.expired(60_004, reading=False) is None
    assert client.connection.expired(60_005, reading=False) == "slow_reader"
