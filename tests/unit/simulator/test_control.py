"""The operator's connection against a broker of a few lines, on real sockets."""

import socket
import threading

import cbor2
import pytest

from simulator.control import Address, Control, _packet
from simulator.wire import Wire
from simulator.world import World

SECONDS_MAX = 20


class Broker:
    """Accepts connections one after the other; each of `scripts` says how to treat one."""

    def __init__(self, *scripts):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(SECONDS_MAX)
        self.connects = []
        self.published = []
        self._thread = threading.Thread(target=self._serve, args=(scripts,), daemon=True)
        self._thread.start()

    @property
    def address(self):
        return Address("127.0.0.1", self.server.getsockname()[1])

    def close(self):
        self._thread.join(SECONDS_MAX)
        self.server.close()

    def _serve(self, scripts):
        for code, publishes, acknowledges in scripts:
            connection, _ = self.server.accept()
            connection.settimeout(SECONDS_MAX)
            with connection:
                self.connects.append(self._read(connection)[1])
                connection.sendall(bytes([0x20, 2, 0, code]))
                for _ in range(publishes):
                    first, body = self._read(connection)
                    assert first == 0x32
                    size = int.from_bytes(body[:2], "big")
                    topic, packet_id = body[2 : 2 + size], body[2 + size : 4 + size]
                    self.published.append((topic.decode(), cbor2.loads(body[4 + size :])))
                    if acknowledges:
                        connection.sendall(b"\x40\x02" + packet_id)

    @staticmethod
    def _read(connection):
        first = connection.recv(1)[0]
        size = shift = 0
        while True:
            byte = connection.recv(1)[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        body = b""
        while len(body) < size:
            body += connection.recv(size - len(body))
        return first, body


@pytest.fixture
def wire():
    made = Wire(World(0, seed=1))
    yield made
    made.close()


def pump_until(wire, done):
    for _ in range(SECONDS_MAX * 10):
        if done():
            return
        wire.pump(0.1)
    raise AssertionError("nothing came of it")


def started(wire, broker, logins=None):
    logins = iter(logins or [("op", f"password {n}") for n in range(9)])
    control = Control(wire, broker.address, "cairn/1/00/control/tick", lambda: next(logins))
    control.start()
    return control


def test_it_logs_in_and_ticks(wire):
    broker = Broker((0, 1, True))
    control = started(wire, broker)
    pump_until(wire, lambda: control.up)
    control.tick(7)
    pump_until(wire, lambda: control.acknowledged == 7)
    control.stop()
    broker.close()
    assert broker.published == [("cairn/1/00/control/tick", [7])]
    [connect] = broker.connects
    assert connect[:8] == b"\0\4MQTT\4\xc2"
    assert connect[10:] == b"\0\2op\0\2op\0\x0apassword 0"


def test_an_unacknowledged_tick_is_said_again_after_a_reconnect(wire):
    broker = Broker((0, 1, False), (0, 1, True))
    control = started(wire, broker)
    pump_until(wire, lambda: control.up)
    control.tick(7)
    pump_until(wire, lambda: control.acknowledged == 7)
    control.stop()
    broker.close()
    assert broker.published == [("cairn/1/00/control/tick", [7])] * 2
    assert control.connections == 2
    assert len(set(broker.connects)) == 2  # every login with a password of its own


def test_a_tick_waits_for_the_connection(wire):
    broker = Broker((0, 1, True))
    control = started(wire, broker)
    control.tick(3)
    pump_until(wire, lambda: control.acknowledged == 3)
    control.stop()
    broker.close()


def test_a_refusal_is_kept_and_tried_again(wire):
    broker = Broker((5, 0, False), (0, 0, False))
    control = started(wire, broker)
    pump_until(wire, lambda: control.refused is not None)
    assert control.refused == 5
    assert not control.up
    pump_until(wire, lambda: control.up)
    assert control.refused is None
    control.stop()
    broker.close()


def test_long_packets_have_long_lengths():
    assert _packet(0x30, bytes(127))[:2] == b"\x30\x7f"
    assert _packet(0x30, bytes(128))[:3] == b"\x30\x80\x01"
    assert _packet(0x30, bytes(16_384))[:4] == b"\x30\x80\x80\x01"
