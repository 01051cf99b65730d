"""The state of a board's two program slots, as firmware/launch.py keeps it and reads it again.

The loader is older than any program that an update brings: what is said of these formats there
holds. Nothing here is needed for long: it is borrowed.

A program is on trial from its first boot until a receipt was verified under it. Which counters a
board has had is kept in the vault too, where neither a new file system nor a lost one reaches.
"""

from hashlib import sha256

from . import cbor, cose, limits, sealed
from .vault import FLOORS

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Files, Programs

    # Confirmed slot, slot on trial or "-", its tries, its counter, highest confirmed, failed.
    State = tuple[str, str, int, int, int, int]

STATE = "slots"
RELEASE = "release"
NONE = "-"
_MARK = b"L1"
_CHECK_BYTES = 4
_STATE_BYTES = 29
# The first line of a release: two words, counter, architecture, version.
_LINE_BYTES_MAX = 96
_LETTERS = ("a", "b")


def state(programs: "Programs") -> "State":
    """As stored; where that is absent or damaged, what the loader takes it for."""
    data = programs.read(STATE) or b""
    content = data[:_STATE_BYTES]
    whole = len(data) == _STATE_BYTES + _CHECK_BYTES and data[:2] == _MARK
    if whole and sha256(content).digest()[:_CHECK_BYTES] == data[_STATE_BYTES:]:
        counters = [int.from_bytes(content[at : at + 8], "big") for at in (5, 13, 21)]
        return chr(data[2]), chr(data[3]), data[4], counters[0], counters[1], counters[2]
    found = described(programs, programs.slot)
    return programs.slot, NONE, 0, 0, found[0] if found else 0, 0


def store(programs: "Programs", new: "State") -> None:
    """Replace the state. OSError: the flash does not take it."""
    data = _MARK + (new[0] + new[1]).encode() + bytes([new[2]])
    for counter in new[3:]:
        data += counter.to_bytes(8, "big")
    programs.write(STATE, data + sha256(data).digest()[:_CHECK_BYTES])


def described(programs: "Programs", slot: str) -> "tuple[int, str, str] | None":
    """(counter, version, architecture) of the program in a slot. None: there is none."""
    name = slot + "/" + RELEASE
    if programs.size(name) is None:
        return None
    words = programs.read_at(name, 0, _LINE_BYTES_MAX).split(b"\n")[0].split(None, 4)
    if len(words) != 5 or words[0] != b"cairn" or not words[2].isdigit():
        return None
    return int(words[2]), words[4].decode(), words[3].decode()


def running(programs: "Programs") -> "tuple[str, int, str, str] | None":
    """(slot, counter, version, architecture) of the program that runs. None: nothing says it."""
    found = described(programs, programs.slot)
    return None if found is None else (programs.slot, found[0], found[1], found[2])


def other(programs: "Programs") -> str:
    """The slot that does not run."""
    return _LETTERS[programs.slot == _LETTERS[0]]


def text(programs: "Programs | None") -> str:
    """What hello says of the program: version, counter, and the last counter that failed."""
    found = None if programs is None else described(programs, programs.slot)
    if programs is None or found is None:
        return "cairn " + limits.VERSION
    failed = state(programs)[5]
    end = " r%d" % found[0] + (" x%d" % failed if failed > found[0] else "")
    return ("cairn " + found[1])[: limits.FIRMWARE_TEXT_BYTES_MAX - len(end)] + end


def began(programs: "Programs | None") -> "tuple[bool, int]":
    """(whether the program that runs has still to prove itself, a newer one's counter that did
    not, or 0).
    """
    if programs is None:
        return False, 0
    found, now = described(programs, programs.slot), state(programs)
    return now[1] == programs.slot, now[5] if found is not None and now[5] > found[0] else 0


def floor(programs: "Programs | None", vault: "Files") -> "int | None":
    """A release has to have a higher counter than this; None: none is taken now."""
    if programs is None:
        return None
    found, now = described(programs, programs.slot), state(programs)
    if found is None or now[1] != NONE:
        return None
    highest = max(now[4], floors(vault, b"")[1])
    if found[0] < highest:
        # The slot of the highest was damaged, or a cable brought an older one: it may come again.
        highest -= 1
    return max(found[0], highest, now[5])


def offer_trial(programs: "Programs", counter: int, tries: int) -> None:
    """The other slot is whole: it is to be tried at the next boot."""
    now = state(programs)
    store(programs, (programs.slot, other(programs), tries, counter, now[4], now[5]))


def confirm(programs: "Programs", vault: "Files") -> None:
    """The program that runs has proved itself."""
    now = state(programs)
    highest = max(now[3], now[4])
    store(programs, (programs.slot, NONE, 0, 0, highest, now[5]))
    keep_floors(vault, b"", 0, highest)


def give_up(programs: "Programs") -> None:
    """The program that runs has not: the other one again from the next boot on."""
    now = state(programs)
    store(programs, (now[0], NONE, 0, 0, now[4], max(now[5], now[3])))


def floors(vault: "Files", root_key: bytes) -> "tuple[int, int]":
    """(serial of the newest trust document under this root key, or -1; highest counter that was
    ever confirmed). root_key b"": whichever it was.
    """
    stored = sealed.read(vault, FLOORS)
    if not stored:
        return -1, 0
    kid, serial, highest = cbor.decode(stored)
    known = not root_key or kid == cose.kid_of(root_key)
    # Another network counts on its own.
    return (serial, highest) if known else (-1, 0)


def keep_floors(vault: "Files", root_key: bytes, serial: int, highest: int) -> None:
    """Raise what floors() gives; root_key b"": whichever it was, and its serial stays."""
    stored = sealed.read(vault, FLOORS)
    kid, known, counter = cbor.decode(stored) if stored else (b"", -1, 0)
    if root_key and kid != cose.kid_of(root_key):
        kid, known, counter = cose.kid_of(root_key), -1, 0
    new = [kid, max(serial, known) if root_key else known, max(highest, counter)]
    data = cbor.encode(new)
    if data != stored:
        sealed.write(vault, FLOORS, data)
