"""The device endpoint on a thread of its own, before an ingest that records and obeys.

Logins are judged as the product does (`gateway.core.login`), against counters in memory; verdicts
come when a test says so.
"""

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from nacl.signing import SigningKey

from gateway.core.downlink import Downlink
from gateway.core.ids import device_id, device_name
from gateway.core.login import (
    GRANTED,
    Login,
    LoginRefusal,
    LoginRequest,
    LoginResult,
    login_password,
    open_login,
    refused,
)
from gateway.core.verdicts import Verdict
from gateway.shell.endpoint import Endpoint, EndpointOptions
from gateway.shell.source import Submission

NETWORK = bytes.fromhex("2b3f52bf5000c238")
PREFIX = f"cairn/1/{NETWORK.hex()}"
WAIT_S = 30
NET_TAG = b"a tag"


class Station:
    """A key with its names and passwords."""

    def __init__(self, number: int) -> None:
        self._key = SigningKey(number.to_bytes(32, "big"))
        self.public_key = bytes(self._key.verify_key)
        self.device = device_id(self.public_key)
        self.name = device_name(self.device)
        self.up = f"{PREFIX}/{self.name}/up"
        self.down = f"{PREFIX}/{self.name}/down"
        self._counter = 0

    def password(self, *, counter: int | None = None, network: bytes = NETWORK) -> str:
        if counter is None:
            self._counter += 1
            counter = self._counter

        def sign(data: bytes) -> bytes:
            return bytes(self._key.sign(data).signature)

        return login_password(sign, self.public_key, network, counter, bytes(8))


@dataclass
class ObedientIngest:
    """Grants logins by the rules, records submissions, acknowledges at once or on command."""

    acknowledge: bool = True
    registered: bool = True
    hold_logins: bool = False
    queue_max: int = 1 << 60
    operators: set[bytes] = field(default_factory=set)
    retained: dict[bytes, tuple[Downlink, ...]] = field(default_factory=dict)
    submissions: list[Submission] = field(default_factory=list)
    waiting: list[Submission] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    ticks: list[bytes] = field(default_factory=list)
    pressed: bool = False
    failure: Exception | None = None

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self._counters: dict[bytes, int] = {}
        self._listeners: list[Callable[[bool], None]] = []
        self._logins: list[tuple[asyncio.Future[LoginResult], LoginResult]] = []

    def submit(self, submission: Submission) -> None:
        self.submissions.append(submission)
        if self.acknowledge:
            submission.done(Verdict.OK)
        else:
            self.waiting.append(submission)
            if len(self.waiting) >= self.queue_max:
                self.press(pressed=True)
        self._tell()

    async def login(self, request: LoginRequest) -> LoginResult:
        if self.failure is not None:
            raise self.failure
        result = self._judge(request)
        if not result.granted:
            self.refusals[result.reason] += 1
        if self.hold_logins:
            held: asyncio.Future[LoginResult] = asyncio.get_running_loop().create_future()
            self._logins.append((held, result))
            self._tell()
            return await held
        self._tell()
        return result

    async def control_tick(self, data: bytes) -> bool:
        self.ticks.append(data)
        self._tell()
        return True

    def on_pressure(self, listener: Callable[[bool], None]) -> None:
        self._listeners.append(listener)

    # ---- commands, on the loop's thread

    def press(self, *, pressed: bool) -> None:
        if pressed != self.pressed:
            self.pressed = pressed
            for listener in self._listeners:
                listener(pressed)

    def finish(self, count: int | None = None) -> int:
        """Give the verdicts that are due, oldest first."""
        due, self.waiting = self.waiting[:count], self.waiting[len(self.waiting[:count]) :]
        for submission in due:
            submission.done(Verdict.OK)
        return len(due)

    def answer_logins(self) -> None:
        for held, result in self._logins:
            held.set_result(result)
        self._logins.clear()

    def _judge(self, request: LoginRequest) -> LoginResult:
        login = open_login(
            request.password.decode("latin-1"), request.client_id, request.user_name, NETWORK
        )
        if not isinstance(login, Login):
            return refused(login)
        if login.counter <= self._counters.get(login.device, 0):
            return refused(LoginRefusal.COUNTER)
        self._counters[login.device] = login.counter
        operator = login.device in self.operators
        kept = self.retained.get(login.device, ())
        return LoginResult(
            granted=True,
            device=login.device,
            operator=operator,
            reason=GRANTED,
            retained=kept,
            registered=self.registered,
        )

    def _tell(self) -> None:
        with self.changed:
            self.changed.notify_all()


@dataclass
class Rig:
    """A running endpoint as a test's thread sees it."""

    ingest: ObedientIngest
    endpoint: Endpoint
    loop: asyncio.AbstractEventLoop

    @property
    def port(self) -> int:
        return self.endpoint.port

    def call(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Run on the loop's thread; await what it returns if that is awaitable."""

        async def run() -> Any:
            result = function(*args, **named)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(WAIT_S)

    def until(self, holds: Callable[[], Any]) -> None:
        """Wait until something holds that a login or a submission brings about."""
        with self.ingest.changed:
            assert self.ingest.changed.wait_for(holds, WAIT_S), "it never came true"

    def eventually(self, holds: Callable[[], Any], seconds: float = WAIT_S) -> None:
        """Wait for what a sweep, or the loop's next rounds, bring about."""
        deadline = time.monotonic() + seconds
        while not self.call(holds):
            assert time.monotonic() < deadline, "it never came true"

    def to(self, device: bytes, tail: str, data: bytes) -> None:
        self.call(self.endpoint.send, Downlink(device, tail, data))

    def settle(self) -> None:
        """Let the loop do what is due: three rounds, as a verdict needs two to reach a socket."""
        for _ in range(3):
            self.call(lambda: None)


def net_tag(address: str) -> bytes:
    assert address == "127.0.0.1"
    return NET_TAG


@contextmanager
def endpoint(ingest: ObedientIngest | None = None, **options: Any) -> Iterator[Rig]:
    ingest = ingest or ObedientIngest()
    options = {"port": 0, "sweep_ms": 50, **options}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def make() -> Endpoint:
        made = Endpoint(ingest, NETWORK, net_tag, EndpointOptions(**options))
        await made.start()
        return made

    try:
        made = asyncio.run_coroutine_threadsafe(make(), loop).result(WAIT_S)
        rig = Rig(ingest, made, loop)
        try:
            yield rig
        finally:
            rig.call(made.stop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_S)
        loop.close()


# ---- a client that says exactly what it is told to


def text(value: str) -> bytes:
    return len(value.encode()).to_bytes(2, "big") + value.encode()


def packet(first: int, body: bytes = b"") -> bytes:
    out, size = bytes([first]), len(body)
    while size > 127:
        out, size = out + bytes([size & 127 | 128]), size >> 7
    return out + bytes([size]) + body


def connect_packet(
    name: str, user: str, password: str, *, clean: bool = True, keepalive_s: int = 60
) -> bytes:
    head = text("MQTT") + bytes([4, 0xC0 | 2 * clean]) + keepalive_s.to_bytes(2, "big")
    return packet(0x10, head + text(name) + text(user) + text(password))


def publish_packet(topic: str, payload: bytes, packet_id: int = 1) -> bytes:
    return packet(0x32, text(topic) + packet_id.to_bytes(2, "big") + payload)


def subscribe_packet(*names: str, qos: int = 1, packet_id: int = 1) -> bytes:
    body = packet_id.to_bytes(2, "big") + b"".join(text(n) + bytes([qos]) for n in names)
    return packet(0x82, body)


DISCONNECT, PINGREQ, PINGRESP = b"\xe0\0", b"\xc0\0", b"\xd0\0"


class RawClient:
    """A socket and a reader of packets."""

    def __init__(self, port: int, *, receive_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(WAIT_S)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def login(self, station: Station, **options: Any) -> bytes:
        """CONNACK."""
        password = station.password()
        self.send(connect_packet(station.name, station.name, password, **options))
        return self.packet()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def packet(self) -> bytes:
        """The next packet; b"" if the connection is closed."""
        while (size := self._size()) is None:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                return b""
            self._rest += data
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def packets(self, count: int) -> list[bytes]:
        return [self.packet() for _ in range(count)]

    def closed(self) -> bool:
        """Was it closed without another word? Waits for the answer."""
        return self.packet() == b""

    def _size(self) -> int | None:
        size, shift = 0, 0
        for at in range(1, min(len(self._rest), 5)):
            size |= (self._rest[at] & 127) << shift
            shift += 7
            if self._rest[at] < 128:
                whole = at + 1 + size
                return whole if len(self._rest) >= whole else None
        return None
