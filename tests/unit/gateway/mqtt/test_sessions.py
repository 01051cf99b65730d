"""Sessions and retained messages: what survives a connection, and what it may cost."""

import pytest

from gateway.core.mqtt.packets import filter_matches, filter_valid
from gateway.core.mqtt.session import IN_FLIGHT_MAX, TOPICS_MAX, Sessions
from tests.unit.gateway.mqtt.mqtt_kit import (
    ALL,
    DEVICE,
    DOWN,
    GRANTED,
    OTHER,
    RESUMED,
    Client,
    connect,
    live,
    packet,
    puback,
    suback,
    subscribe,
    text,
    two,
)

BOTH = subscribe((f"{DOWN}/#", 1), (f"{ALL}/#", 0))


def sent(topic, payload=b"x", *, packet_id=0, flags=0):
    body = text(topic) + (two(packet_id) if packet_id else b"") + payload
    return packet((0x32 if packet_id else 0x30) | flags, body)


DUP, RETAIN = 8, 1


@pytest.mark.parametrize(
    "name,topic,matches",
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/+", "a", False),
        ("a/+", "a/", True),
        ("+/b", "a/b", True),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "ab", False),
        ("a/+/#", "a", False),
        ("a/+/#", "a/b", True),
        ("a/b/#", "a", False),
        ("#", "a/b", True),
        ("+/+", "/finance", True),
    ],
)
def test_filters_match_as_section_4_7_says(name, topic, matches):
    assert filter_valid(name)
    assert filter_matches(name, topic) is matches


def test_a_downlink_goes_out_at_qos_1_and_leaves_with_its_puback():
    client = live()
    client.send(BOTH)
    assert client.to_device(f"{DOWN}/receipt") == sent(f"{DOWN}/receipt", packet_id=1)
    client.send(puback(1))
    client.leave()
    assert client.sessions.get(DEVICE) is None


def test_a_downlink_at_a_granted_qos_0_has_no_packet_id():
    client = live()
    client.send(subscribe((f"{DOWN}/#", 0)))
    assert client.to_device(f"{DOWN}/receipt") == sent(f"{DOWN}/receipt")


def test_the_highest_of_several_granted_qos_counts_and_one_copy_is_sent():
    client = live()
    client.send(subscribe((f"{DOWN}/#", 0), (f"{DOWN}/receipt", 1)))
    assert client.to_device(f"{DOWN}/receipt") == sent(f"{DOWN}/receipt", packet_id=1)
    assert client.to_device(f"{DOWN}/notice") == sent(f"{DOWN}/notice")


def test_messages_to_all_share_one_packet_and_stay_qos_0():
    sessions = Sessions(10)
    clients = [live(sessions), Client(sessions)]
    clients[0].send(subscribe((f"{ALL}/#", 1)))
    message = clients[0].message(f"{ALL}/tick", qos=0)
    assert clients[0].connection.fan_out(message) is message.packet
    assert message.packet == sent(f"{ALL}/tick")
    assert clients[1].connection.fan_out(message) is None


def test_nothing_is_sent_to_whoever_subscribed_to_nothing():
    sessions = Sessions(10)
    first = live(sessions)
    first.to_all(f"{ALL}/tick")
    first.to_device(f"{DOWN}/receipt")
    second = live(sessions, clean=False)
    assert second.out == GRANTED
    assert second.to_device(f"{DOWN}/receipt") == b""


def test_retained_messages_come_with_a_subscription_marked_as_such():
    client = live()
    client.to_all(f"{ALL}/tick", b"old")
    client.to_all(f"{ALL}/tick", b"new")
    client.to_device(f"{DOWN}/receipt", b"r")
    client.to_device(f"{DOWN}/notice", b"n", retained=False)
    assert client.send(BOTH) == (
        suback(1, 0)
        + sent(f"{DOWN}/receipt", b"r", packet_id=1, flags=RETAIN)
        + sent(f"{ALL}/tick", b"new", flags=RETAIN)
    )
    # Again with each subscription (section 3.8.4), but only what it matches.
    assert client.send(subscribe((f"{ALL}/+", 0))) == (
        suback(0) + sent(f"{ALL}/tick", b"new", flags=RETAIN)
    )


def test_retained_messages_of_one_device_are_not_another_s():
    sessions = Sessions(10)
    client = live(sessions)
    client.to_device(f"{DOWN}/receipt")
    other = Client(sessions, answer=False)
    other.send(connect())
    other.grant(OTHER)
    other.run()
    assert other.send(BOTH) == suback(0x80, 0)


def test_a_kept_session_returns_with_what_was_in_flight():
    sessions = Sessions(10)
    client = live(sessions, clean=False)
    client.send(BOTH)
    client.to_device(f"{DOWN}/receipt", b"1")
    client.to_device(f"{DOWN}/keys", b"2")
    client.send(puback(1))
    client.leave()
    again = Client(sessions)
    assert again.send(connect(clean=False)) == RESUMED + sent(
        f"{DOWN}/keys", b"2", packet_id=2, flags=DUP
    )
    # A new message takes another id.
    assert again.to_device(f"{DOWN}/receipt", b"3") == sent(f"{DOWN}/receipt", b"3", packet_id=3)


def test_a_kept_session_holds_the_newest_of_each_topic():
    sessions = Sessions(10)
    client = live(sessions, clean=False)
    client.send(BOTH)
    client.to_all(f"{ALL}/keys", b"seen")
    client.leave()
    for number in range(100):
        client.to_all(f"{ALL}/tick", b"%d" % number)
        session = sessions.get(DEVICE)
        session.offer(client.message(f"{DOWN}/receipt", b"%d" % number))
    again = Client(sessions)
    assert again.send(connect(clean=False)) == (
        RESUMED + sent(f"{DOWN}/receipt", b"99", packet_id=1) + sent(f"{ALL}/tick", b"99")
    )


def test_retained_messages_in_flight_keep_their_mark_when_sent_again():
    sessions = Sessions(10)
    client = live(sessions, clean=False)
    client.to_device(f"{DOWN}/receipt")
    client.send(BOTH)
    client.leave()
    again = Client(sessions)
    assert again.send(connect(clean=False)) == RESUMED + sent(
        f"{DOWN}/receipt", packet_id=1, flags=DUP | RETAIN
    )


@pytest.mark.parametrize("first,second", [(False, True), (True, False), (True, True)])
def test_a_clean_session_on_either_side_starts_anew(first, second):
    sessions = Sessions(10)
    client = live(sessions, clean=first)
    client.send(BOTH)
    client.to_device(f"{DOWN}/receipt")
    client.leave()
    again = Client(sessions)
    assert again.send(connect(clean=second)) == GRANTED
    assert again.to_device(f"{DOWN}/receipt") == b""


def test_a_login_that_is_not_to_be_kept_leaves_nothing():
    sessions = Sessions(10)
    live(sessions, clean=False, keep=False).leave()
    assert len(sessions) == 0


def test_the_session_left_longest_ago_goes_first():
    sessions = Sessions(2)
    devices = [bytes([i]) * 16 for i in range(4)]
    for device in devices[:3]:
        sessions.leave(sessions.open(device, clean=False, keep=True)[0])
    assert [sessions.get(device) is not None for device in devices] == [False, True, True, False]
    # One that is in use does not count, and comes back as the newest.
    session, present = sessions.open(devices[1], clean=False, keep=True)
    assert present
    sessions.leave(sessions.open(devices[3], clean=False, keep=True)[0])
    assert sessions.get(devices[2]) is not None
    sessions.leave(session)
    assert sessions.get(devices[2]) is None
    assert sessions.get(devices[1]) is session


def test_the_window_fills_and_what_waits_is_the_newest_of_each_topic():
    client = live()
    client.send(BOTH)
    for number in range(100):
        client.to_device(f"{DOWN}/receipt", b"%d" % number)
    assert client.out.count(f"{DOWN}/receipt".encode()) == IN_FLIGHT_MAX
    assert client.send(puback(1)) == sent(f"{DOWN}/receipt", b"99", packet_id=17)
    assert client.send(puback(2)) == b""


def test_a_full_window_holds_no_message_at_qos_0_up():
    client = live()
    client.send(subscribe((f"{DOWN}/#", 1), (f"{ALL}/#", 0)))
    for _ in range(IN_FLIGHT_MAX + 1):
        client.to_device(f"{DOWN}/receipt")
    assert client.send(subscribe((f"{ALL}/#", 0))) == suback(0)
    assert client.to_all(f"{ALL}/tick") == sent(f"{ALL}/tick")


def test_nothing_is_written_to_a_client_that_does_not_read_and_the_newest_comes_after():
    client = live()
    client.send(BOTH)
    client.connection.clogged_ms = 0
    assert client.to_device(f"{DOWN}/receipt", b"1") == b""
    assert client.to_all(f"{ALL}/tick", b"2") is None
    assert client.to_all(f"{ALL}/tick", b"3") is None
    client.connection.clogged_ms = None
    assert client.run() == (sent(f"{DOWN}/receipt", b"1", packet_id=1) + sent(f"{ALL}/tick", b"3"))


def test_topics_beyond_the_bound_replace_the_oldest():
    client = live()
    client.send(BOTH)
    client.connection.clogged_ms = 0
    for number in range(TOPICS_MAX + 3):
        client.to_all(f"{ALL}/{number}")
    client.connection.clogged_ms = None
    out = client.run()
    assert sent(f"{ALL}/2") not in out
    assert out.startswith(sent(f"{ALL}/3"))


def test_packet_ids_wrap_and_skip_what_is_in_flight():
    client = live()
    client.send(BOTH)
    client.to_device(f"{DOWN}/receipt")
    for number in range(2, 65_536):
        client.to_device(f"{DOWN}/keys")
        client.send(puback(number))
    assert client.to_device(f"{DOWN}/keys") == sent(f"{DOWN}/keys", packet_id=2)


def test_what_a_login_brings_does_not_undo_what_came_meanwhile():
    client = live(clean=False)
    since = client.sessions.serial
    session = client.sessions.get(DEVICE)
    session.hold(client.message(f"{DOWN}/receipt", b"newer"))
    older = client.message(f"{DOWN}/receipt", b"older")
    session.restore([older], since)
    assert b"newer" in client.send(BOTH)
    session.restore([older], client.sessions.serial)
    assert b"older" in client.send(BOTH)
