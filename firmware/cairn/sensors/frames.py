"""Frames of fixed size on a serial line: the next whole one, whatever garbage lies before it."""

from . import part
from .part import SensorError

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

    from . import Sleep, Uart

_LOOK_MS = 50
# PMS5003: the rest of a frame, and the next one 2.3 s later.
_WAIT_MS = 5_000
# A receive buffer is emptied in so many reads, or it fills faster than it can be read.
_DRAINS = 16


async def next_frame(
    uart: "Uart",
    sleep: "Sleep",
    head: bytes,
    size: int,
    valid: "Callable[[bytes], bool]",
) -> bytes:
    """The first frame that begins with head and arrives in time. SensorError."""
    drain(uart)
    kept = level = b""
    heard = damaged = varied = False
    for _ in range(_WAIT_MS // _LOOK_MS):
        await sleep(_LOOK_MS)
        new = take(uart)
        if not new:
            continue
        varied = varied or new != new[:1] * len(new) or (heard and new[:1] != level)
        heard, level = True, new[:1]
        kept += new
        at = kept.find(head)
        while at >= 0 and len(kept) - at >= size:
            frame = kept[at : at + size]
            if valid(frame):
                return frame
            damaged = True
            # The head may have stood inside a damaged frame: go on one byte further.
            at = kept.find(head, at + 1)
        kept = kept[at:] if at >= 0 else kept[1 - len(head) :]
    if not heard:
        raise SensorError(part.BUS)
    if not varied:
        raise SensorError(part.STUCK)
    raise SensorError(part.CHECKSUM if damaged or head not in kept else part.TIMEOUT)


def drain(uart: "Uart") -> None:
    """Drop what has been received: it is older than the question, and may be older by hours."""
    for _ in range(_DRAINS):
        if not take(uart):
            return


def take(uart: "Uart") -> bytes:
    """What has been received, at once."""
    waiting = uart.any()
    return (uart.read(waiting) or b"") if waiting else b""


def summed(frame: bytes, first: int, last: int) -> int:
    """The sum of frame[first:last]."""
    total = 0
    for at in range(first, last):
        total += frame[at]
    return total
