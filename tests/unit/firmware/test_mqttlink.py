"""MqttLink in virtual time, against a broker that does what the test says."""

from itertools import pairwise

import pytest
from cairn import limits, mqtt
from cairn.boards.host import MemoryFiles
from cairn.errors import OperatorError
from cairn.login import Login
from cairn.mqttlink import MqttLink

from gateway.core.login import Login as OpenedLogin
from gateway.core.login import open_login
from tests.unit.firmware import conformance
from tests.unit.firmware.bench import Bench, make_config
from tests.unit.firmware.bench_broker import (
    CONNECT,
    PINGREQ,
    PUBLISH,
    SUBSCRIBE,
    LinkBench,
    fields,
)

HOUR_MS = 3_600_000
PASSWORD = "of this broker"  # noqa: S105 - nobody listens


@pytest.mark.parametrize("case", conformance.LINKS)
def test_conformance(case) -> None:
    bench = LinkBench()
    far: list[bytes] = []
    bench.broker.on_publish = lambda one: far.append(one.payload)
    bench.start()
    done: list[bool] = []

    def send(tail: str, data: bytes) -> None:
        bench.broker.send(mqtt.publish(bench.topic(tail), data, 1))

    async def run() -> None:
        await case(bench.board, bench.link, far, send)
        done.append(True)

    bench.world.spawn(run())
    bench.run(60_000)
    assert done == [True]


def test_it_is_up_only_after_its_subscription() -> None:
    bench = LinkBench()
    assert bench.link.state() == "down"
    bench.broker.answers = set()
    bench.start()
    assert bench.link.state() == "connecting"
    bench.broker.send(b"\x20\x02\x00\x00")
    bench.run(1)
    assert bench.link.state() == "connecting"
    (subscribe,) = bench.broker.of(SUBSCRIBE)
    assert subscribe.flags == 2
    down, every = bench.topic("down/#"), bench.topic("all/#")
    wanted = bytes([0, len(down)]) + down + b"\x01" + bytes([0, len(every)]) + every + b"\x00"
    assert subscribe.body[2:] == wanted
    bench.broker.send(b"\x90\x04" + subscribe.body[:2] + b"\x01\x00")
    bench.run(1)
    assert bench.link.state() == "up"


def test_it_logs_in_as_the_gateway_wants() -> None:
    bench = LinkBench(keepalive_s=77).start()
    (connect,) = bench.broker.of(CONNECT)
    assert connect.body[:10] == b"\x00\x04MQTT\x04\xc0\x00\x4d"
    client_id, user_name, password = [field.decode() for field in fields(connect.body[10:])]
    opened = open_login(password, client_id, user_name, bench.config.network_id)
    assert isinstance(opened, OpenedLogin)
    assert opened.public_key == bench.board.public_key()
    assert opened.counter == 1


def test_the_owners_password_replaces_the_login() -> None:
    bench = LinkBench(broker_password=PASSWORD).start()
    (connect,) = bench.broker.of(CONNECT)
    name = bench.login.device_name.encode()
    assert fields(connect.body[10:]) == [name, name, PASSWORD.encode()]
    assert bench.board.fs.read("login") is None


def test_a_link_without_a_broker_says_so() -> None:
    board = LinkBench().board
    config = make_config()
    login = Login(MemoryFiles(), board.sign, board.public_key(), config.network_id)
    with pytest.raises(OperatorError, match=r"config\.broker_host"):
        MqttLink(board, config, login)


# What goes up.


def test_publish_while_down_is_refused_at_once() -> None:
    bench = LinkBench()
    bench.broker.reachable = False
    bench.start()
    bench.publish(b"one")
    assert bench.results == [False]
    bench.broker.reachable = True
    bench.broker.answers.remove(SUBSCRIBE)
    bench.run(4_000)
    assert bench.link.state() == "connecting"
    bench.publish(b"two")
    assert bench.results == [False, False]
    assert bench.broker.publishes == []


def test_the_window_holds_back_what_it_has_no_room_for() -> None:
    bench = LinkBench().start()
    bench.broker.answers.remove(PUBLISH)
    messages = [bytes([number]) for number in range(limits.MQTT_IN_FLIGHT_MAX + 3)]
    bench.publish(*messages)
    assert len(bench.results) == limits.MQTT_IN_FLIGHT_MAX
    # An acknowledgement out of order frees a place as well.
    bench.broker.send(mqtt.puback(bench.broker.publishes[3].packet_id))
    bench.run(1)
    assert len(bench.results) == limits.MQTT_IN_FLIGHT_MAX + 1
    for one in bench.broker.publishes:
        bench.broker.send(mqtt.puback(one.packet_id))
    bench.run(1)
    assert bench.results == [True] * len(messages)
    assert [one.payload for one in bench.broker.publishes] == messages
    assert {one.topic for one in bench.broker.publishes} == {bench.topic("up").decode()}
    assert bench.link.unknown == 1


def test_the_window_is_bounded_in_bytes_too() -> None:
    bench = LinkBench().start()
    bench.broker.answers.remove(PUBLISH)
    bench.publish(*[bytes(4096)] * 4)
    assert len(bench.results) == 1
    bench.broker.send(mqtt.puback(bench.broker.publishes[0].packet_id))
    bench.run(1)
    assert len(bench.results) == 2


def test_a_publisher_that_waits_learns_of_the_drop() -> None:
    bench = LinkBench().start()
    bench.broker.answers.remove(PUBLISH)
    bench.publish(*[b"x"] * (limits.MQTT_IN_FLIGHT_MAX + 1))
    bench.publish(b"of another task")
    assert len(bench.results) == limits.MQTT_IN_FLIGHT_MAX
    bench.broker.drop()
    bench.run(1)
    assert bench.results[-2:] == [False, False]
    assert bench.link.state() == "down"


def test_what_was_in_flight_goes_out_again_first_and_marked() -> None:
    bench = LinkBench().start()
    bench.broker.answers.remove(PUBLISH)
    bench.publish(b"one", b"two", b"three")
    first = bench.broker.publishes[:]
    assert [one.dup for one in first] == [False] * 3
    bench.broker.send(mqtt.puback(first[1].packet_id))
    bench.run(1)
    bench.broker.drop()
    bench.broker.answers.add(PUBLISH)
    bench.run(3_000)
    bench.publish(b"four")
    again = bench.broker.publishes[3:]
    assert [(one.payload, one.dup) for one in again] == [
        (b"one", True),
        (b"three", True),
        (b"four", False),
    ]
    assert [one.packet_id for one in again[:2]] == [first[0].packet_id, first[2].packet_id]
    assert bench.broker.kinds().count(PUBLISH) == 6
    # Acknowledged now: the next connection has nothing to repeat.
    bench.broker.drop()
    bench.run(5_000)
    assert bench.link.state() == "up"
    assert len(bench.broker.publishes) == 6


def test_packet_ids_wrap_and_pass_over_one_in_flight() -> None:
    bench = LinkBench().start()
    bench.broker.answers.remove(PUBLISH)
    bench.publish(b"stuck")
    (stuck,) = bench.broker.publishes
    bench.broker.answers.add(PUBLISH)
    bench.broker.publishes.clear()
    bench.link._flight._last_id = mqtt.PACKET_ID_MAX - 2
    bench.publish(*[b"x"] * 10)
    used = [one.packet_id for one in bench.broker.publishes]
    expected = [mqtt.PACKET_ID_MAX - 1, mqtt.PACKET_ID_MAX, *range(1, 20)]
    expected.remove(stuck.packet_id)
    assert used == expected[:10]


# The clock.


def test_an_idle_link_pings() -> None:
    bench = LinkBench(keepalive_s=10).start()
    bench.run(60_000)
    assert bench.link.state() == "up"
    assert 9 <= len(bench.broker.of(PINGREQ)) <= 13
    bench.broker.packets.clear()
    for _ in range(30):
        bench.run(2_000)
        bench.publish(b"busy")
    assert bench.broker.of(PINGREQ) == []
    assert len(bench.broker.connected_at) == 1


@pytest.mark.parametrize("keepalive_s", [10, 60, 65_535])
def test_silence_is_never_longer_than_the_keepalive(keepalive_s: int) -> None:
    bench = LinkBench(keepalive_s=keepalive_s).start()
    written: list[int] = []
    stream = bench.broker.streams[0]
    take = bench.broker.take
    bench.broker.take = lambda s, packet: (written.append(bench.world.now), take(s, packet))[1]
    for step in range(20):
        bench.run(keepalive_s * 137 * (step % 7))
        bench.publish(b"now and then")
    gaps = [after - before for before, after in pairwise(written)]
    assert max(gaps) <= keepalive_s * 1_000
    assert stream.open


def test_a_ping_without_an_answer_ends_the_connection() -> None:
    bench = LinkBench().start()
    bench.broker.answers.remove(PINGREQ)
    bench.run(30_000 + limits.MQTT_PING_ANSWER_MS + limits.MQTT_CHECK_MS)
    assert bench.link.last_fault == "no pingresp"
    assert not bench.broker.streams[0].open
    assert len(bench.broker.streams) == 2


def test_a_window_that_jams_ends_the_connection() -> None:
    bench = LinkBench().start()
    bench.broker.answers.remove(PUBLISH)
    bench.publish(b"never acknowledged")
    bench.run(limits.MQTT_PUBACK_MS - limits.MQTT_CHECK_MS)
    assert bench.link.state() == "up"
    bench.run(2 * limits.MQTT_CHECK_MS)
    assert bench.link.last_fault == "no puback"
    assert [one.dup for one in bench.broker.publishes] == [False, True]
    bench.broker.send(mqtt.puback(bench.broker.publishes[1].packet_id))
    bench.run(2 * limits.MQTT_PUBACK_MS)
    assert len(bench.broker.connected_at) == 2


@pytest.mark.parametrize("silent", [CONNECT, SUBSCRIBE])
def test_a_broker_that_does_not_answer_is_left(silent: int) -> None:
    bench = LinkBench()
    bench.broker.answers.remove(silent)
    bench.start()
    bench.run(limits.MQTT_HANDSHAKE_MS - 2)
    assert len(bench.broker.streams) == 1
    bench.run(5_000)
    assert bench.link.last_fault == "handshake"
    assert len(bench.broker.streams) == 2


def test_the_wait_between_attempts_doubles_and_has_jitter() -> None:
    bench = LinkBench()
    bench.broker.reachable = False
    bench.start()
    bench.run(HOUR_MS)
    at = bench.broker.attempts
    pauses = [after - before for before, after in pairwise(at)]
    expected = [min(1_000 << step, limits.LINK_BACKOFF_MS_MAX) for step in range(len(pauses))]
    assert all(least <= pause <= 2 * least for least, pause in zip(expected, pauses, strict=True))
    assert len(set(pauses[6:])) > 10
    assert bench.link.last_fault == "unreachable: nobody listens"


def test_a_connection_that_lasted_ends_the_doubling() -> None:
    bench = LinkBench()
    bench.broker.reachable = False
    bench.start()
    bench.run(HOUR_MS)
    bench.broker.reachable = True
    bench.run(2 * limits.LINK_BACKOFF_MS_MAX)
    assert bench.link.state() == "up"
    bench.broker.drop()
    bench.run(1)
    # It was not up for as long as the wait before it.
    bench.run(limits.LINK_BACKOFF_MS_MAX - 2)
    assert bench.link.state() == "down"
    bench.run(3 * limits.LINK_BACKOFF_MS_MAX)
    bench.broker.drop()
    bench.run(2_001)
    assert bench.link.state() == "up"


@pytest.mark.parametrize("code, least", [(3, 1_000), (4, 10_000), (5, 10_000)])
def test_a_refused_login_waits_longer_and_counts_on(code: int, least: int) -> None:
    bench = LinkBench()
    bench.broker.connack = code
    bench.start()
    bench.run(HOUR_MS)
    at = bench.broker.connected_at
    pauses = [after - before for before, after in pairwise(at)]
    assert least <= pauses[0] <= 2 * least
    assert max(pauses) > (60_000 if code == 3 else limits.REFUSED_BACKOFF_MS_MAX)
    word = "unavailable" if code == 3 else "refused"
    assert bench.link.last_fault == f"{word}: connack {code}"
    counters = []
    for connect in bench.broker.of(CONNECT):
        name, _, password = [field.decode() for field in fields(connect.body[10:])]
        opened = open_login(password, name, name, bench.config.network_id)
        assert isinstance(opened, OpenedLogin)
        counters.append(opened.counter)
    assert counters == sorted(set(counters))
    assert (counters[1] - counters[0] > 1 << 20) == (code != 3)


def test_a_refused_subscription_is_a_refusal() -> None:
    bench = LinkBench()
    bench.broker.suback = b"\x80\x00"
    bench.start()
    bench.run(9_000)
    assert bench.link.last_fault == "refused: suback"
    assert len(bench.broker.streams) == 1


def test_a_failing_flash_restarts_the_board() -> None:
    class Full(MemoryFiles):
        def write(self, name: str, data: bytes) -> None:  # noqa: ARG002
            raise OSError(28, "no space")

    with pytest.raises(OSError, match="no space"):
        LinkBench(Full()).start()


def test_a_station_delivers_everything_through_outages() -> None:
    """A whole Node on a MqttLink, with a broker that goes away again and again."""
    bench = Bench()
    node = bench.boot()
    far = LinkBench()
    far.world = bench.world
    far.broker.world = bench.world
    board = bench.board
    time_service = board.connect
    wanted: list[str] = []

    async def stream(host: str, port: int, tls: object) -> object:
        wanted.append(host)
        connect = far.broker.connect if host == "broker.test" else time_service
        assert connect is not None
        return connect()

    board.stream = stream  # type: ignore[assignment,method-assign]
    config = far.config
    login = Login(board.fs, board.sign, board.public_key(), config.network_id)
    link = MqttLink(board, config, login)
    node._link = link
    node._sender._link = link

    def admit(one: object) -> None:
        gateway = bench.gateway
        if gateway.admit(one.payload):  # type: ignore[attr-defined]
            bench.link.send_receipt()
            tail, data = bench.link.inbox.pop()
            far.broker.send(mqtt.publish(far.topic(tail), data, 1))

    far.broker.on_publish = admit  # type: ignore[assignment]
    bench.world.spawn(link.run())
    for number in range(24):
        bench.run(HOUR_MS - 1_000)
        if number % 3 == 1:
            far.broker.reachable = False
            far.broker.drop()
        else:
            far.broker.reachable = True
    bench.run(HOUR_MS)
    assert bench.gateway.complete()
    assert max(bench.gateway.taken) > 24 * 6
    assert link.connects >= 8
    assert {"broker.test", "gateway.test"} <= set(wanted)
