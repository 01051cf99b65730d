"""The way to the gateway over MQTT 3.1.1: a Link (boards/base.py) on a Board's streams.

Owns connections, reconnects, the window of messages in flight and the downlinks that wait for the
Node. It does not know what is in a message, and keeps nothing over a restart: the outbox does.

Of its board it uses stream, event, spawn, ticks, sleep and entropy; its ticks need not be the
Node's. Per connection three tasks: run() reads, one writes, one watches the clock, because a read
has no time-out. RAM: at most MQTT_IN_FLIGHT_BYTES_MAX and one message in flight, one downlink of
each kind, one unfinished packet.
"""

from binascii import hexlify

from . import downlinks, limits, mqtt
from .errors import OperatorError
from .mqttflight import Flight

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

    from .boards.base import Board, Link, Stream
    from .config import Config
    from .faults import Faults
    from .login import Login
else:
    Link = object  # boards import cairn, and nothing of cairn imports boards

UP = "up"
CONNECTING = "connecting"
DOWN = "down"

_NONCE_BYTES = 8
_CONNACK_UNAVAILABLE = 3
_REFUSALS_OF_A_LOGIN = (4, 5)
_REFUSED = "refused"
_FAULT_CHARACTERS_MAX = 100
# Of the others ("broken", "closed", "no puback" ...) nobody but the network can say why.
_FAULT_WORDS = (_REFUSED, "unreachable", "unavailable", "mqtt")


class Connection:
    """One connection. fault: why it ended, "" while it lives; closed: raised at its end; since:
    ticks of its last step (begun, accepted, up); wrote: of the last write; pinged: of a PINGREQ
    without an answer.
    """

    def __init__(self, board: "Board", stream: "Stream") -> None:
        self.parser = mqtt.Parser(limits.MQTT_BODY_BYTES_MAX)
        self.fault = ""
        self.closed = board.event()
        self.accepted = False
        self.since = self.wrote = board.ticks()
        self.pinged: "int | None" = None
        self.subscription = 0
        self._ticks = board.ticks
        self._stream = stream
        self._waiting: "list[bytes]" = []
        self._wake = board.event()
        self._written = board.event()

    def send(self, packet: bytes) -> None:
        """Leave it to the writer."""
        self._waiting.append(packet)
        if len(self._waiting) == 1:
            self._wake.set()

    async def read(self) -> bytes:
        """What came, b"" at the end of the connection. While the writer does not get rid of our
        answers no more is read, so that a sender cannot fill the heap with them.
        """
        while len(self._waiting) > limits.MQTT_WAITING_MAX and not self.fault:
            self._written.clear()
            await self._written.wait(None)
        try:
            return b"" if self.fault else await self._stream.read(limits.MQTT_READ_BYTES)
        except OSError as error:
            self.shut("broken: " + str(error))
            return b""

    async def write(self) -> None:
        """Send what waits, until the connection ends. The only writer of its stream."""
        try:
            while not self.fault:
                if not self._waiting:
                    self._wake.clear()
                    await self._wake.wait(None)
                    continue
                data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
                self._waiting = []
                self.wrote = self._ticks()
                await self._stream.write(data)
                self._written.set()
        except OSError as error:
            self.shut("broken: " + str(error))

    def shut(self, fault: str) -> None:
        """End it; the first reason given is the one that counts."""
        if self.fault:
            return
        self.fault = fault[:_FAULT_CHARACTERS_MAX]
        self.closed.set()
        self._wake.set()
        self._written.set()
        self._stream.close()


class MqttLink(Link):
    """Whoever makes it spawns run(). Counters of what was thrown away: `coalesced` (a downlink
    that a newer one of its kind replaced before the Node took it), `unknown` (topics that are not
    ours, acknowledgements of nothing), `oversize`. connects: connections that were accepted.
    last_fault: why the last connection ended or could not be made.
    """

    def __init__(
        self,
        board: "Board",
        config: "Config",
        login: "Login",
        faults: "Faults | None" = None,
    ) -> None:
        if config.broker_host is None:
            raise OperatorError(
                "config.broker_host",
                "the station cannot connect",
                "its configuration names no broker",
                "Set broker_host.",
            )
        self._board = board
        self._config = config
        self._login = login
        self._faults = faults
        self._host = config.broker_host
        base = "cairn/1/%s/" % hexlify(config.network_id).decode()
        own = base + login.device_name
        self._up_topic = (own + "/up").encode()
        self._filters = (((own + "/down/#").encode(), 1), ((base + "all/#").encode(), 0))
        self._tails = _tails(own + "/", base)
        self._state = DOWN
        self._connection: "Connection | None" = None
        self._flight = Flight(board.ticks)
        self._room = board.event()
        self._order: "list[str]" = []
        self._inbox: "dict[str, bytes]" = {}
        self._arrived = board.event()
        self._lasted_ms = 0
        self._backoff_ms = 0
        self.coalesced = 0
        self.unknown = 0
        self.oversize = 0
        self.connects = 0
        self.last_fault = ""

    def state(self) -> str:
        return self._state

    async def publish(self, message: bytes) -> bool:
        connection = self._connection
        while connection is not None and self._state == UP and connection is self._connection:
            packet = self._flight.take(self._up_topic, message)
            if packet is not None:
                connection.send(packet)
                return True
            self._room.clear()
            await self._room.wait(None)
        return False

    async def receive(self) -> "tuple[str, bytes]":
        while not self._order:
            self._arrived.clear()
            await self._arrived.wait(None)
        tail = self._order.pop(0)
        return tail, self._inbox.pop(tail)

    async def run(self) -> None:
        """Keep a connection up; never returns."""
        while True:
            self._state = CONNECTING
            self._lasted_ms = 0
            self.last_fault = await self._serve()
            if self._faults is not None:
                self._faults.note(_code_of(self.last_fault), self.last_fault)
            await self._board.sleep(self._pause_ms())

    async def _serve(self) -> str:
        """One connection from its beginning to its end; why it ended."""
        config = self._config
        try:
            stream = await self._board.stream(self._host, config.broker_port, config.broker_ca)
        except OSError as error:
            self._state = DOWN
            return ("unreachable: " + str(error))[:_FAULT_CHARACTERS_MAX]
        connection = Connection(self._board, stream)
        try:
            connection.send(self._connect_packet())
            self._connection = connection
            self._board.spawn(connection.write())
            self._board.spawn(self._watch(connection))
            await self._read(connection)
        finally:
            if self._state == UP:
                self._lasted_ms = self._board.ticks() - connection.since
            self._state = DOWN
            self._connection = None
            connection.shut("closed")
            self._room.set()
        return connection.fault

    def _connect_packet(self) -> bytes:
        password = self._config.broker_password
        if password is None:
            password = self._login.password(self._board.entropy(_NONCE_BYTES))
        name = self._login.device_name.encode()
        return mqtt.connect(name, name, password.encode(), self._config.keepalive_s)

    def _pause_ms(self) -> int:
        """How long to wait before the next attempt: doubling, with as much again of jitter, so
        that a thousand boards do not come back together. A connection that was up for as long as
        the wait before it lets the doubling begin anew.
        """
        low, high = limits.BACKOFF_MS_MIN, limits.LINK_BACKOFF_MS_MAX
        if self.last_fault.startswith(_REFUSED):
            low, high = limits.REFUSED_BACKOFF_MS_MIN, limits.REFUSED_BACKOFF_MS_MAX
        if self._lasted_ms >= self._backoff_ms:
            self._backoff_ms = 0
        self._backoff_ms = min(max(low, 2 * self._backoff_ms), high)
        draw = int.from_bytes(self._board.entropy(2), "big")
        return self._backoff_ms + (self._backoff_ms * draw >> 16)

    # The reader's side: nothing here waits.

    async def _read(self, connection: Connection) -> None:
        parser = connection.parser
        while not connection.fault:
            data = await connection.read()
            if not data:
                return
            parser.feed(data)
            try:
                packet = parser.next()
                while packet is not None and not connection.fault:
                    self._take(connection, packet)
                    packet = parser.next()
            except mqtt.MqttError as error:
                connection.shut("mqtt: " + error.code)

    def _take(self, connection: Connection, packet: "tuple[Any, ...]") -> None:
        kind = packet[0]
        if connection.accepted == (kind == mqtt.CONNACK):
            connection.shut("mqtt: order")
        elif kind == mqtt.PUBLISH:
            self._take_publish(connection, packet[1], packet[2], packet[3])
        elif kind == mqtt.PUBACK:
            if self._flight.acknowledge(packet[1]):
                self._room.set()
            else:
                self.unknown += 1
        elif kind == mqtt.PINGRESP:
            connection.pinged = None
        elif kind == mqtt.CONNACK:
            self._take_connack(connection, packet[1])
        else:
            self._take_suback(connection, packet[1], packet[2])

    def _take_publish(
        self, connection: Connection, topic: bytes, data: "bytes | None", packet_id: int
    ) -> None:
        if packet_id:
            # What is refused is acknowledged too: sent again it would be the same.
            connection.send(mqtt.puback(packet_id))
        if topic not in self._tails:
            self.unknown += 1
            return
        tail, size_max = self._tails[topic]
        if data is None or len(data) > size_max:
            self.oversize += 1
            return
        if tail in self._inbox:
            self.coalesced += 1
        else:
            self._order.append(tail)
        self._inbox[tail] = data
        if len(self._order) == 1:
            self._arrived.set()

    def _take_connack(self, connection: Connection, code: int) -> None:
        if code:
            if code in _REFUSALS_OF_A_LOGIN and self._config.broker_password is None:
                self._login.refused()
            word = "unavailable" if code == _CONNACK_UNAVAILABLE else _REFUSED
            connection.shut("%s: connack %d" % (word, code))
            return
        self.connects += 1
        connection.accepted = True
        connection.since = self._board.ticks()
        connection.subscription = self._flight.new_id()
        connection.send(mqtt.subscribe(connection.subscription, self._filters))

    def _take_suback(self, connection: Connection, packet_id: int, codes: bytes) -> None:
        if packet_id != connection.subscription or len(codes) != len(self._filters):
            connection.shut("mqtt: suback")
            return
        if mqtt.REFUSED in codes:
            connection.shut(_REFUSED + ": suback")
            return
        connection.subscription = 0
        connection.since = self._board.ticks()
        # Before anything new: a broker that kept our session still waits for these.
        for packet in self._flight.again():
            connection.send(packet)
        self._state = UP

    # The clock.

    async def _watch(self, connection: Connection) -> None:
        while not await connection.closed.wait(self._check(connection)):
            pass

    def _check(self, connection: Connection) -> int:
        """Time until the next look; ends a connection that stopped working."""
        now = self._board.ticks()
        wait_ms = min(limits.MQTT_CHECK_MS, self._config.keepalive_s * 500)
        if self._state != UP:
            due = connection.since + limits.MQTT_HANDSHAKE_MS
            return min(wait_ms, _left(connection, due - now, "handshake"))
        oldest = self._flight.oldest_ticks()
        if oldest is not None:
            due = oldest + limits.MQTT_PUBACK_MS
            wait_ms = min(wait_ms, _left(connection, due - now, "no puback"))
        if connection.pinged is None:
            left = connection.wrote + self._config.keepalive_s * 500 - now
            if left > 0:
                return min(wait_ms, left)
            connection.pinged = now
            connection.send(mqtt.PINGREQ)
        due = connection.pinged + limits.MQTT_PING_ANSWER_MS
        return min(wait_ms, _left(connection, due - now, "no pingresp"))


def _code_of(fault: str) -> str:
    """The stable code of a fault's text, for a human: what the owner can act on apart."""
    if "TLS:" in fault:
        return "link.tls"
    word = fault.split(":", 1)[0]
    return "link." + (word if word in _FAULT_WORDS else "broken")


def _left(connection: Connection, left_ms: int, fault: str) -> int:
    if left_ms <= 0:
        connection.shut(fault)
    return max(0, left_ms)


def _tails(own: str, base: str) -> "dict[bytes, tuple[str, int]]":
    """Topic -> (tail, longest message) of every downlink that a station may get."""
    tails = {}
    for prefix, names in ((own, downlinks.DOWN_NAMES), (base, downlinks.ALL_NAMES)):
        for tail in names:
            tails[(prefix + tail).encode()] = (tail, downlinks.size_max(tail))
    return tails
