"""CPython's side of the runner: starts Node, speaks its JSON lines, and keeps world time.

A board's program is firmware/cairn unchanged, on one MicroPython interpreter in a worker thread of
one Node process (host.mjs, worker.mjs). Every call has a deadline; a dead process or an exception
in an interpreter becomes a RunnerError with what was printed. For one caller at a time.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from simulator.micropython.node_process import NodeProcess, RunnerError
from simulator.micropython.options import BoardOptions

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
NODE_MODULES = CHECKOUT / "tests" / "device" / "node_modules"
INTERPRETER = "@micropython/micropython-webassembly-pyscript/micropython.mjs"
START_MS = 1_795_000_000_000
DEADLINE_S = 60.0
HUNG_S = 30.0
POLL_S = 0.01
FATAL = ("exception", "broken")


@dataclass(frozen=True)
class Happening:
    """What a board did, at world time at_ms (worker.mjs and boards.mjs tell the kinds)."""

    board: int
    kind: str
    at_ms: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Counts:
    """boots and operations of the flash: since add(); bytes and streams: of this boot.
    quiet_ms: real time since the last byte; None: it is off.
    """

    boots: int
    operations: int
    state: str
    bytes_in: int
    bytes_out: int
    streams: int
    quiet_ms: float | None


def read_application(firmware: Path) -> dict[str, bytes]:
    """The firmware's sources as they lie in the checkout, by path below /lib."""
    found = {}
    for path in sorted((firmware / "cairn").rglob("*.py")):
        if not path.name.startswith("esp32"):  # imports machine, which only that port has
            found[path.relative_to(firmware).as_posix()] = path.read_bytes()
    return found


def inner_files() -> dict[str, bytes]:
    """What of the simulator runs inside the interpreter: the board, and the sensors' models."""
    simulator = HERE.parent
    paths = [simulator / "__init__.py", HERE / "__init__.py"]
    paths += [HERE / name for name in ("board.py", "flash.py", "loop.py")]
    paths += sorted((simulator / "chips").glob("*.py"))
    return {path.relative_to(simulator.parent).as_posix(): path.read_bytes() for path in paths}


class Runner:
    """Many boards in one Node process. application: path below /lib -> bytes; "rom.romfs": an
    image that is mounted at /rom. hung_s: a step that takes longer in real time never ends.
    inner: other builds of inner_files(), say compiled ones. memory_pages: at most so many 64 KiB
    of memory for an interpreter.
    """

    def __init__(
        self,
        application: Mapping[str, bytes],
        node_modules: Path = NODE_MODULES,
        start_ms: int = START_MS,
        deadline_s: float = DEADLINE_S,
        *,
        strict: bool = True,
        hung_s: float = HUNG_S,
        inner: Mapping[str, bytes] | None = None,
        memory_pages: int | None = None,
    ) -> None:
        self._deadline_s = deadline_s
        self._strict = strict
        self._now_ms = start_ms
        self._real: tuple[float, float] | None = None  # monotonic time, rate
        self._boards: list[int] = []
        self._names: dict[str, tuple[str, int | None]] = {}
        self._happened: deque[Happening] = deque()
        self._fatal: Happening | None = None
        interpreter = node_modules / INTERPRETER
        if not interpreter.is_file():
            raise RunnerError(f"no MicroPython at {interpreter}: run npm ci in tests/device")
        self._process = NodeProcess(_command(interpreter, hung_s, memory_pages), self._take)
        files = {**(inner_files() if inner is None else inner), **application}
        self._call("begin", at=start_ms, application=_hex(files))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the Node process and every board with it; idempotent."""
        self._process.close()

    # Boards.

    def add(
        self,
        board: int,
        files: Mapping[str, bytes] | None = None,
        extra: Mapping[str, bytes] | None = None,
        **options: Any,
    ) -> None:
        """A new board, powered off; options: those of BoardOptions by name. extra: more files
        below /lib.
        """
        settings = BoardOptions(**options).as_json() | {"names": self._names}
        listed, more = _hex(files or {}), _hex(extra or {})
        self._call("add", [board], options=settings, files=listed, extra=more)
        self._boards.append(board)

    def boot(self, boards: Iterable[int] | None = None, cause: int = 1) -> None:
        """Switch on at the present world time, with this reset cause."""
        self._call("boot", self._chosen(boards), cause=cause)

    def run_to(
        self,
        at_ms: int,
        boards: Iterable[int] | None = None,
        hold_ms: int = 30,
        deadline_s: float | None = None,
    ) -> None:
        """Let world time go on to at_ms and return when every board stands there."""
        if at_ms < self.now_ms():
            raise RunnerError(f"world time {self.now_ms()} cannot go back to {at_ms}")
        self._real = None
        self._call("run_to", self._chosen(boards), deadline_s, to=at_ms, hold=hold_ms)
        self._now_ms = at_ms

    def run_for(self, duration_ms: int, **options: Any) -> None:
        """run_to, counted from now."""
        self.run_to(self.now_ms() + duration_ms, **options)

    def settle(
        self, quiet_ms: int = 50, boards: Iterable[int] | None = None, deadline_s: float = 10.0
    ) -> None:
        """Return when none of the boards had socket traffic for quiet_ms of real time."""
        until = time.monotonic() + deadline_s
        for board in self._chosen(boards):
            while (quiet := self.counts(board).quiet_ms) is not None and quiet < quiet_ms:
                if time.monotonic() > until:
                    raise RunnerError(f"board {board} still talks after {deadline_s} s")
                time.sleep(POLL_S)

    def real_time(self, rate: float = 1.0) -> None:
        """From now on world time goes by itself, rate times as fast as the wall clock."""
        self._call("real_time", self._boards, rate=rate)
        self._real = (time.monotonic(), rate)

    def pause(self) -> None:
        """World time stands still again."""
        now_ms = self.now_ms()
        self._real = None
        self._now_ms = now_ms
        self._call("pause", self._boards, at=now_ms)

    def now_ms(self) -> int:
        """World time."""
        if self._real is None:
            return self._now_ms
        began, rate = self._real
        return self._now_ms + int((time.monotonic() - began) * 1000 * rate)

    # What happens to boards.

    def cut(self, board: int, *, keep_retained: bool = False) -> None:
        """Power is gone between two steps; boot() switches it on again."""
        self._call("cut", [board], keep_retained=keep_retained)

    def arm(
        self,
        board: int,
        after: int,
        part: str = "torn",
        back_ms: int | None = None,
        cause: int = 1,
        *,
        keep_retained: bool = False,
    ) -> None:
        """Cut the power in the flash operation after the next `after` ones. part: "none" or
        "whole" of it is done, or "torn". back_ms: comes on by itself so much later.
        """
        if part not in ("none", "torn", "whole"):
            raise RunnerError(f"an operation is kept as none, torn or whole, not {part!r}")
        arm = {"left": after, "part": part, "back_ms": back_ms, "cause": cause}
        self._call("arm", [board], arm={**arm, "keep_retained": keep_retained})

    def disarm(self, board: int) -> None:
        """Forget `arm`."""
        self._call("arm", [board], arm=None)

    def wifi(
        self, board: int, *, up: bool, silent: bool = False, recovers_at: int | None = None
    ) -> None:
        """Take the network away or give it back. silent: open streams are not told. recovers_at:
        the board brings it back itself with Board.recover(stage) from this stage on.
        """
        self._call("wifi", [board], up=up, silent=silent, recovers_at=recovers_at)

    def set_rssi(self, board: int, rssi_dbm: int) -> None:
        self._set([board], rssi_dbm=rssi_dbm)

    def set_battery(self, board: int, battery_mv: int | None) -> None:
        self._set([board], battery_mv=battery_mv)

    def set_samples(self, board: int, rows: Sequence[Sequence[int | None]]) -> None:
        self._set([board], samples=[list(row) for row in rows])

    def set_chips(self, board: int, states: Sequence[dict[str, Any]] | None) -> None:
        """What the models of its sensors measure from now on; `chips` of BoardOptions."""
        self._set([board], chips=None if states is None else list(states))

    def set_clock(self, board: int, error_ms: int | None) -> None:
        """The clock behind now_ms() jumps: it shows world time and error_ms; None: it was lost."""
        self._call("clock", [board], error=error_ms)

    def resolve(self, names: Mapping[str, tuple[str, int | None]]) -> None:
        """Host names for every board: name -> (address, port or None for the one asked for)."""
        self._names |= names
        self._set(self._boards, names=self._names)

    def frame(  # noqa: PLR0917 - the fields of Board.radio_receive
        self,
        board: int,
        radio: int,
        channel: int,
        rssi_cdbm: int,
        snr_cdb: int | None,
        at_ms: int,
        data: bytes,
    ) -> None:
        """A frame ended at the antenna at world time at_ms, which may be past."""
        values = {"radio": radio, "channel": channel, "rssi": rssi_cdbm, "snr": snr_cdb}
        self._call("frame", [board], **values, at=at_ms, data=data.hex())

    # What can be seen.

    def happenings(self) -> list[Happening]:
        """What the boards did since the last call, in the order in which it became known."""
        found = []
        while self._happened:
            found.append(self._happened.popleft())
        return found

    def flash(self, board: int) -> dict[str, bytes]:
        """What a power cut now would leave."""
        return {name: bytes.fromhex(text) for name, text in self._call("flash", [board]).items()}

    def set_flash(self, board: int, name: str, data: bytes | None) -> None:
        """Change or remove (None) a file of a board that is off."""
        self._call("set_flash", [board], name=name, data=None if data is None else data.hex())

    def counts(self, board: int) -> Counts:
        told = self._call("counts", [board])
        return Counts(
            boots=told["boots"],
            operations=told["operations"],
            state=told["state"],
            bytes_in=told["bytesIn"],
            bytes_out=told["bytesOut"],
            streams=told["opened"],
            quiet_ms=told["quiet_ms"],
        )

    def state(self, board: int) -> str:
        """Whether it is "on", "off" or "asleep"."""
        return self.counts(board).state

    def evaluate(self, board: int, expression: str) -> Any:
        """An expression inside the interpreter: board, loop and the program's names are known."""
        return json.loads(self._call("evaluate", [board], expression=expression))

    def memory(self) -> dict[str, int]:
        """rss of the Node process in bytes, and how many interpreters run in it."""
        told: dict[str, int] = self._call("memory")
        return told

    # The process.

    def _chosen(self, boards: Iterable[int] | None) -> list[int]:
        return list(self._boards if boards is None else boards)

    def _set(self, boards: Sequence[int], **values: Any) -> None:
        self._call("set", boards, values=values)

    def _call(
        self,
        do: str,
        boards: Sequence[int] = (),
        deadline_s: float | None = None,
        **values: Any,
    ) -> Any:
        values["boards"] = list(boards)
        answer = self._process.call(do, values, deadline_s or self._deadline_s)
        if self._fatal is not None and self._strict:
            fatal, self._fatal = self._fatal, None
            raise RunnerError(f"board {fatal.board}, {fatal.kind}: {fatal.values.get('text')}")
        return answer

    def _take(self, told: dict[str, Any]) -> None:
        kind, board, at_ms = told.pop("event"), told.pop("board"), told.pop("at")
        if kind == "radio":
            told["frame"] = bytes.fromhex(told["frame"])
        elif kind == "flash":
            told["data"] = bytes.fromhex(told["data"])
        happening = Happening(board, kind, at_ms, told)
        if kind in FATAL:
            self._fatal = happening
        self._happened.append(happening)


def _command(interpreter: Path, hung_s: float, memory_pages: int | None) -> list[str]:
    flags = [] if memory_pages is None else [f"--wasm-max-mem-pages={memory_pages}"]
    return ["node", *flags, str(HERE / "host.mjs"), str(interpreter), str(int(hung_s * 1000))]


def _hex(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: data.hex() for name, data in files.items()}
