"""What runs on a virtual board after a reset: MicroPython, as a chip would have it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.device.flash import pack
from simulator.virtual import VirtualBoard
from tests.board.conftest import flashed

pytestmark = pytest.mark.slow

RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
BANNER = b'Type "help()" for more information.\r\n>>> '
TICKING = b"""
import asyncio, micropython, sys
print("main runs")
async def main():
    micropython.kbd_intr(%d)
    asyncio.create_task(echo())
    while True:
        await asyncio.sleep(0.05)
async def echo():
    reader = asyncio.StreamReader(sys.stdin.buffer)
    while True:
        sys.stdout.buffer.write(b"<" + await reader.read(1) + b">\\n")
asyncio.run(main())
"""


class Terminal:
    """The host's side of the pty."""

    def __init__(self, port: Any) -> None:
        self.port = port

    def type(self, data: bytes) -> None:
        self.port.write(data)

    def until(self, end: bytes, timeout_s: float = 20) -> bytes:
        """What comes, up to and with `end`."""
        self.port.timeout = timeout_s
        got: bytes = self.port.read_until(end)
        assert got.endswith(end), got
        return got

    def raw(self) -> None:
        """To the raw prompt, whatever runs."""
        self.type(b"\x03\x03")
        self.until(b">>> ")
        self.type(b"\x01")
        self.until(RAW_BANNER)

    def run(self, source: str) -> str:
        """At the raw prompt: what it prints, or its traceback."""
        self.type(source.encode() + b"\x04")
        self.until(b"OK")
        out = self.until(b"\x04")[:-1]
        error = self.until(b"\x04>")[:-2]
        assert not error, error.decode()
        return out.decode().replace("\r\n", "\n").rstrip("\n")


@pytest.fixture
def terminal() -> Callable[[VirtualBoard], "contextmanager[Terminal]"]:
    import serial

    @contextmanager
    def opened(board: VirtualBoard) -> Iterator[Terminal]:
        with serial.Serial(board.pty, 115_200, timeout=20) as port:
            yield Terminal(port)

    return opened


def with_main(source: bytes) -> bytes:
    return pack({"main.py": source})


def wait_until(board: VirtualBoard, state: str) -> None:
    end = time.monotonic() + 20
    while board.state != state:
        assert time.monotonic() < end, board.state
        time.sleep(0.01)


def test_a_blank_flash_boots_nothing(virtual_board):
    board = virtual_board(chip="esp32s3")
    assert board.wait_for("invalid header: 0xffffffff")
    assert board.state == "stuck"


def test_the_first_boot_makes_a_file_system(virtual_board, terminal):
    board = virtual_board(flashed=True)
    assert board.wait_for("Performing initial setup")
    assert board.wait_for(">>> ")
    with terminal(board) as user:
        user.raw()
        assert user.run("import os; print(os.listdir('/'), os.getcwd())") == "['boot.py'] /"
    at = len(board.console)
    board.press_reset()
    assert board.wait_for(">>> ", since=at)
    assert "initial setup" not in board.console[at:]


def test_a_damaged_file_system_is_told_and_not_replaced(virtual_board, terminal):
    board = virtual_board(file_system=b"garbage!" * 1_024)
    assert board.wait_for("The filesystem appears to be corrupted")
    assert board.flash[0x200000:][:8] == b"garbage!"
    with terminal(board) as user:
        user.raw()
        assert user.run("print(1)") == "1"


def test_the_root_is_the_flash_and_nothing_of_this_computer(virtual_board, terminal):
    board = virtual_board(flashed=True)
    with terminal(board) as user:
        user.raw()
        fault = "try:\n open('/etc/passwd')\nexcept OSError as error:\n print(error.errno)"
        assert user.run(fault) == "2"
        assert user.run("import sys; print(sys.path, sys.platform)") == (
            "['', '.frozen', '/lib'] esp32"
        )
        assert user.run("import os; print('system' in dir(os), os.uname().machine)") == (
            "False Generic ESP32 module with ESP32"
        )
        assert user.run("print(sorted(globals()))") == "['__file__', '__name__', 'os', 'sys']"


def test_a_flash_that_ends_where_the_file_system_would_begin(virtual_board, terminal):
    board = virtual_board(flashed=True, flash_bytes=2 << 20)
    with terminal(board) as user:
        user.raw()
        fault = "try:\n open('/x', 'w')\nexcept OSError as error:\n print(error.errno)"
        assert user.run(fault) == "19"


def test_files_are_on_the_flash_and_survive(virtual_board, terminal):
    board = virtual_board(flashed=True)
    with terminal(board) as user:
        user.raw()
        user.run("with open('/note', 'w') as f: f.write('kept' * 500)")
        board.power_cut()
        assert board.state == "off"
        board.power_on()
        user.raw()
        assert user.run("print(len(open('/note').read()))") == "2000"
    assert b"keptkeptkept" in board.flash


def test_the_prompts_of_micropython(virtual_board, terminal):
    board = virtual_board(file_system=with_main(b"print('main ran')\nx = 5\n"))
    with terminal(board) as user:
        user.until(b"main ran\r\n")
        user.until(BANNER)
        user.type(b"x + 1\r")
        user.until(b"x + 1\r\n6\r\n>>> ")
        user.type(b"\x01")
        user.until(RAW_BANNER)
        user.type(b"print('a\\nb')\x04")
        user.until(b"OKa\r\nb\r\n\x04\x04>")
        user.type(b"1/0\x04")
        assert b"ZeroDivisionError" in user.until(b"\x04>")
        # Raw paste: supported, its window, then the program.
        user.type(b"\x05A\x01")
        assert user.until(b"\x01")[:2] == b"R\x01"
        user.type(b"print('pasted')\x04")
        user.until(b"\x04pasted\r\n\x04\x04>")
        user.type(b"\x02")
        user.until(BANNER)


def test_soft_resets(virtual_board, terminal):
    """At the raw prompt main.py is not run, and the prompt stays raw."""
    board = virtual_board(file_system=with_main(b"print('main ran')\n"))
    with terminal(board) as user:
        user.until(BANNER)
        user.type(b"\x04")
        assert b"main ran" in user.until(BANNER)
        user.type(b"\x01")
        user.until(RAW_BANNER)
        user.type(b"x = 1\x04")
        user.until(b"\x04>")
        user.type(b"\x04")
        seen = user.until(RAW_BANNER)
        assert seen == b"OK\r\nMPY: soft reboot\r\n" + RAW_BANNER
        assert user.run("print('x' in globals())") == "False"
        assert user.run("import machine; print(machine.reset_cause())") == "5"
        user.type(b"\x02")
        user.until(BANNER)
        user.type(b"\x04")
        assert b"main ran" in user.until(BANNER)
        user.type(b"import machine; machine.soft_reset()\r")
        assert b"main ran" in user.until(BANNER)


def test_ctrl_c_ends_what_runs(virtual_board, terminal):
    board = virtual_board(file_system=with_main(TICKING % 3))
    with terminal(board) as user:
        user.until(b"main runs")
        # All at once, as tools send it.
        user.type(b"\x03\x03\x01")
        assert b"KeyboardInterrupt" in user.until(RAW_BANNER)
        # Each program says that it runs: what is typed before that is no interrupt, as on a chip.
        user.type(b"import time; print('on'); time.sleep(60)\x04")
        user.until(b"OKon")
        user.type(b"\x03")
        assert b"KeyboardInterrupt" in user.until(b"\x04>")
        user.type(b"print('on')\nwhile True: pass\x04")
        user.until(b"OKon")
        user.type(b"\x03")
        assert b"KeyboardInterrupt" in user.until(b"\x04>")
        user.type(b"\x05A\x01")
        user.until(b"\x01")
        user.type(b"print('on')\nwhile True: pass\x04")
        user.until(b"on")
        user.type(b"\r\x03\x03")
        assert b"KeyboardInterrupt" in user.until(b"\x04>")
        user.type(b"\r\x03")
        assert user.run("print(1 + 1)") == "2"


def test_a_program_may_take_every_byte(virtual_board, terminal):
    """micropython.kbd_intr(-1): Improv's frames are binary, in both directions."""
    board = virtual_board(file_system=with_main(TICKING % -1))
    every = bytes(range(256))
    with terminal(board) as user:
        user.until(b"main runs\r\n")
        time.sleep(0.3)  # until kbd_intr
        for byte in every:
            user.type(bytes([byte]))
            assert user.until(b">\n") == b"<" + bytes([byte]) + b">\n"


def test_the_line_carries_much_in_both_directions(virtual_board, terminal):
    board = virtual_board(flashed=True)
    with terminal(board) as user:
        user.raw()
        assert user.run("print(len('" + "x" * 30_000 + "'))") == "30000"
        assert user.run("print('y' * 100_000)") == "y" * 100_000


def test_a_reset_by_the_program_keeps_memory_and_clock(virtual_board, terminal):
    board = virtual_board(flashed=True)
    look = "import machine, time; print(machine.reset_cause(), machine.RTC().memory(), "
    look += "time.gmtime()[:3], time.gmtime(0)[0])"
    with terminal(board) as user:
        user.raw()
        assert user.run(look) == "1 b'' (2000, 1, 1) 2000"
        user.run("machine.RTC().memory(b'kept'); print(1)")
        user.run("machine.RTC().datetime((2026, 11, 24, 1, 12, 0, 0, 0))")
        user.type(b"machine.reset()\x04")
        user.until(BANNER)
        user.raw()
        assert user.run(look) == "2 b'kept' (2026, 11, 24) 2000"
        board.press_reset()
        user.until(BANNER)
        user.raw()
        assert user.run(look) == "1 b'' (2000, 1, 1) 2000"
        user.run("machine.RTC().memory(b'kept')")
        user.type(b"machine.deepsleep(1500)\x04")
        wait_until(board, "asleep")
        assert board.wait_for("DEEPSLEEP_RESET")
        user.until(BANNER)
        user.raw()
        assert user.run(look).startswith("4 b'kept'")


def test_a_watchdog_that_is_not_fed(virtual_board, terminal):
    board = virtual_board(flashed=True)
    with terminal(board) as user:
        user.raw()
        user.run("from machine import *; import time; dog = WDT(timeout=600)")
        user.run("for _ in range(10): dog.feed(); time.sleep_ms(100)")
        assert "Task watchdog" not in board.console
        user.type(b"while True: pass\x04")
        user.until(BANNER)
        assert "Task watchdog" in board.console
        user.raw()
        assert user.run("import machine; print(machine.reset_cause())") == "3"


def test_nvs_is_in_the_flash_and_survives(virtual_board, terminal):
    board = virtual_board(flashed=True)
    missing = (
        "try:\n n.get_blob('gone', bytearray(9))\nexcept OSError as error:\n print(error.args)"
    )
    with terminal(board) as user:
        user.raw()
        user.run("import esp32; n = esp32.NVS('cairn'); n.set_blob('identity', b'seed' * 16)")
        user.run("n.set_i32('count', -7); n.set_blob('gone', b'x'); n.commit()")
        user.run("n.set_blob('config', bytes(range(200)) * 18); n.commit()")
        user.run("n.erase_key('gone'); n.commit(); n.set_blob('lost', b'not committed')")
        board.power_cut()
        board.power_on()
        user.raw()
        user.run("import esp32; n = esp32.NVS('cairn'); b = bytearray(4000)")
        assert user.run("print(n.get_blob('identity', b), b[:8])") == "64 bytearray(b'seedseed')"
        assert user.run("print(n.get_blob('config', b), n.get_i32('count'))") == "3600 -7"
        assert user.run(missing) == "(-4354, 'ESP_ERR_NVS_NOT_FOUND')"
        assert user.run(missing.replace("gone", "lost")) == "(-4354, 'ESP_ERR_NVS_NOT_FOUND')"
    nvs = board.flash[0x9000:0xF000]
    assert b"identity" in nvs
    assert b"seedseed" in nvs
    assert b"seedseed" not in board.flash.replace(nvs, b"")


@pytest.mark.parametrize("left", range(6))
def test_power_that_fails_while_nvs_is_written(virtual_board, terminal, left: int):
    """Three sectors are erased, then content and header written: the header is what counts."""
    board = virtual_board(flashed=True)
    change = "import esp32; n = esp32.NVS('cairn'); n.set_blob('a', b'{}'); n.commit()"
    with terminal(board) as user:
        user.raw()
        user.run(change.format("old"))
        board.cut_after_writes = left
        board.press_reset()
        user.until(BANNER)
        user.raw()
        if left < 5:
            user.type(change.format("new").encode() + b"\x04")
            user.until(b"OK")
            wait_until(board, "off")
            board.power_on()
        else:
            user.run(change.format("new"))
            board.press_reset()
        user.until(BANNER)
        user.raw()
        user.run("import esp32; b = bytearray(3); esp32.NVS('cairn').get_blob('a', b)")
        assert user.run("print(bytes(b))") == ("b'old'" if left < 5 else "b'new'")


def test_the_air_around_it(virtual_board, terminal):
    board = virtual_board(flashed=True, wifi={"home": "secret-wifi", "open": ""})
    join = (
        "w.connect({}, {}); time.sleep_ms(9); w.isconnected(); print(w.isconnected(), w.status())"
    )
    with terminal(board) as user:
        user.raw()
        user.run("import network, time; w = network.WLAN(network.WLAN.IF_STA); w.active(True)")
        user.run("w.config(reconnects=0)")
        assert user.run("print([n[0] for n in w.scan()], w.config('mac').hex())") == (
            f"[b'home', b'open'] {board.mac.hex()}"
        )
        assert user.run(join.format("'home'", "'wrong-wifi'")) == "False 202"
        assert user.run(join.format("'away'", "'x'")) == "False 201"
        assert user.run(join.format("'open'", "None")) == "True 1010"
        assert user.run(join.format("'home'", "'secret-wifi'")) == "True 1010"
        ask = "import socket\ntry:\n print(socket.getaddrinfo('127.0.0.1', 80)[0][0])\n"
        ask += "except OSError as error:\n print(error.errno)"
        assert user.run(ask) == "2", "AF_INET"
        del board.air["home"]
        assert user.run(ask) == "-202"
        assert user.run("print(w.isconnected())") == "False"


def test_what_is_soldered_to_it(virtual_board, terminal):
    board = virtual_board(flashed=True, sensors=((1, 0, 0), (10, 0, 4), (5, 0, 1)))
    with terminal(board) as user:
        user.raw()
        user.run("from machine import *; import dht, time")
        assert user.run("print(I2C(0).scan(), I2C(1).scan())") == "[118] []"
        user.run("b = bytearray(1); I2C(0).readfrom_mem_into(0x76, 0xD0, b)")
        assert user.run("print(b)") == "bytearray(b'`')", "the number of a BME280"
        user.run("d = dht.DHT22(Pin(4)); d.measure()")
        assert user.run("print(sum(d.buf[:4]) & 255 == d.buf[4])") == "True"
        absent = "try:\n dht.DHT22(Pin(5)).measure()\nexcept OSError as e:\n print(e.errno)"
        assert user.run(absent) == "116"
        user.run("u = UART(1, 9600); time.sleep_ms(1000)")
        assert user.run("print(u.read(4))") == "b'BM\\x00\\x1c'"


def test_a_clock_that_is_wrong(virtual_board, terminal):
    board = virtual_board(flashed=True, clock_offset_ms=-3_600_000)
    with terminal(board) as user:
        user.raw()
        user.run("import machine, time; machine.RTC().datetime((2026, 11, 24, 1, 12, 0, 0, 0))")
        assert user.run("print(time.gmtime()[:4])") == "(2026, 11, 24, 11)"


def test_another_table_puts_the_file_system_elsewhere(virtual_board, tmp_path):
    """An image that names its partition `vfs`; the file system is looked for there alone."""
    from tests.board.official_image import ROWS, official_image

    rows = (*ROWS, ("vfs", 1, 0x81, 0x300000, 0x100000))
    content = bytearray(flashed("esp32"))
    image = official_image(rows=rows)
    content[0x1000 : 0x1000 + len(image)] = image
    system = pack({"main.py": b"print('from there')\n"}, 256)
    content[0x300000 : 0x300000 + len(system)] = system
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "flash.bin").write_bytes(content)
    board = virtual_board(name="moved")
    assert board.wait_for("from there")
