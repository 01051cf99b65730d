"""The ESP32's serial console, and joining a network that somebody names over it."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from cairn import improv

from tests.unit.firmware.chip_rig import WIFI, Chip, drive, make_chip

SECOND_MS = 1_000
HOME = (b"home", b"secret-secret")


class Serial:
    """What came on the console and what went out; interrupt: which byte ends the program."""

    def __init__(self) -> None:
        self.came = bytearray()
        self.buffer = SimpleNamespace(read=self._read)
        self.interrupt = 3

    def _read(self, size: int) -> bytes:
        found = bytes(self.came[:size])
        del self.came[:size]
        assert len(found) == size, "it would wait for ever"
        return found


@pytest.fixture
def serial(monkeypatch: pytest.MonkeyPatch) -> Serial:
    made = Serial()

    def kbd_intr(byte: int) -> None:
        made.interrupt = byte

    poll = SimpleNamespace(
        register=lambda *_: None, poll=lambda _: [(made, 1)] if made.came else []
    )
    select = SimpleNamespace(poll=lambda: poll, POLLIN=1)
    monkeypatch.setitem(sys.modules, "micropython", SimpleNamespace(kbd_intr=kbd_intr))
    monkeypatch.setitem(sys.modules, "select", select)
    monkeypatch.delitem(sys.modules, "cairn.boards.esp32_setup", raising=False)
    monkeypatch.setattr("sys.stdin", made)
    return made


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch, tmp_path, serial: Serial) -> Chip:
    made = make_chip(monkeypatch, tmp_path)
    from cairn.boards import esp32_wifi

    for name in ("_CHECK_MS", "_STEP_MS", "_PAUSE_MS_MIN"):
        monkeypatch.setattr(esp32_wifi, name, 10)
    made.air.networks = {"home": "secret-secret", "open": ""}
    return made


def joined(
    chip: Chip, *wanted: tuple[bytes, bytes], timeout_ms: int = 5 * SECOND_MS
) -> tuple[list[int], Any]:
    """What each try came to, and the board."""
    board = chip.boot()
    found: list[int] = []

    async def work() -> None:
        console = board.console()
        for name, password in wanted:
            found.append(await console.join(name, password, timeout_ms))

    drive(board, work())
    return found, board


def kept(chip: Chip) -> tuple[bytes | None, bytes | None]:
    flash = chip.nvs.flash
    return flash.get(("cairn", "ssid")), flash.get(("cairn", "psk"))


def test_what_works_is_kept_and_what_does_not_leaves_what_was(chip: Chip) -> None:
    found, board = joined(chip, (b"home", b"wrong-wrong"), (b"away", b""), HOME)
    assert found == [202, 201, 0]
    assert kept(chip) == HOME
    assert board._wifi.trial is None
    found, _ = joined(chip, (b"home", b"wrong-wrong"))
    assert (found, kept(chip)) == ([202], HOME)
    found, _ = joined(chip, (b"open", b""))
    assert (found, kept(chip)) == ([0], (b"open", b""))
    assert chip.air.connects[-1] == ("open", None)


def test_a_connection_that_is_there_is_not_taken_for_the_one_that_is_asked(chip: Chip) -> None:
    found, _ = joined(chip, HOME, (b"home", b"wrong-wrong"))
    assert found == [0, 202]


def test_an_access_point_that_does_not_answer_is_given_up(chip: Chip) -> None:
    chip.air.patience = 10_000
    found, _ = joined(chip, HOME, timeout_ms=600)
    assert found[0] not in (0, 201, 202)
    assert kept(chip) == (None, None)


def test_what_works_already_is_not_written_again(
    chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined(chip, HOME)
    from cairn.boards import esp32_store

    written: list[str] = []
    monkeypatch.setattr(
        esp32_store.NvsFiles, "write", lambda _self, name, _data: written.append(name)
    )
    found, _ = joined(chip, HOME)
    assert (found, written) == ([0], [])


@pytest.mark.parametrize("call", range(3))
def test_a_power_cut_never_pairs_a_name_with_anothers_password(
    call: int, chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    chip.nvs.flash.update(WIFI)
    commits: list[int] = []
    import esp32

    commit = esp32.NVS.commit

    def cut(nvs: Any) -> None:
        if len(commits) == call:
            raise OSError("the power is gone")
        commits.append(1)
        commit(nvs)

    board = chip.boot()

    async def work() -> None:
        console = board.console()
        monkeypatch.setattr(esp32.NVS, "commit", cut)
        with pytest.raises(OSError, match="power"):
            await console.join(*HOME, 5 * SECOND_MS)

    drive(board, work())
    name, password = kept(chip)
    assert name is None or (name, password) == (b"home", b"secret")


def test_networks_are_named_once_and_strongest_first(
    chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        (b"far", b"m1", 1, -80, 3, False),
        (b"home", b"m2", 6, -60, 3, False),
        (b"", b"m3", 6, -40, 3, True),
        (b"home", b"m4", 11, -50, 3, False),
        (b"open", b"m5", 11, -55, 0, False),
    ]
    monkeypatch.setattr(type(chip.wlan), "scan", lambda _: rows)
    found = chip.boot().console().networks()
    assert found == [(b"home", -50, True), (b"open", -55, False), (b"far", -80, True)]


def test_while_it_is_open_ctrl_c_is_a_byte_and_nobody_else_gets_it(
    chip: Chip, serial: Serial, capsysbinary
) -> None:
    board = chip.boot()
    console = board.console()
    assert serial.interrupt == 3
    console.open()
    assert serial.interrupt == -1
    assert board.console() is None
    serial.came += b"\x03x"
    assert [console.read() for _ in range(3)] == [3, ord("x"), -1]
    console.write(b"\x0a\xff")
    assert capsysbinary.readouterr().out == b"\x0a\xff"
    console.close()
    assert serial.interrupt == 3
    assert board.console() is not None


@pytest.mark.parametrize("word", ["Generic ESP32C3 module with ESP32C3", "ESP32C3"])
def test_the_chip_is_the_last_word_of_what_it_runs_on(
    word: str, chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.uname", lambda: ("esp32", "esp32", "1.29.0", "v1.29.0", word))
    assert chip.boot().console().chip() == "esp32c3"


def test_a_client_sets_up_the_chip(chip: Chip, serial: Serial, capsysbinary) -> None:
    board = chip.boot()
    name, password = HOME
    data = bytes([len(name)]) + name + bytes([len(password)]) + password
    asked = improv.packet(improv.RPC, bytes([improv.SETTINGS, len(data)]) + data)

    written = bytearray()

    async def work() -> None:
        improv.attend(board, None)
        serial.came += asked
        while not written.endswith(improv.result(improv.SETTINGS, [])):
            await board.sleep(10)
            written.extend(capsysbinary.readouterr().out)

    drive(board, work())
    assert improv.packet(improv.STATE, bytes([improv.PROVISIONED])) in written
    assert kept(chip) == HOME
