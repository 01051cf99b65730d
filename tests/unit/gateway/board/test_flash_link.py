"""How esptool's errors are told apart, and that it prints nothing. Its classes are the real ones;
what it does over a line is shown in tests/board.
"""

import struct
import sys

import pytest
from esp_pylib.logger import EspLog
from esptool.logger import log
from esptool.util import FatalError, UnsupportedCommandError
from serial import SerialException, SerialTimeoutException

from gateway.board import esptool_link
from gateway.board.esptool_link import Differs, Garbled, Link, Silent
from gateway.board.esptool_quiet import quiet
from gateway.device.official import Range
from gateway.shell.errors import Code, OperatorFault


class Esp:
    """A chip as esptool has it, whose answers are what a test says."""

    CHIP_NAME = "ESP32-S3"
    CHIP_DETECT_MAGIC_REG_ADDR = 0x40001000
    secure_download_mode = False

    def __init__(self, error=None, *, encrypted=False, secure=False):
        self._error, self._encrypted, self._secure = error, encrypted, secure

    def read_mac(self):
        # A sealed chip lets nobody read a register.
        assert not self.secure_download_mode
        return (0x24, 0x0A, 0xC4, 1, 2, 3)

    def get_flash_encryption_enabled(self):
        return self._encrypted

    def get_secure_boot_enabled(self):
        return self._secure

    def flash_md5sum(self, _offset, _size):
        if self._error is not None:
            raise self._error
        return "0" * 32


def _raised(error):
    with pytest.raises(Exception) as raised:  # noqa: PT011 - which one is the question
        Link(Esp(error)).md5(0, 16)
    return raised.value


@pytest.mark.parametrize(
    "error",
    [
        FatalError("No serial data received."),
        FatalError.WithResult("Failed to write to target flash after seq 0", b"\x01\x07"),
        FatalError("Response doesn't match request."),
        UnsupportedCommandError(Esp(), 0x13),
        SerialTimeoutException("Write timeout"),
        struct.error("unpack requires a buffer of 4 bytes"),
        IndexError("index out of range"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ],
)
def test_what_a_slower_line_may_cure(error):
    assert type(_raised(error)) is Garbled


@pytest.mark.parametrize(
    "text",
    [
        "MD5 of file does not match data in flash!",
        "Write failed, the written flash region is empty.",
    ],
)
def test_a_flash_that_differs_is_told_apart(text):
    assert type(_raised(FatalError(text))) is Differs


@pytest.mark.parametrize(
    "text, code",
    [
        (
            "Unexpected chip ID value 77. Failed to autodetect chip type.\nProbably it is",
            Code.CHIP_WRONG,
        ),
        (
            "Input requires chip revision v3.0 or higher. Use --force to flash anyway.",
            Code.IMAGE_OTHER_CHIP,
        ),
        (
            "Input does not contain an ESP32-S3 image. Use --force to flash anyway.",
            Code.IMAGE_OTHER_CHIP,
        ),
    ],
)
def test_what_nothing_cures_is_a_fault(text, code):
    fault = _raised(FatalError(text))
    assert isinstance(fault, OperatorFault)
    assert fault.code == code
    assert "\n" not in fault.why


def test_the_texts_are_those_of_this_esptool():
    """What is looked for must still be what esptool says."""
    from pathlib import Path

    import esptool

    folder = Path(esptool.__file__).parent
    said = "".join((folder / name).read_text("utf-8") for name in ("cmds.py", "loader.py"))
    texts = [
        esptool_link._UNKNOWN_CHIP,
        *esptool_link._DIFFERS,
        "requires chip revision",
        "Use --force to flash anyway",
        "enter RAM download mode",
        esptool_link._DEAF,
        esptool_link._RUNS,
    ]
    assert [text for text in texts if text not in said] == []
    assert esptool_link._STUB_REFUSED.endswith("enter RAM download mode")


def test_the_port_and_our_own_faults_go_through():
    lost = SerialException("device disconnected")
    assert _raised(lost) is lost
    bug = KeyError("ours")
    assert _raised(bug) is bug


@pytest.mark.parametrize(
    "chip, why",
    [
        (Esp(encrypted=True), "encrypted"),
        (Esp(secure=True), "secure boot"),
        (type("Sealed", (Esp,), {"secure_download_mode": True})(), "secure download"),
    ],
)
def test_a_locked_chip_is_refused_before_anything_is_done(chip, why):
    with pytest.raises(OperatorFault) as raised:
        Link(chip).look(fast=True, baud=921_600)
    assert raised.value.code == Code.CHIP_LOCKED
    assert why in raised.value.why


def test_a_chip_that_is_not_ours_keeps_its_name():
    assert Link(Esp()).name == "esp32s3"
    assert Link(type("Other", (Esp,), {"CHIP_NAME": "ESP32-C6"})()).name == "ESP32-C6"


@pytest.mark.parametrize(
    "text, part",
    [
        ("Failed to connect to Espressif device: Wrong boot mode detected (0x13)!", "its program"),
        ("no sync reply: The serial TX path seems to be down.", "does not hear"),
    ],
)
def test_what_is_known_of_a_silent_chip(text, part):
    assert part in esptool_link.silent_why(Silent(text))
    assert esptool_link.silent_why(Silent("No serial data received.")) is None


def test_writing_tells_how_far_it_is_in_bytes_of_the_range(monkeypatch):
    from esptool import cmds

    def write(_esp, ranges, **options):
        assert ranges == [(0x8000, bytes(1000))]
        assert options == {"compress": True, "skip_flashed": True}
        with log.progress(total=200) as bar:
            bar.update(advance=100)
            bar.update(advance=100)

    monkeypatch.setattr(cmds, "write_flash", write)
    told = []
    Link(Esp()).write(Range("table", 0x8000, bytes(1000)), lambda *now: told.append(now))
    assert told == [(500, 1000), (1000, 1000), (1000, 1000)]


def test_esptool_prints_nothing_and_its_log_is_given_back(capsys):
    before = EspLog.instance
    with quiet():
        for say in ("print", "note", "warn", "warning", "err", "error", "hint", "debug"):
            getattr(log, say)("loud")
        log.stage()
        log.stage(finish=True)
        log.set_verbosity("verbose")
        with log.progress(total=1) as bar:
            bar.update()
        with log.counter("loud") as counter:
            counter.update()
    assert EspLog.instance is before
    assert capsys.readouterr() == ("", "")


def test_without_esptool_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "esp_pylib.logger", None)
    with pytest.raises(OperatorFault) as raised, quiet():
        pass
    assert raised.value.code == Code.TOOLS_MISSING
