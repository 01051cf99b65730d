"""Picks one of the two programs on a board, and starts it.

It stays as it was flashed: no update replaces it, and so none can break it. For that it is small,
and knows of a program only the list of its files ("release"), which the update wrote last. It
checks no signatures: what is in a slot was checked before it came there (docs/decisions/0024).

/slots: b"L1", letter of the slot that is confirmed, of the one on trial or "-", tries that are
left, and three counters of 8 bytes: of the program on trial, the highest ever confirmed, the
highest that failed; then the start of the SHA-256 of all that.
/a/release, /b/release: text, a line "cairn 1 COUNTER ARCHITECTURE VERSION", a line "SHA256 SIZE
NAME" for each file, and "= SHA256" of all the lines before.
"""

# The console is all that there is, and whatever a program ended with, only a reset mends it.
# ruff: noqa: T201, BLE001
import gc
import os
import sys
import time
from binascii import hexlify
from hashlib import sha256

TRIES = 3
# No boot of a trial takes longer, whatever its program does; a Wi-Fi outage may last that long.
TRIAL_MS = 4 * 3_600_000
WATCHDOG_MS = 120_000

_STATE = "/slots"
_AGAIN_S = 30
# Enough to read what is said; a program that ends at once must not wear out the flash.
_PAUSE_S = 10


def read() -> "tuple[str, str, int, int, int, int] | None":
    """(confirmed, on trial, tries, its counter, highest, failed); None: absent or damaged."""
    try:
        with open(_STATE, "rb") as file:
            data = file.read(64)
    except OSError:
        return None
    if len(data) != 33 or data[:2] != b"L1" or sha256(data[:29]).digest()[:4] != data[29:]:
        return None
    trying, highest, failed = [int.from_bytes(data[at : at + 8], "big") for at in (5, 13, 21)]
    return chr(data[2]), chr(data[3]), data[4], trying, highest, failed


def write(confirmed: str, trial: str, tries: int, counters: "tuple[int, int, int]") -> bool:
    """Keep what read() gives, its last three as counters. False: the flash does not take it."""
    data = b"L1" + (confirmed + trial).encode() + bytes([tries])
    for counter in counters:
        data += counter.to_bytes(8, "big")
    try:
        with open(_STATE + ".new", "wb") as file:
            file.write(data + sha256(data).digest()[:4])
        os.rename(_STATE + ".new", _STATE)
    except OSError:
        return False
    return True


def check(slot: str) -> int:
    """Counter of the program in a slot; -1: there is none, or not the whole of it."""
    try:
        return _check("/" + slot + "/")
    except (OSError, ValueError, IndexError, MemoryError):
        return -1


def _check(folder: str) -> int:
    listed = sha256()
    counter = -1
    with open(folder + "release", "rb") as release:
        while True:
            line = release.readline()
            words = line.split(None, 4)
            if words[0] == b"=":
                return counter if words[1] == hexlify(listed.digest()) else -1
            if words[0] == b"cairn":
                if words[1] != b"1":
                    return -1
                counter = int(words[2])
            elif _hash(folder + words[2].decode()) != words[0]:
                return -1
            listed.update(line)


def _hash(path: str) -> bytes:
    hashed = sha256()
    buffer = bytearray(1024)
    view = memoryview(buffer)
    with open(path, "rb") as file:
        while True:
            size = file.readinto(buffer)
            if not size:
                return hexlify(hashed.digest())
            hashed.update(view[:size])


def _found() -> "tuple[str, str, int, int, int, int]":
    """The state as the slots themselves show it: the newer program has to prove itself again."""
    a, b = check("a"), check("b")
    if a >= 0 and b >= 0 and a != b:
        older, newer = ("a", "b") if a < b else ("b", "a")
        return older, newer, TRIES, max(a, b), min(a, b), 0
    return "b" if b > a else "a", "-", 0, 0, max(a, b, 0), 0


def pick() -> "tuple[str, bool]":
    """(slot to start, whether it is on trial); ("", False): no program is whole."""
    confirmed, trial, tries, trying, highest, failed = read() or _found()
    if trial != "-":
        # Counted before it runs. A flash that keeps no count must not try for ever.
        counted = tries > 0 and write(confirmed, trial, tries - 1, (trying, highest, failed))
        if counted and check(trial) == trying:
            return trial, True
        failed = max(failed, trying)
        write(confirmed, "-", 0, (0, highest, failed))
    for slot in _both(confirmed):
        if check(slot) >= 0:
            if slot != confirmed:
                write(slot, "-", 0, (0, highest, failed))
            return slot, False
    return "", False


def folder() -> str:
    """Where the program is that is confirmed, or the only whole one; "": there is none. For the
    serial console: nothing is counted or changed.
    """
    for slot in _both((read() or _found())[0]):
        if check(slot) >= 0:
            return "/" + slot
    return ""


def _both(first: str) -> "tuple[str, str]":
    return ("b", "a") if first == "b" else ("a", "b")


def _guard(*, trial: bool) -> None:
    """From here on a program that hangs is ended, and so is a trial that nobody ends."""
    import machine

    machine.WDT(timeout=WATCHDOG_MS)
    if trial:
        timer = machine.Timer(0)
        timer.init(mode=machine.Timer.ONE_SHOT, period=TRIAL_MS, callback=_over)


def _over(_: object) -> None:
    state = read()
    if state is None or state[1] != "-":
        import machine

        machine.reset()


def _forget(*, trial: bool) -> None:
    """The program needs the memory that this takes."""
    names = ["write", "check", "_check", "_hash", "_found", "_both", "pick", "folder", "_guard"]
    if not trial:
        names += ["read", "_over", "sha256", "os"]
    for name in names + ["hexlify", "_forget"]:
        # A name that is deleted leaves its value in the dictionary's table.
        globals()[name] = None


def start() -> None:
    """Run a program for as long as the board runs. Ctrl-C leads to the prompt at any time."""
    slot, trial = pick()
    while not slot:
        print("cairn: launch.none: no program here is whole; run `cairn board flash`")
        time.sleep(_AGAIN_S)
        slot, trial = pick()
    sys.path.insert(0, "/" + slot)
    try:
        _guard(trial=trial)
    except Exception as error:
        # It may still be a good program, on a chip that this does not know well.
        print("cairn: launch.unguarded:", repr(error))
    _forget(trial=trial)
    # Here, for deeper down the stack still shows what this one has left there.
    gc.collect()
    try:
        import application  # noqa: F401 - it is this that runs the program
    except Exception as error:
        sys.print_exception(error)
    import machine

    time.sleep(_PAUSE_S)
    machine.reset()
