"""Runs inside MicroPython: the firmware's Board over what the host gives to one interpreter.

It owns no bytes and no clock: flash, sockets, random numbers and time are the host's (worker.mjs),
tasks are the loop's. It subclasses nothing, so that nothing of boards/base.py need be loaded.
"""

import gc
import json
import sys
from binascii import unhexlify
from io import StringIO

import _host  # type: ignore[import-not-found]
import vfs  # type: ignore[import-not-found]
from cairn import limits
from cairn.boards.directory_files import DirectoryFiles
from cairn.identity import open_identity
from uctypes import addressof  # type: ignore[import-not-found]

from .flash import Flash
from .loop import Loop

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from cairn.config import Config
    from cairn.sensors.rack import Rack

    from simulator.chips.bench import ChipBuses

    from .loop import Event

    Sample = list[tuple[int, int, int, int | None, int]]
    Received = tuple[int, int, int, int | None, int, bytes]

_AGAIN = -1_000_000
_TLS_FAULT = -1_000_001
_NO_ANSWER = 116  # ETIMEDOUT of the ESP32
_FRAMES_MAX = 16
_BLOCK_BYTES = 4_096
_ROOT = "/flash"


class SocketStream:
    """A TCP or TLS stream (cairn/boards/base.py)."""

    def __init__(self, handle: int, changed: "Event", forget: "Callable[[int], object]") -> None:
        self._handle = handle
        self._changed = changed
        self._forget = forget

    async def connected(self, timeout_ms: int, ticks: "Callable[[], int]") -> None:
        """Wait until it is; OSError."""
        until = ticks() + timeout_ms
        while True:
            state = _host.state(self._handle)
            if state != _AGAIN:
                return self._check(state)
            self._changed.clear()
            if not await self._changed.wait(until - ticks()):
                self.close()
                raise OSError(_NO_ANSWER)

    async def read(self, size: int) -> bytes:
        buffer = bytearray(size)
        while True:
            count = _host.receive(self._handle, addressof(buffer), size)
            if count >= 0:
                return bytes(buffer[:count])
            await self._again(count)

    async def write(self, data: bytes) -> None:
        while True:
            answer = _host.send(self._handle, addressof(data) if data else 0, len(data))
            if answer == 0:
                return
            await self._again(answer)

    def close(self) -> None:
        _host.close(self._handle)
        self._forget(self._handle)
        self._changed.set()

    async def _again(self, answer: int) -> None:
        if answer != _AGAIN:
            self._check(answer)
        self._changed.clear()
        await self._changed.wait(None)

    def _check(self, answer: int) -> None:
        if answer == _TLS_FAULT:
            raise OSError("TLS: " + _host.fault(self._handle))
        if answer < 0:
            raise OSError(-answer)


class RunnerBoard:
    """One boot. options: what the host decided about this board."""

    def __init__(self, options: "dict[str, Any]") -> None:
        self.loop = Loop(self._failed)
        vfs.mount(Flash(), _ROOT)
        self.fs = DirectoryFiles(_ROOT)
        self._options = options
        self._changed: dict[int, Event] = {}
        self._frames: list[Received] = []
        self._heard = self.loop.event()
        self._fed = 0
        self._rack: Rack | None = None
        self._buses: ChipBuses | None = None
        self._asked = True
        self.frames_lost = 0
        self._signer = open_identity(self.fs, self.entropy, self.ticks, b"runner")
        if options["watchdog_ms"]:
            self.loop.spawn(self._watch(options["watchdog_ms"]))

    def offer(self) -> "bytes | None":
        return None

    @property
    def vault(self) -> DirectoryFiles:
        return self.fs

    def console(self) -> None:
        """A runner has none."""

    async def online(self, timeout_ms: int) -> None:
        """The host's network is always there; what a loss of Wi-Fi does is stream()'s."""

    def programs(self) -> None:
        """A runner's program is the host's."""

    def firmware(self) -> str:
        return "cairn " + limits.VERSION

    # Time and tasks.

    def now_ms(self) -> "int | None":
        clock = _host.clock()
        return int(clock) if clock else None

    def set_clock(self, utc_ms: int) -> None:
        _host.set_clock(str(utc_ms))

    def ticks(self) -> int:
        return self.loop.now

    async def sleep(self, duration_ms: int) -> None:
        await self.loop.sleep(duration_ms)

    def spawn(self, coroutine: "Coroutine[Any, Any, Any]") -> None:
        self.loop.spawn(coroutine)

    def event(self) -> "Event":
        return self.loop.event()

    # Key and chance.

    def entropy(self, size: int) -> bytes:
        buffer = bytearray(size)
        if size:
            _host.entropy(addressof(buffer), size)
        return bytes(buffer)

    def public_key(self) -> bytes:
        return self._signer.public_key

    def sign(self, message: bytes) -> bytes:
        return self._signer.sign(message, self.entropy(32), self.entropy(32))

    # Sensors and machine.

    def equip(self, config: "Config") -> None:
        if config.sensors:
            from cairn.sensors.rack import Rack  # noqa: PLC0415 - only with sensors

            from ..chips.bench import ChipBuses  # noqa: PLC0415, TID252

            self._buses = ChipBuses(config.sensors, self.ticks)
            self.set_chips(json.dumps(self._options["chips"]))
            self._rack = Rack(config.sensors, self._buses)

    async def sample(self) -> "Sample":
        if self._rack is not None:
            return await self._rack.sample(self.sleep) if self._asked else []
        return [tuple(row) for row in json.loads(_host.samples())]

    def feed(self) -> None:
        self._fed = self.loop.now

    def info(self) -> "tuple[int, int, int | None, int | None]":
        free_bytes = gc.mem_free()  # type: ignore[attr-defined]
        return free_bytes, self._options["cause"], _host.battery(), _host.rssi()

    def storage_bytes(self) -> "int | None":
        blocks = _host.blocks(1) + len(self.fs.names("outbox/"))
        return int(blocks) * _BLOCK_BYTES

    def report(self, code: str, detail: str) -> None:
        _host.report(code, detail)

    def restart(self, reason: str) -> None:
        _host.halt("restart", json.dumps({"reason": reason}))

    def deep_sleep(self, duration_ms: int) -> None:
        _host.halt("sleep", json.dumps({"duration_ms": duration_ms}))

    def retained(self) -> "bytes | None":
        size = _host.retained_size()
        if size < 0:
            return None
        buffer = bytearray(size)
        if size:
            _host.retained(addressof(buffer))
        return bytes(buffer)

    def retain(self, data: bytes) -> bool:
        if len(data) > limits.RETAINED_BYTES:
            return False
        return bool(_host.retain(addressof(data) if data else 0, len(data)))

    # Network.

    async def stream(self, host: str, port: int, tls: "bytes | None") -> SocketStream:
        ca = tls or b""
        size = -1 if tls is None else len(ca)
        handle = _host.connect(host, port, addressof(ca) if ca else 0, size)
        stream = self._opened(handle)
        await stream.connected(limits.STREAM_TIMEOUT_MS, self.ticks)
        return stream

    async def datagram(self, host: str, port: int, data: bytes, timeout_ms: int) -> bytes:
        stream = self._opened(_host.datagram(host, port, addressof(data), len(data)))
        answer: list[bytes] = []
        done = self.loop.event()
        self.spawn(_read_once(stream, answer, done))
        answered = await done.wait(timeout_ms)
        stream.close()
        if not answered or not answer:
            raise OSError(_NO_ANSWER)
        return answer[0]

    async def recover(self, stage: int) -> None:
        _host.recover(stage)
        await self.loop.sleep(3_000)

    def _opened(self, handle: int) -> SocketStream:
        changed = self._changed[handle] = self.loop.event()
        return SocketStream(handle, changed, self._forget)

    def _forget(self, handle: int) -> None:
        self._changed.pop(handle, None)

    # Radio.

    def radios(self) -> "tuple[int, ...]":
        return tuple(self._options["radios"])

    def radio_send(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> "bool | None":
        if radio not in self._options["radios"]:
            return None
        _host.radio(radio, channel, power_cdbm, addressof(frame), len(frame))
        return True

    def radio_listen(self, radio: int, channel: int) -> None:
        if radio in self._options["radios"]:
            _host.listen(radio, channel)

    async def radio_receive(self) -> "Received | None":
        if not self._options["radios"]:
            return None
        while not self._frames:
            self._heard.clear()
            await self._heard.wait(None)
        return self._frames.pop(0)

    # What the host calls. Times come as floats, for this bridge cuts whole numbers to 32 bits.

    def step(self, limit: float) -> float:
        """Run one step that is due by limit: its time, or -1 if there was none."""
        due = self.loop.next()
        if due is None or due > limit:
            return -1.0
        now = float(max(due, self.loop.now))
        _host.tick(now)
        self.loop.step(int(limit))
        return now

    def stand(self, at: float) -> None:
        self.loop.stand(int(at))

    def next(self) -> float:
        due = self.loop.next()
        return -1.0 if due is None else float(due)

    def wake(self, handle: int) -> None:
        changed = self._changed.get(handle)
        if changed is not None:
            changed.set()

    def hear(self, frame: str) -> None:
        """[radio, channel, rssi, snr, ticks, hexadecimal bytes] as JSON."""
        if len(self._frames) >= _FRAMES_MAX:
            # The queue of a chip is no longer either.
            self.frames_lost += 1
            return
        received = json.loads(frame)
        received[5] = unhexlify(received[5])
        self._frames.append(tuple(received))
        self._heard.set()

    def set_chips(self, states: str) -> None:
        """What the models of the sensors measure, and what is wrong with them; null: nobody asks
        them.
        """
        told = json.loads(states)
        self._asked = told is not None
        if self._buses is None:
            return
        for chip, state in zip(self._buses.chips, told or []):  # noqa: B905
            for quantity, value in state.get("values", {}).items():
                chip.values[int(quantity)] = value
            chip.fail(*(state.get("fail") or (None,)))

    async def _watch(self, limit_ms: int) -> None:
        while True:
            left = self._fed + limit_ms - self.loop.now
            if left <= 0:
                _host.halt("watchdog", "{}")
            await self.loop.sleep(left)

    def _failed(self, error: BaseException) -> None:
        text = StringIO()
        sys.print_exception(error, text)  # type: ignore[attr-defined]
        _host.report("task.failed", type(error).__name__ + ": " + str(error))
        _host.halt("exception", json.dumps({"text": text.getvalue()}))


async def _read_once(stream: SocketStream, answer: "list[bytes]", done: "Event") -> None:
    try:
        answer.append(await stream.read(1_024))
    except OSError:
        return  # who waits finds no answer
    finally:
        done.set()


def power_on(options: str) -> RunnerBoard:
    """The board of this interpreter."""
    return RunnerBoard(json.loads(options))


def begin(
    board: RunnerBoard, program: "Callable[[RunnerBoard], Coroutine[Any, Any, Any]]"
) -> None:
    """Make the program's first task; it runs when time goes on."""
    board.spawn(program(board))
