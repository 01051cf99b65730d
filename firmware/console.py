"""What a host asks of a board over the raw REPL: the second program of an image. It shares nothing
with the first, so it serves where that one does not run; but its checks are the first one's own
code, so they find what the station would find (docs/firmware.md, "The serial console").

After a soft reset in raw mode, which starts no main.py:

    import sys, launch; sys.path.insert(0, launch.folder()); import console

Every call prints one line, `cairn> ` and a JSON object: {"ok": true, ...facts} or {"ok": false,
"code": ..., "detail": ...}. Nothing that may be expected is raised. Codes are those of
docs/troubleshooting.md, "Codes of a station".
"""

# The console is all that there is.
# ruff: noqa: T201
import asyncio
import gc
import json
import os
import sys
from binascii import hexlify
from hashlib import sha256

from cairn import config, lives, segment, slots, vault
from cairn.boards import esp32, esp32_store, esp32_wifi
from cairn.boards.checks import NETWORKED, LinkError, check_sensors, check_signature
from cairn.boards.checks import check as check_link
from cairn.boards.esp32_buses import Buses
from cairn.errors import OperatorError
from cairn.identity import device_id, device_name
from cairn.receipts import Receipts

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Facts = dict[str, object]

_WIFI_MS = 20_000
_WIFI_NAME_BYTES_MAX = 32
# No space: of littlefs, and of NVS twice.
_FULL = (28, 0x1105, 0x110D)
_NATIVE = {10: "xtensawin", 11: "rv32imc"}
# What outlives a call: the board, and pieces of a configuration that is coming in.
_BOARDS: "list[Board]" = []
_PIECES: "list[bytes]" = []


class Board(esp32.Esp32Board):
    """told: what it would have told on the console, where only answers belong."""

    def __init__(self) -> None:
        self.told: "list[tuple[str, str]]" = []
        super().__init__()

    def report(self, code: str, detail: str) -> None:
        self.told = (self.told + [(code, detail)])[-8:]

    def restart(self, reason: str) -> None:
        self.report("restart", reason)


def whoami() -> None:
    """Who it is, what runs on it and what it was told to be. Makes the key of a new board."""
    _say(_whoami)


def begin() -> None:
    """A configuration is coming in pieces."""
    _say(_begin)


def put(piece: bytes) -> None:
    """The next piece."""
    _say(lambda: _put(piece))


def provision() -> None:
    """Check the pieces and keep them."""
    _say(_provision)


def wifi(name: str, password: str) -> None:
    """Keep the network to join; an empty password: an open one."""
    _say(lambda: _wifi(name, password))


def join(timeout_ms: int) -> None:
    """Try what is kept."""
    _say(lambda: asyncio.run(_join(timeout_ms)))


def check(name: str) -> None:
    """One link of the chain from the sensor to the gateway; needs none of the others first."""
    _say(lambda: asyncio.run(_check(name)))


def forget(what: str, yes: bool = False) -> None:  # noqa: FBT001, FBT002 - typed by people
    """One of "wifi", "config"; with yes=True "all": the key, and with it the station."""
    _say(lambda: _forget(what, yes=yes))


def _say(work: "Callable[[], Facts]") -> None:
    gc.collect()
    try:
        answer: "Facts" = {"ok": True}
        answer.update(work())
    except LinkError as error:
        answer = {"ok": False, "code": error.code, "detail": error.detail}
        answer.update(error.facts)
    except OperatorError as error:
        answer = {"ok": False, "code": error.code, "detail": error.why}
    except MemoryError as error:
        answer = {"ok": False, "code": "console.memory", "detail": str(error)}
    except OSError as error:
        full = abs(error.errno or 0) in _FULL
        answer = {"ok": False, "code": "storage.full" if full else "storage.failed"}
        answer["detail"] = str(error)
    print("cairn> " + json.dumps(answer))


def _board() -> Board:
    if not _BOARDS:
        try:
            board = Board()
        finally:
            # Whoever types is slower than a program, and making the board starts its watchdog.
            esp32.calm()
        crashes, stays, quiet = lives.load(board.fs)
        if crashes:
            # Whoever came here ended a boot that had not proved itself yet; that is no crash.
            lives.store(board.fs, crashes - 1, stays, quiet)
        _BOARDS.append(board)
    return _BOARDS[0]


def _hex(data: bytes) -> str:
    return hexlify(data).decode()


# Who it is.


def _whoami() -> "Facts":
    board = _board()
    programs = board.programs()
    running = slots.running(programs)
    answer: "Facts" = {
        "device": device_name(device_id(board.public_key())),
        "public_key": _hex(board.public_key()),
        "firmware": slots.text(programs),
        "architecture": running[3] if running else _native(),
        "counter": running[1] if running else 0,
        "slot": running[0] if running else "",
        "chip": _console(board).chip(),
        "wifi": bool(esp32_store.get("ssid")),
        "crashes": lives.load(board.fs)[0],
        "outbox": _waiting(board),
    }
    try:
        found = config.load(board.vault, board.report, board.offer)
    except OperatorError as error:
        answer.update({"provisioned": False, "config": None, "config_code": error.code})
    else:
        answer.update({"provisioned": True, "config": _told(found)})
    disk = os.statvfs("/")
    gc.collect()
    answer.update({"free_heap": gc.mem_free(), "free_flash": disk[0] * disk[3]})
    return answer


def _waiting(board: Board) -> int:
    """How many stored messages no verified receipt covers: at most so many are not delivered."""
    up_to = Receipts(board.fs).verified.up_to
    waiting = 0
    for name in board.fs.names("outbox/"):
        for record in segment.scan(board.fs.read(name) or b"")[0]:
            waiting += record.seq > up_to
    return waiting


def _native() -> str:
    machine: "Any" = sys.implementation
    return _NATIVE.get(machine._mpy >> 10, "bytecode")  # noqa: SLF001 - MicroPython's own


def _told(found: config.Config) -> "Facts":
    return {
        "sha256": _hex(sha256(found.encode()).digest()),
        "network": _hex(found.network_id),
        "simulated": found.simulated,
        "cell": "%x" % found.scoring_cell,
        "owner": None if found.owner is None else _hex(found.owner),
        "broker": {
            "host": found.broker_host,
            "port": found.broker_port,
            "tls": found.broker_ca is not None,
        },
        "time": {"host": found.time_host, "port": found.time_port},
        "sensors": [list(entry) for entry in found.sensors],
        "sample_interval_ms": found.sample_interval_ms,
        "samples_per_message": found.samples_per_message,
    }


# Configuration.


def _begin() -> "Facts":
    _PIECES.clear()
    return {}


def _put(piece: bytes) -> "Facts":
    size = sum([len(one) for one in _PIECES]) + len(piece)
    if size > esp32_store.BYTES_MAX - config.CHECK_BYTES:
        why = "%d bytes are more than the board keeps" % size
        raise LinkError("config.size", why)
    _PIECES.append(bytes(piece))
    return {"bytes": size}


def _provision() -> "Facts":
    board = _board()
    found = config.decode(b"".join(_PIECES))
    _PIECES.clear()
    moved = False
    try:
        moved = config.load(board.vault).network_id != found.network_id
    except OperatorError:
        pass  # there is none, or it is damaged: the chain that there is was of no other network
    if moved:
        # Another network knows none of this chain, or an older part of it: it is lost, and the
        # station goes on by a receipt. Before the configuration: the old one mends as well.
        vault.clear(board.fs)
    config.store(board.vault, found)
    return {"config": _told(found), "moved": moved}


def _forget(what: str, *, yes: bool) -> "Facts":
    board = _board()
    if what not in ("wifi", "config", "all") or (what == "all" and not yes):
        raise LinkError("console.refused", "forget 'wifi', 'config', or 'all' with yes=True")
    if what == "all":
        # The key first: a power cut from here on leaves a board that begins anew.
        for name in ("identity", "public", "login"):
            board.vault.remove(name)
        vault.clear(board.fs)
    if what != "wifi":
        # What the image brought would come back.
        try:
            os.remove(esp32.OFFER)
        except OSError:
            pass  # there is none
        for name in (config.FILE, config.SPARE):
            board.vault.remove(name)
    if what != "config":
        for name in ("ssid", "psk"):
            board.vault.remove(name)
    if what == "all":
        _BOARDS.clear()
    return {}


# Wi-Fi.


def _wifi(name: str, password: str) -> "Facts":
    if not 1 <= len(name.encode()) <= _WIFI_NAME_BYTES_MAX:
        raise LinkError("wifi.absent", "the name of a network has 1 to 32 bytes")
    if password and not 8 <= len(password.encode()) <= 64:
        raise LinkError("wifi.password", "the password of a network has 8 to 63 characters")
    vault = _board().vault
    # A power cut in between leaves no network, and not one with another's password.
    vault.remove("ssid")
    vault.write("psk", password.encode())
    vault.write("ssid", name.encode())
    return {}


async def _join(timeout_ms: int) -> "Facts":
    board = _board()
    name, password = esp32_store.get("ssid"), esp32_store.get("psk")
    if not name:
        raise LinkError("wifi.absent", "no network is kept")
    status = await _console(board).join(name, password, timeout_ms)
    if status:
        raise LinkError(esp32_wifi.fault_of(status), "status %d" % status, {"status": status})
    return _joined(board)


def _console(board: Board) -> "Any":
    # Nobody else has it: this is the only program.
    return board.console()


def _joined(board: Board) -> "Facts":
    name = esp32_store.get("ssid").decode()
    return {"rssi_dbm": board.info()[3], "address": _console(board).address(), "ssid": name}


async def _online(board: Board) -> None:
    """Join what is kept, for a check."""
    if not esp32_store.get("ssid"):
        raise LinkError("wifi.absent", "no network is kept")
    board.told = []
    try:
        await board.online(_WIFI_MS)
    except OSError as error:
        for code, detail in board.told:
            if code.startswith("wifi."):
                raise LinkError(code, detail)
        raise LinkError("wifi.not_connected", str(error))


# The links.


async def _check(name: str) -> "Facts":
    board = _board()
    if name == "wifi":
        await _online(board)
        return _joined(board)
    settings = config.load(board.vault, board.report, board.offer)
    if name == "sensors":
        return await check_sensors(board, settings, Buses(board))
    if name == "signature":
        return check_signature(board, settings)
    if name not in NETWORKED:
        raise LinkError("console.refused", "there is no check " + name)
    await _online(board)
    return await check_link(board, settings, name)
