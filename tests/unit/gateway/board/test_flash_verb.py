"""`cairn board flash`: what is wrong with its options, and what another board in the middle is."""

from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from gateway.board import esptool_link, flash, ports
from gateway.board.flash import Flashing, Wanted
from gateway.board.flash_states import State
from gateway.cli.app import main
from gateway.shell.errors import Code, OperatorFault
from tests.board.official_image import official_image


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["board", "flash", *arguments])


@pytest.mark.parametrize(
    "arguments, part",
    [
        ([], "either --firmware FILE or --download URL"),
        (["--firmware", "x", "--download", "http://x"], "either"),
        (["--download", "http://x"], "--sha256"),
        (["--firmware", "x", "--sha256", "12"], "64 hexadecimal digits"),
        (["--firmware", "x", "--sha256", "g" * 64], "64 hexadecimal digits"),
        (["--firmware", "x", "--board", "esp8266"], "esp8266"),
        (["--firmware", "x", "--wait", "-1"], "-1"),
    ],
)
def test_wrong_options_are_told(run, arguments, part):
    done = run(*arguments)
    assert done.exit_code == 2
    assert part in done.stderr
    assert done.stdout == ""


def test_the_group_lists_its_verbs_in_the_order_of_need():
    done = CliRunner().invoke(main, ["board", "--help"])
    verbs = [line.split()[0] for line in done.stdout.split("Commands:")[1].strip().splitlines()]
    assert verbs[:4] == ["flash", "provision", "run", "doctor"]
    assert CliRunner().invoke(main, ["board", "fly"]).exit_code == 2


class Chip:
    """A chip that answers; the second time it is woken it is another one."""

    name, flash_bytes = "esp32", 4 << 20

    def __init__(self, mac, garbled):
        self.mac, self._garbled = mac, garbled
        self.wrote = 0

    def look(self, **_options):
        pass

    def read(self, _offset, size):
        return b"\xff" * size

    def md5(self, _offset, size):
        return flash._md5(b"\xff" * size)

    def write(self, _what, _told):
        raise esptool_link.Garbled(self._garbled)


def test_another_board_in_the_middle_is_not_written(tmp_path, monkeypatch):
    image = tmp_path / "image.bin"
    image.write_bytes(official_image("esp32"))
    chips = [Chip("aa", "noise"), Chip("bb", "not this one")]
    monkeypatch.setattr(esptool_link, "connect", lambda *_a, **_o: chips.pop(0))
    line = SimpleNamespace(port="/dev/ttyUSB0", cts=False, close=lambda: None)
    monkeypatch.setattr(ports, "_open", lambda *_a: line)
    show = SimpleNamespace(
        state=lambda _: None, progress=lambda *_: None, hint=lambda _: None, consent=lambda _: True
    )
    flashing = Flashing(Wanted("/dev/ttyUSB0", image), show, build=lambda *_a: bytes(4096))
    with pytest.raises(OperatorFault) as raised:
        flashing.run()
    assert raised.value.code == Code.CHIP_WRONG
    assert "It began with aa, and now bb" in raised.value.why
    assert "running the same command again is safe" in raised.value.why
    assert flashing.course.states[-4:] == (
        State.FLASHING,
        State.CONNECTING,
        State.INSPECTING,
        State.FAILED,
    )
