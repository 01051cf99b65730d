"""One simulated board: the firmware's `Board` over the virtual world.

It owns what the hardware of one station has: a key, flash, an oscillator that drifts, sensors and
a way to open streams. It knows nothing of gateways: streams and samples come from callables that
the fleet hands in.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from cairn import limits
from cairn.boards import base
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from simulator.disk import Disk
from simulator.medium import Medium, Sound
from simulator.ntp import NtpServer
from simulator.seeds import derive, stream
from simulator.sensors import Sample, Sampler
from simulator.world import Event, Group, Queue, Sleep, Stopped, World

RESET_POWER_ON = 1
RESET_WATCHDOG = 2
RESET_SOFTWARE = 4
RESET_SLEEP = 5
HEAP_FREE_BYTES = 96_000
REPORTS_MAX = 200
RSSI_DBM = -61
MILLION = 1_000_000

# radio, channel, rssi_cdbm, snr_cdb, ticks, frame: what Board.radio_receive gives.
Received = tuple[int, int, int, "int | None", int, bytes]


class Connect(Protocol):
    """Opens a stream for one station, or raises OSError."""

    async def __call__(self, host: str, port: int) -> base.Stream: ...


class SimulatedBoard(base.Board):
    """Hardware of station `index`. Boot it with `power_on`; tasks run in `group`.

    drift_ppm: how much faster than true time its oscillator runs. held: a battery-backed clock
    that knows UTC from the start. wakes_ms: if not empty, timers of events fire only at these
    times, ascending: a board that replays a recording wakes when something was recorded. air and
    radios: what it can send to, and which radios it has. watchdog_ms: once fed, it resets the
    board that long after the last time; None: there is none. ntp: who answers its datagrams.
    reports: the newest that it told a human, with the time.
    """

    def __init__(
        self,
        world: World,
        index: int,
        key_seed: bytes,
        sampler: Sampler,
        connect: Connect,
        *,
        drift_ppm: int = 0,
        held: bool = False,
        wakes_ms: tuple[int, ...] = (),
        air: Medium | None = None,
        radios: tuple[int, ...] = (),
        watchdog_ms: int | None = None,
        ntp: NtpServer | None = None,
        on_sign: Callable[[int, bytes], None] | None = None,
        on_restart: Callable[[int, str], None] | None = None,
    ) -> None:
        self.index = index
        self.fs: Disk = Disk(stream(world.seed, "disk", index))
        self.boots = 0
        self.group = Group(f"board {index} (never booted)")
        self.group.alive = False
        self._world = world
        self._public_key, self._secret_key = crypto_sign_seed_keypair(key_seed)
        self._sampler = sampler
        self._connect = connect
        self._drift_ppm = drift_ppm
        self._held = held
        self._wakes_ms = wakes_ms
        self._air = air
        self._radios = radios if air is not None else ()
        self._sounds: Queue[Received] = Queue(world)
        self.listening_ms: int | None = None
        self.reports: deque[tuple[int, str, str]] = deque(maxlen=REPORTS_MAX)
        self.asleep_ms = 0
        self._kept: bytes | None = None
        self._watchdog_ms = watchdog_ms
        self._fed_ms = 0
        self._ntp = ntp
        self._on_sign = on_sign
        self._on_restart = on_restart
        self._random = stream(world.seed, "board", index)
        self._booted_ms = world.now_ms
        self._reset_cause = RESET_POWER_ON
        if air is not None:
            air.attach(index, self)

    def power_on(self, reset_cause: int = RESET_POWER_ON) -> None:
        """Begin a boot with no tasks."""
        self.boots += 1
        self._booted_ms = self._world.now_ms
        self._reset_cause = reset_cause
        if reset_cause == RESET_POWER_ON:
            self._kept = None
        self.group = Group(f"board {self.index} boot {self.boots}", self._stopped)
        self.listening_ms = None
        for radio in self._radios:
            self.radio_listen(radio, 0)
        self._sounds = Queue(self._world)
        self.fs.power_on()

    def power_off(self) -> None:
        """Cut the power between two events; every task ends where it stands."""
        self.fs.cut()
        self.listening_ms = None
        self.group.kill()

    def now_ms(self) -> int | None:
        return self._world.now_ms if self._held else None

    def ticks(self) -> int:
        elapsed_ms = self._world.now_ms - self._booted_ms
        return elapsed_ms + elapsed_ms * self._drift_ppm // MILLION

    def world_ms(self, duration_ms: int) -> int:
        """True time in which this board's oscillator counts at least duration_ms."""
        if duration_ms <= 0:
            return 0
        return duration_ms if not self._drift_ppm else self._true_ms(duration_ms)

    def timer_ms(self, duration_ms: int) -> int | None:
        """True time until a timer fires that was set to duration_ms; None: never."""
        if not self._wakes_ms:
            return self.world_ms(duration_ms)
        now_ms = self._world.now_ms
        position = bisect_left(self._wakes_ms, now_ms + self.world_ms(duration_ms))
        return self._wakes_ms[position] - now_ms if position < len(self._wakes_ms) else None

    def _true_ms(self, duration_ms: int) -> int:
        # + 2: ticks are rounded down at both ends of the sleep.
        return duration_ms * MILLION // (MILLION + self._drift_ppm) + 2

    async def sleep(self, duration_ms: int) -> None:
        await Sleep(self.world_ms(duration_ms))

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:  # type: ignore[override]
        self._world.spawn(coroutine, self.group)

    def event(self) -> base.Event:
        return _BoardEvent(self._world, self)

    def entropy(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def public_key(self) -> bytes:
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        if self._on_sign is not None:
            self._on_sign(self.index, message)
        return self.sign_login(message)

    def sign_login(self, message: bytes) -> bytes:
        """The same signature, over what is no message: nobody keeps account of it."""
        return crypto_sign(message, self._secret_key)[:64]

    async def sample(self) -> list[Sample]:
        return await self._sampler.sample()

    async def stream(self, host: str, port: int, tls: object | None) -> base.Stream:
        if tls is not None:
            raise OSError("the simulated network has no TLS")
        return await self._connect(host, port)

    async def datagram(self, host: str, port: int, data: bytes, timeout_ms: int) -> bytes:
        ways_ms = None if self._ntp is None else self._ntp.ways_ms()
        if self._ntp is None or ways_ms is None or sum(ways_ms) > timeout_ms:
            await Sleep(self.world_ms(timeout_ms))
            raise OSError(f"no answer from {host}:{port}")
        await Sleep(ways_ms[0])
        answer = self._ntp.answer(data, self._world.now_ms)
        await Sleep(ways_ms[1])
        return answer

    def radios(self) -> tuple[int, ...]:
        return self._radios

    def radio_send(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> bool | None:
        if self._air is None or radio not in self._radios:
            return None
        return self._air.send(self.index, radio, channel, power_cdbm, frame)

    def radio_listen(self, radio: int, channel: int) -> None:
        if self._air is not None:
            self._air.tune(self.index, radio, channel)

    async def radio_receive(self) -> Received | None:
        if not self._radios:
            return None
        if self.listening_ms is None:
            self.listening_ms = self._world.now_ms
        return await self._sounds.get()

    def hear(self, sound: Sound) -> None:
        """A frame has just ended at this board's antenna."""
        radio, channel, rssi_cdbm, snr_cdb, frame = sound
        self._sounds.put((radio, channel, rssi_cdbm, snr_cdb, self.ticks(), frame))

    def feed(self) -> None:
        if self._watchdog_ms is not None:
            self._fed_ms = self._world.now_ms
            self._world.call_at(self._fed_ms + self._watchdog_ms, partial(self._bite, self.boots))

    def _bite(self, boot: int) -> None:
        hungry = self._world.now_ms - self._fed_ms >= (self._watchdog_ms or 0)
        if hungry and boot == self.boots and self.group.alive:
            self.group.kill()
            self._stopped("watchdog")

    def restart(self, reason: str) -> None:
        raise Stopped(reason)

    def deep_sleep(self, duration_ms: int) -> None:
        self.asleep_ms = self.world_ms(duration_ms)
        raise Stopped("sleep")

    def retained(self) -> bytes | None:
        return self._kept

    def retain(self, data: bytes) -> bool:
        if len(data) > limits.RETAINED_BYTES:
            return False
        self._kept = data or None
        return True

    def report(self, code: str, detail: str) -> None:
        self.reports.append((self._world.now_ms, code, detail))

    def info(self) -> tuple[int, int, int | None, int | None]:
        return HEAP_FREE_BYTES, self._reset_cause, None, RSSI_DBM

    def _stopped(self, reason: str) -> None:
        self.fs.cut()
        self.listening_ms = None
        if self._on_restart is not None:
            self._on_restart(self.index, reason)


class _BoardEvent(Event):
    """An event whose timeouts are counted by the board's own oscillator."""

    __slots__ = ("_board",)

    def __init__(self, world: World, board: SimulatedBoard) -> None:
        super().__init__(world)
        self._board = board

    async def wait(self, timeout_ms: int | None) -> bool:
        timer_ms = None if timeout_ms is None else self._board.timer_ms(timeout_ms)
        return await super().wait(timer_ms)


class ResponseStream(base.Stream):
    """One HTTP exchange: what was written goes to `respond`, whose bytes can then be read.

    `respond` returns None when nobody answers. Each way takes its own latency, so the board's
    half round trip is an honest bound and not the truth.
    """

    def __init__(
        self, respond: Callable[[bytes], bytes | None], there_ms: int, back_ms: int
    ) -> None:
        self._respond = respond
        self._there_ms = there_ms
        self._back_ms = back_ms
        self._request = b""
        self._response: bytes | None = None
        self._open = True

    async def read(self, size: int) -> bytes:
        if not self._open:
            raise OSError("the stream is closed")
        if self._response is None:
            await Sleep(self._there_ms)
            self._response = self._respond(self._request)
            if self._response is None:
                raise OSError("connection reset by peer")
            await Sleep(self._back_ms)
            if not self._open:
                raise OSError("closed while reading")
        chunk, self._response = self._response[:size], self._response[size:]
        return chunk

    async def write(self, data: bytes) -> None:
        if not self._open:
            raise OSError("the stream is closed")
        self._request += data

    def close(self) -> None:
        self._open = False


def key_seed(seed: int, name: str | int) -> bytes:
    """32 bytes from which a station's key is made; the same station in every run of a seed."""
    return derive(seed, "key", name)


def device_id(public_key: bytes) -> bytes:
    """Protocol section 3.1."""
    return hashlib.sha256(public_key).digest()[:16]


def device_name(device: bytes) -> str:
    """The text form of a device id, as topics and client ids spell it."""
    return b32encode(device).decode().rstrip("=").lower()
