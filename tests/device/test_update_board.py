"""Updates by the real commands, of a real image, over a real gateway, on a real MicroPython: one
that proves itself, one that does not, and one whose power is cut again and again.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.device.board_image import firmware_version, pack_board
from gateway.device.image import build_image
from simulator.virtual.board import VirtualBoard
from tests.board.conftest import flashed
from tests.board.onboarding_rig import Bench, Said, Town, cairn, set_up, town

pytestmark = pytest.mark.slow
FIRMWARE = Path(__file__).parents[2] / "firmware"
SECONDS_MAX = 240
TRIES = 3
# Of the flash, from each start on; more boots that end badly would be safe mode.
CUTS = (40, 50, 60, 70)
BROKEN = "\nraise RuntimeError('this program is broken')\n"


@pytest.fixture(scope="module")
def place(require_component: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    openssl = require_component("openssl")
    with town(openssl, tmp_path_factory.mktemp("town"), admission_policy="open") as one:
        yield one


def release(place: Town, *arguments: object) -> Any:
    done = cairn("release", *arguments, "--data", place.keys.folder, "--json", folder=place.folder)
    assert done.code == 0, done.err
    return done.document


def status(place: Town) -> Said:
    return cairn("release", "status", "--data", place.keys.folder, "--json", folder=place.folder)


def make_keys(place: Town) -> list[Path]:
    folder = place.folder / "release-keys"
    folder.mkdir()
    release(place, "keys", "init", "--folder", folder)
    keys = sorted(folder.glob("*.key"))
    public = [key.with_suffix(".pub") for key in keys]
    release(place, "keys", "trust", *public)
    return keys


def publish(place: Town, keys: list[Path], counter: int, source: Path | None = None) -> None:
    folder = place.folder / f"release-{counter}"
    more = () if source is None else ("--source", source)
    release(
        place,
        "build",
        "--counter",
        counter,
        "--architecture",
        "bytecode",
        "--output",
        folder,
        *more,
    )
    for key in keys:
        release(place, "sign", folder, "--key", key)
    release(place, "publish", folder)


def until(true: Callable[[], bool], board: VirtualBoard) -> None:
    end = time.monotonic() + SECONDS_MAX
    while not true():
        assert time.monotonic() < end, board.console[-4_000:]
        time.sleep(0.5)


def shown(place: Town) -> list[str]:
    """What stations say that they run, as `cairn release status` tells it."""
    return [row["firmware"] for row in status(place).document["stations"]]


def broken_source(folder: Path) -> Path:
    source = folder / "broken"
    shutil.copytree(FIRMWARE, source, ignore=shutil.ignore_patterns("__pycache__"))
    text = (source / "main.py").read_text()
    assert text.count("\nasyncio.run(") == 1
    (source / "main.py").write_text(text.replace("\nasyncio.run(", BROKEN + "asyncio.run("))
    return source


@pytest.fixture
def station(place: Town, tmp_path: Path) -> Iterator[VirtualBoard]:
    """A board that reports, with the program of a cable."""
    program = pack_board(build_image(), version=firmware_version())
    with Bench(tmp_path).board(flashed("esp32", program)) as board:
        done = set_up(board, place.url, place.folder)
        assert done.code == 0, done.err
        name = done.document["device"]
        until(lambda: place.seen(name)["readings"] is not None, board)
        yield board


def test_a_release_proves_itself_and_a_broken_one_goes_again(
    place: Town, station: VirtualBoard, tmp_path: Path
) -> None:
    keys = make_keys(place)
    publish(place, keys, 1)
    until(lambda: shown(place) == ["cairn 0.1.0 r1"], station)
    assert "update.confirmed" in station.console
    assert status(place).code == 0

    publish(place, keys, 2, broken_source(tmp_path))
    until(lambda: shown(place) == ["cairn 0.1.0 r1 x2"], station)
    assert station.console.count("this program is broken") == TRIES
    assert "update.failed" in station.console
    failed = status(place)
    assert failed.code == 1
    assert failed.document["counts"]["failed"] == 1

    # The next one comes over whatever that left, however often the power goes.
    begun = len(station.console)
    publish(place, keys, 3)
    cuts = 0
    for writes in CUTS:
        station.cut_after_writes = writes
        station.press_reset()
        until(lambda: station.state == "off" or shown(place) == ["cairn 0.1.0 r3"], station)
        cuts += station.state == "off"
        station.power_on()
    assert cuts > len(CUTS) // 2
    until(lambda: shown(place) == ["cairn 0.1.0 r3"], station)
    assert "launch.none" not in station.console[begun:]
