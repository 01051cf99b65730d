"""What one boot leaves to the next: how many boots in a row ended badly, and when a boot was that
never learnt the time. Needed at the start of a boot and now and then: it is borrowed.

The file "lives" holds CBOR [crashes, stays in safe mode, restarts for want of a network]. A boot
counts as a crash from its beginning until it has gone on for long enough, whatever the chip says
of the reset: a supply that breaks down looks like the owner's switch. Wakes from deep sleep are
not counted.

In retained memory, of a mains station: CBOR [b"lives", boot, ticks, [[boot, before_ms,
uncertainty_ms], ...]] and the start of its SHA-256. before_ms: how long before ticks 0 of the
boot that wrote this the named boot had its own.
"""

from hashlib import sha256

from . import cbor, limits, sealed, wire

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

    from .boards.base import Files
    from .clock import Clock

    Now = tuple[int, int, int]
    # boot, ms before this one, uncertainty
    Earlier = list[tuple[int, int, int]]

FILE = "lives"
RESET_BROWN_OUT = 3
RESET_SOFTWARE = 4
RESET_SLEEP = 5
_NAME = b"lives"
_CHECK_BYTES = 4


def load(files: "Files") -> "tuple[int, int, int]":
    """(crashes, stays in safe mode, restarts for want of a network) in a row until now."""
    stored = sealed.read(files, FILE)
    if not stored:
        return 0, 0, 0
    crashes, stays, quiet = cbor.decode(stored)
    return crashes, stays, quiet


def store(files: "Files", crashes: int, stays: int, quiet: int) -> None:
    """Keep what load() gives. A broken flash is no reason not to start."""
    try:
        sealed.write(files, FILE, cbor.encode([crashes, stays, quiet]))
    except OSError:
        return


def pack(boot: int, ticks: int, earlier: "Earlier") -> bytes:
    """For Board.retain: this boot has no UTC yet, and ticks have passed in it."""
    rows = [list(row) for row in earlier[-limits.UNMAPPED_BOOTS_MAX :]]
    data = cbor.encode([_NAME, boot, ticks, rows])
    return data + sha256(data).digest()[:_CHECK_BYTES]


def unpack(data: "bytes | None", reset_cause: int, this_boot: int = -1) -> "Earlier":
    """The boots whose times nobody knows, seen from this one. [] if nothing was kept. this_boot: a
    boot that signed nothing has left its number to the next one.
    """
    if not data or sha256(data[:-_CHECK_BYTES]).digest()[:_CHECK_BYTES] != data[-_CHECK_BYTES:]:
        return []
    try:
        name, boot, ticks, rows = cbor.decode(data[:-_CHECK_BYTES])
    except (cbor.CborError, TypeError, ValueError):
        return []
    if name != _NAME or reset_cause == RESET_BROWN_OUT:
        # How long the supply was too low, nobody can know.
        return []
    # From the last note to the end of that boot, and from there to our ticks 0.
    gap_ms = limits.VIGIL_MS + limits.BOOT_GAP_MS
    if reset_cause != RESET_SOFTWARE:
        gap_ms += limits.WATCHDOG_MS
    half = (gap_ms + 1) // 2
    found = [(row[0], row[1] + ticks + half, row[2] + half) for row in rows]
    found.append((boot, ticks + half, half))
    return [row for row in found if row[0] != this_boot]


def tell(
    write: "Callable[[int, list[object], Now], bool]", clock: "Clock", boots: "Earlier"
) -> "Earlier":
    """Write a clock message for each of these boots; those for which there was no room."""
    left = []
    for boot, before_ms, uncertainty_ms in boots:
        now = clock.now()
        at_boot_ms = clock.utc_at_boot_ms() - before_ms
        body = wire.clock_body(boot, at_boot_ms, now[1], now[2] + uncertainty_ms)
        if not write(wire.CLOCK, body, now):
            left.append((boot, before_ms, uncertainty_ms))
    return left
