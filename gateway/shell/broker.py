"""A Source behind any MQTT broker, by its URL: paho-mqtt with acknowledgements by hand.

Delivery rests on three things. The session is persistent and a message is acknowledged only when
ingest is done with it, so what this process had not answered when it died comes again. Receipts
are published before that acknowledgement on the same connection. And the newest tick of a driven
clock stays unacknowledged: whoever starts next is told the time by the broker.

paho runs in a thread of its own; everything that ingest sees happens on the event loop's.
"""

import asyncio
import socket
import ssl
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from gateway.core.cose import MESSAGE_BYTES_MAX
from gateway.core.downlink import TO_ALL, Downlink
from gateway.core.ids import device_name, parse_device
from gateway.core.verdicts import Verdict
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.source import SourceState, Submission

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_QOS = 1
_TOPIC_LEVELS = 5


class Pipeline(Protocol):
    """What a broker asks of ingest."""

    @property
    def failed(self) -> OperatorFault | None: ...

    def submit(self, submission: Submission) -> None: ...

    async def control_tick(self, data: bytes) -> bool: ...

    def now_ms(self) -> int | None: ...

    def on_pressure(self, listener: Callable[[bool], None]) -> None: ...


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """url: mqtt://HOST[:PORT], or mqtts:// (TLS; ca_file None: the system's certificates)."""

    url: str
    user: str = "gateway"
    password: str | None = None
    ca_file: Path | None = None
    keepalive_s: int = 30
    reconnect_s_max: int = 10
    stop_s: float = 2.0


class _Arrived(NamedTuple):
    """One publish as paho gave it. life: of the connection; mid 0: nothing to acknowledge."""

    life: int
    mid: int
    topic: str
    data: bytes
    oversize: bool


def client_id(network_id: bytes) -> str:
    """The gateway's client id; the same for ever, for the broker keeps its session under it."""
    return f"cairn-{network_id.hex()}"


class BrokerSource:
    """See the module. `start`, then downlinks by `send`, then `stop_reading` and `stop`."""

    def __init__(self, ingest: Pipeline, network_id: bytes, options: BrokerOptions) -> None:
        self._ingest = ingest
        self._options = options
        self._base = f"cairn/1/{network_id.hex()}"
        self._host, self._port, secured = _address(options.url)
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id(network_id),
            clean_session=False,
            manual_ack=True,
        )
        self._configure(secured=secured)
        # A mid means something within one life of the connection only; the lock keeps an
        # acknowledgement from slipping into the next one.
        self._lock = threading.Lock()
        self._life = 0
        self._arrived: deque[_Arrived] = deque()
        self._drain_due = False
        self._may_read = threading.Event()
        self._may_read.set()
        self._reading = False
        self._gone = threading.Event()
        # Connected, which is enough to publish; and subscribed besides.
        self._connected = False
        self._up = False
        self._detail = "not started"
        self._held_tick = (0, 0)
        self._to_all: dict[str, Downlink] = {}
        self._last_sent: paho.MQTTMessageInfo | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        ingest.on_pressure(self._press)

    # ---- Source

    async def start(self) -> None:
        """Begin to connect; it is tried again until it succeeds, and `state` says how it goes."""
        self._loop = asyncio.get_running_loop()
        self._reading = True
        self._detail = "connecting"
        self._client.connect_async(self._host, self._port, self._options.keepalive_s)
        self._client.loop_start()

    def send(self, downlink: Downlink) -> None:
        """Publish. While there is no connection, only what is for all is kept.

        A receipt needs not be: what it is for was not acknowledged, and will come again.
        """
        if downlink.device == TO_ALL and downlink.retained:
            self._to_all[downlink.tail] = downlink
        if self._connected:
            self._publish(downlink)

    def state(self) -> SourceState:
        return SourceState("broker", self._options.url, self._up, int(self._up), self._detail)

    async def stop_reading(self) -> None:
        self._reading = False
        self._may_read.set()

    async def stop(self) -> None:
        await self.stop_reading()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.get_running_loop().run_in_executor(None, self._close)
        self._up = False
        self._detail = "stopped"

    # ---- the loop's thread

    def _drain(self) -> None:
        self._drain_due = False
        while self._arrived:
            one = self._arrived.popleft()
            if one.topic == f"{self._base}/control/tick":
                task = self._loop.create_task(self._tick(one))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                continue
            self._ingest.submit(
                Submission(
                    device=_device(one.topic),
                    sender=None,
                    data=one.data,
                    # The broker knows who sent it from where, and does not say.
                    net_tag=b"",
                    done=partial(self._done, one.life, one.mid),
                    oversize=one.oversize,
                )
            )

    async def _tick(self, one: _Arrived) -> None:
        taken = await self._ingest.control_tick(one.data)
        if taken:
            before, self._held_tick = self._held_tick, (one.life, one.mid)
            self._acknowledge(*before)
        elif self._ingest.failed is None:
            self._acknowledge(one.life, one.mid)

    def _done(self, life: int, mid: int, _verdict: Verdict) -> None:
        self._acknowledge(life, mid)

    def _acknowledge(self, life: int, mid: int) -> None:
        with self._lock:
            if mid and life == self._life:
                self._client.ack(mid, _QOS)

    def _publish(self, downlink: Downlink) -> None:
        to = f"{device_name(downlink.device)}/down" if downlink.device else "all"
        self._last_sent = self._client.publish(
            f"{self._base}/{to}/{downlink.tail}", downlink.data, downlink.qos, downlink.retained
        )

    def _press(self, pressed: bool) -> None:  # noqa: FBT001 - the listener's one argument
        """Let paho's thread wait: the broker then fills its window, and TCP does the rest.

        Not while a driven clock waits for its first tick, for that comes by this thread as well;
        then the broker's window alone is the limit.
        """
        if pressed and self._reading and self._ingest.now_ms() is not None:
            self._may_read.clear()
        else:
            self._may_read.set()

    def _begin_life(self) -> None:
        """Everybody must know these, also if the broker has lost what it retained."""
        if self._connected:
            for downlink in self._to_all.values():
                self._publish(downlink)

    # ---- paho's thread

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self._may_read.wait()
        if not self._reading:
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        payload = bytes(message.payload)
        oversize = len(payload) > MESSAGE_BYTES_MAX
        mid = message.mid if message.qos else 0
        self._arrived.append(
            _Arrived(self._life, mid, topic, payload[:MESSAGE_BYTES_MAX], oversize)
        )
        if not self._drain_due:
            self._drain_due = True
            self._loop.call_soon_threadsafe(self._drain)

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        if code.is_failure:
            self._detail = f"the broker refuses the login of {self._options.user}: {code}"
            return
        with self._lock:
            self._life += 1
            self._connected = True
        self._gone.clear()
        self._detail = "subscribing"
        client.subscribe([(f"{self._base}/+/up", _QOS), (f"{self._base}/control/tick", _QOS)])

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, codes: list[ReasonCode], _p: Any
    ) -> None:
        if codes[0].is_failure:
            self._detail = f"the broker does not let {self._options.user} read {self._base}/+/up"
            return
        self._up = True
        self._detail = ""
        self._loop.call_soon_threadsafe(self._begin_life)

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        with self._lock:
            self._life += 1
            self._connected = False
        if self._up or not self._detail.startswith("the broker"):
            self._detail = f"the connection was lost ({code}); connecting again"
        self._up = False
        self._gone.set()

    def _on_connect_fail(self, _client: paho.Client, _data: Any) -> None:
        # paho calls this while it handles the exception, and does not pass it on.
        self._detail = f"cannot be reached: {sys.exception() or 'no answer'}"

    # ---- setting up and closing

    def _configure(self, *, secured: bool) -> None:
        client, options = self._client, self._options
        client.username_pw_set(options.user, options.password)
        if secured:
            client.tls_set_context(_trust(options.ca_file))
        client.reconnect_delay_set(1, options.reconnect_s_max)
        # 0: no limit. A receipt that waits in paho would leave behind its acknowledgement.
        client.max_inflight_messages_set(0)
        client.on_message = self._on_message
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_connect_fail = self._on_connect_fail
        client.on_socket_open = _no_delay

    def _close(self) -> None:
        """In a thread that may wait: let out what was sent, say goodbye, end paho's thread."""
        connected = self._connected
        if connected and self._last_sent is not None:
            with suppress(RuntimeError, ValueError):
                self._last_sent.wait_for_publish(self._options.stop_s)
        self._client.disconnect()
        if connected and not self._gone.wait(self._options.stop_s):
            return  # a broker that does not read: the thread is a daemon and ends with us
        self._client.loop_stop()


def _device(topic: str) -> bytes | None:
    """The id in `cairn/1/<network>/<device>/up`."""
    levels = topic.split("/")
    return parse_device(levels[3]) if len(levels) == _TOPIC_LEVELS else None


def _no_delay(_client: paho.Client, _data: Any, connection: Any) -> None:
    # Without it Nagle's algorithm and delayed acknowledgements cost 40 ms a message.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _address(url: str) -> tuple[str, int, bool]:
    """Host, port, and whether TLS is asked for."""
    try:
        split = urlsplit(url)
        host, port = split.hostname, split.port
    except ValueError:
        host = port = None
    if not host or split.scheme not in _PORTS:
        raise OperatorFault(
            f"{url} is no address of a broker.",
            "It must be mqtt://HOST[:PORT] or mqtts://HOST[:PORT].",
            "Correct the setting broker_url.",
            Code.CONFIG_INVALID,
        )
    return host, port or _PORTS[split.scheme], split.scheme == "mqtts"


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise OperatorFault(
            f"The certificates in {ca_file} cannot be used.",
            f"{error}.",
            "Name a PEM file with the setting broker_ca_file.",
            Code.TLS_UNUSABLE,
        ) from error
