"""The states of a flashing and the moves between them, as data; nothing here does anything."""

from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where a flashing is. The page /flash has the same names."""

    IDLE = "idle"
    OPENING = "opening"
    CONNECTING = "connecting"
    INSPECTING = "inspecting"
    READY = "ready"
    DOWNLOADING = "downloading"
    BUILDING = "building"
    FLASHING = "flashing"
    VERIFYING = "verifying"
    VERIFYING_PROTECTED = "verifying_protected"
    REBOOTING = "rebooting"
    DONE = "done"
    FAILED = "failed"


_S = State

# Every state may fail but the last two. CONNECTING is come back to when a line was too fast or
# too bad; nothing is written that was not inspected and built for.
MOVES = MappingProxyType(
    {
        _S.IDLE: frozenset({_S.OPENING, _S.FAILED}),
        _S.OPENING: frozenset({_S.CONNECTING, _S.FAILED}),
        _S.CONNECTING: frozenset({_S.INSPECTING, _S.CONNECTING, _S.FAILED}),
        _S.INSPECTING: frozenset({_S.READY, _S.CONNECTING, _S.FAILED}),
        _S.READY: frozenset({_S.DOWNLOADING, _S.BUILDING, _S.FAILED}),
        _S.DOWNLOADING: frozenset({_S.BUILDING, _S.FAILED}),
        _S.BUILDING: frozenset({_S.FLASHING, _S.FAILED}),
        _S.FLASHING: frozenset({_S.VERIFYING, _S.CONNECTING, _S.FAILED}),
        _S.VERIFYING: frozenset({_S.VERIFYING_PROTECTED, _S.CONNECTING, _S.FAILED}),
        _S.VERIFYING_PROTECTED: frozenset({_S.REBOOTING, _S.CONNECTING, _S.FAILED}),
        _S.REBOOTING: frozenset({_S.DONE, _S.FAILED}),
        _S.DONE: frozenset[State](),
        _S.FAILED: frozenset[State](),
    }
)

SENTENCES = MappingProxyType(
    {
        _S.IDLE: "Nothing has begun.",
        _S.OPENING: "Opening the port.",
        _S.CONNECTING: "Waking the chip's bootloader.",
        _S.INSPECTING: "Looking at the chip, its flash and what must be kept.",
        _S.READY: "The board is ready to be written.",
        _S.DOWNLOADING: "Downloading MicroPython.",
        _S.BUILDING: "Building the board's program.",
        _S.FLASHING: "Writing. Leave the cable plugged in.",
        _S.VERIFYING: "Reading back what was written.",
        _S.VERIFYING_PROTECTED: "Comparing what had to be kept.",
        _S.REBOOTING: "Restarting the board.",
        _S.DONE: "The board is flashed.",
        _S.FAILED: "It did not work.",
    }
)


class Course:
    """The states that a flashing went through; an illegal move is a bug and a ValueError."""

    def __init__(self) -> None:
        self._states = [State.IDLE]

    @property
    def state(self) -> State:
        return self._states[-1]

    @property
    def states(self) -> tuple[State, ...]:
        """All of them, the first one first."""
        return tuple(self._states)

    @property
    def over(self) -> bool:
        return not MOVES[self.state]

    def move(self, to: State) -> None:
        """Go on to another state."""
        if to not in MOVES[self.state]:
            raise ValueError(f"illegal move: {self.state} -> {to}")
        self._states.append(to)
