"""`cairn board virtual`: what a person without a board starts."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.board.conftest import flashed

pytestmark = pytest.mark.slow

CAIRN = Path(sys.executable).with_name("cairn")


@contextmanager
def started(*arguments: object, **options) -> Iterator[subprocess.Popen[str]]:
    for module in ("micropython_run", "serial"):
        pytest.importorskip(module, reason="component missing: the extra `device`")
    with subprocess.Popen(
        [CAIRN, "board", "virtual", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def facts(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    told: dict[str, str] = json.loads(process.stdout.readline())
    return told


def press(process: subprocess.Popen[str], buttons: str) -> None:
    assert process.stdin is not None
    process.stdin.write(buttons)
    process.stdin.flush()


def console_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stderr is not None
    seen = ""
    while text not in seen:
        got = process.stderr.readline()
        assert got, seen
        seen += got
    return seen


def test_buttons_and_the_end(tmp_path: Path):
    folder = tmp_path / "board"
    with started("--folder", folder, "--chip", "esp32c3", "--json") as board:
        assert facts(board)["chip"] == "esp32c3"
        console_until(board, "invalid header: 0xffffffff")
        press(board, "b")
        console_until(board, "waiting for download")
        press(board, "r")
        console_until(board, "SPI_FAST_FLASH_BOOT")
        press(board, "p")
        time.sleep(1)
        press(board, "p")
        console_until(board, "POWERON_RESET")
        press(board, "u")
        time.sleep(1)
        press(board, "u")
        console_until(board, "plugged in: /dev/pts/")
        press(board, "q")
        assert board.wait(30) == 0
    assert (folder / "flash.bin").stat().st_size == 4 << 20


def test_a_person_talks_to_it_and_interrupts_it(tmp_path: Path, listening_to_ctrl_c: None):
    """Without --json, in the data directory, with nobody at standard input."""
    import serial

    environment = {"CAIRN_DATA_DIR": str(tmp_path / "data"), "PATH": "/usr/bin:/bin"}
    with started("--wifi", "garden:long-password", env=environment) as board:
        assert board.stdout is not None
        table = "".join(board.stdout.readline() for _ in range(5))
        shown = dict(line.split("  ", 1) for line in table.splitlines())
        assert shown["Wi-Fi"].strip() == "garden"
        port = shown["port"].strip()
        assert board.stdin is not None
        board.stdin.close()
        # What flashing would leave there.
        flash = Path(shown["flash"].strip()) / "flash.bin"
        whole, begin = flashed("esp32"), 0x2000
        with flash.open("r+b") as file:
            # The boot loader last: it looks for one all the time.
            file.seek(begin)
            file.write(whole[begin:])
            file.flush()
            file.seek(0)
            file.write(whole[:begin])
        with serial.Serial(port, 115_200, timeout=30) as line:
            assert line.read_until(b">>> ").endswith(b">>> ")
            line.write(b"6 * 7\r")
            assert line.read_until(b"\r\n42\r\n").endswith(b"42\r\n")
        board.send_signal(signal.SIGINT)
        assert board.wait(30) == 0


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="component missing: /proc")
def test_a_board_that_is_killed_leaves_nothing_running(tmp_path: Path):
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "flash.bin").write_bytes(flashed("esp32"))
    with started("--folder", folder, "--json") as board:
        facts(board)
        console_until(board, 'Type "help()"')
        tasks = Path(f"/proc/{board.pid}/task").glob("*/children")
        [program] = [int(pid) for task in tasks for pid in task.read_text().split()]
        assert Path(f"/proc/{program}").is_dir()
        board.kill()
        board.wait(30)
    end = time.monotonic() + 20
    while Path(f"/proc/{program}/cmdline").exists() and time.monotonic() < end:
        if not Path(f"/proc/{program}/cmdline").read_bytes():
            break  # ended, and nobody has asked how
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{program}/cmdline").exists()


def test_a_folder_that_cannot_be_used(tmp_path: Path):
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [CAIRN, "board", "virtual", "--folder", tmp_path / "file" / "board"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "The folder of the board's flash cannot be used." in done.stderr
    assert "file_unwritable" in done.stderr
