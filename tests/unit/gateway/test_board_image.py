"""A whole board's file system: what is in it, the same each time, and what is refused."""

import pytest

from gateway.device import board_image
from gateway.device.board_image import (
    board_files,
    firmware_version,
    pack_board,
    program_files,
    release_text,
)
from gateway.device.image import Image, build_image, unpack
from gateway.shell.errors import Code, OperatorFault

IMAGE = Image("rv32imc", 512, {"main.py": b"flat", "application.mpy": b"program"}, b"", {})


def test_the_loader_and_a_program_in_the_first_slot():
    files = board_files(IMAGE, version="1.2", counter=5)
    assert files.keys() == {
        "main.py", "launch.mpy", "slots", "a/application.mpy", "a/release",
    }  # fmt: skip
    assert files["launch.mpy"].startswith(b"M\x06")
    # Bytecode runs on every chip, whatever the program is made for.
    assert files["launch.mpy"] == board_files(build_image(), version="1")["launch.mpy"]
    assert len(files["launch.mpy"]) < 2_400


def test_the_bytes_repeat_and_unpack():
    data = pack_board(IMAGE, version="1.2", offer=b"configuration")
    assert data == pack_board(IMAGE, version="1.2", offer=b"configuration")
    assert unpack(data) == board_files(IMAGE, version="1.2", offer=b"configuration")
    assert unpack(data)["offer"] == b"configuration"


def test_a_release_lists_the_program_alone():
    assert program_files(IMAGE) == {"application.mpy": b"program"}


@pytest.mark.parametrize("version", ["", "two\nlines", "ä", "x" * 33])
def test_what_is_no_version_is_refused(version):
    with pytest.raises(ValueError, match="version"):
        release_text(1, "bytecode", version, [])


def test_the_version_is_the_sources_own(tmp_path):
    assert firmware_version() == "0.1.0"
    (tmp_path / "cairn").mkdir()
    (tmp_path / "cairn" / "limits.py").write_text('VERSION = "9.8"\n')
    (tmp_path / "main.py").write_text("")
    assert firmware_version(tmp_path) == "9.8"
    (tmp_path / "cairn" / "limits.py").write_text("OTHER = 1\n")
    assert firmware_version(tmp_path) == "0"


def test_a_gateway_without_the_loader_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(board_image, "_CHECKOUT", tmp_path / "launch.py")
    with pytest.raises(OperatorFault) as caught:
        board_files(IMAGE, version="1")
    assert caught.value.code == Code.FIRMWARE_MISSING
