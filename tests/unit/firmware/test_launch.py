"""The loader: which program it starts, what it counts before, and what it makes of damage."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cairn import slots, update
from hypothesis import given
from hypothesis import strategies as st

from gateway.device.board_image import board_files, release_text
from gateway.device.image import Image
from tests.unit.firmware.launch_kit import loader
from tests.unit.firmware.update_kit import MemoryPrograms, digest, put_program

A = {"application.mpy": b"a" * 3_000, "cairn/station.mpy": b"door"}
B = {"application.mpy": b"b" * 2_000, "more.mpy": b""}


@pytest.fixture
def disk() -> MemoryPrograms:
    made = MemoryPrograms()
    put_program(made, "b", B, 2)
    put_program(made, "a", A, 1)
    return made


def picked(disk: MemoryPrograms) -> tuple[str, bool]:
    result: tuple[str, bool] = loader(disk).pick()
    return result


def state(disk: MemoryPrograms) -> Any:
    return loader(disk).read()


def spoil(disk: MemoryPrograms, name: str, at: int = 0) -> None:
    data = bytearray(disk.read(name) or b"")
    data[at] ^= 1
    disk.write(name, bytes(data))


def test_the_confirmed_one_runs_and_nothing_is_written(disk: MemoryPrograms) -> None:
    before = {name: disk.read(name) for name in disk.names("")}
    assert picked(disk) == ("a", False)
    assert {name: disk.read(name) for name in disk.names("")} == before


def test_a_trial_has_so_many_tries_and_then_has_failed(disk: MemoryPrograms) -> None:
    slots.store(disk, ("a", "b", 3, 2, 1, 0))
    for left in (2, 1, 0):
        assert picked(disk) == ("b", True)
        assert state(disk) == ("a", "b", left, 2, 1, 0)
    assert picked(disk) == ("a", False)
    assert state(disk) == ("a", "-", 0, 0, 1, 2)
    assert picked(disk) == ("a", False)


@pytest.mark.parametrize("name", ["release", *B])
def test_a_trial_that_is_not_whole_is_over(disk: MemoryPrograms, name: str) -> None:
    if disk.read("b/" + name):
        spoil(disk, "b/" + name)
    else:
        disk.remove("b/" + name)
    slots.store(disk, ("a", "b", 3, 2, 1, 0))
    assert picked(disk) == ("a", False)
    assert state(disk)[5] == 2


def test_a_trial_with_another_counter_than_was_noted_is_over(disk: MemoryPrograms) -> None:
    slots.store(disk, ("a", "b", 3, 3, 1, 0))
    assert picked(disk) == ("a", False)
    assert state(disk)[5] == 3


def test_a_flash_that_counts_no_tries_has_no_trials(disk: MemoryPrograms) -> None:
    slots.store(disk, ("a", "b", 3, 2, 1, 0))
    loaded = loader(disk)

    def broken(*_: object) -> None:
        raise OSError(5, "flash")

    loaded.os.rename = broken
    assert loaded.pick() == ("a", False)


@given(st.data())
def test_any_damage_of_the_confirmed_program_starts_the_other(data: Any) -> None:
    disk = MemoryPrograms()
    put_program(disk, "b", B, 1)
    put_program(disk, "a", A, 2)
    name = data.draw(st.sampled_from(["application.mpy", "cairn/station.mpy", "release"]))
    content = disk.read("a/" + name) or b""
    kind = data.draw(st.sampled_from(["flip", "cut", "longer", "gone"]))
    # The last byte of a list is the end of its line, and nothing hangs on that.
    at = data.draw(st.integers(0, len(content) - 1 - (name == "release")))
    if kind == "flip":
        spoil(disk, "a/" + name, at)
    elif kind == "cut":
        disk.write("a/" + name, content[:at])
    elif kind == "longer" and name != "release":
        disk.append("a/" + name, b"x")
    else:
        disk.remove("a/" + name)
    assert picked(disk) == ("b", False)
    assert state(disk)[:2] == ("b", "-")
    # Its place is that of the next update, and the highest counter stays what it was.
    assert state(disk)[4] == 2


def test_no_whole_program_at_all(disk: MemoryPrograms) -> None:
    spoil(disk, "a/release")
    spoil(disk, "b/more.mpy") if disk.read("b/more.mpy") else disk.remove("b/more.mpy")
    assert picked(disk) == ("", False)
    assert loader(disk).folder() == ""


@pytest.mark.parametrize("kind", ["absent", "flip", "cut", "empty", "longer"])
def test_without_a_state_the_newer_program_has_to_prove_itself(
    disk: MemoryPrograms, kind: str
) -> None:
    stored = disk.read("slots") or b""
    if kind == "absent":
        disk.remove("slots")
    else:
        new = {"flip": stored[:9] + b"\xff" + stored[10:], "cut": stored[:20], "empty": b""}
        disk.write("slots", new.get(kind, stored + b"x"))
    assert loader(disk).folder() == "/a"
    assert picked(disk) == ("b", True)
    assert state(disk) == ("a", "b", 2, 2, 1, 0)


@given(st.binary(max_size=80))
def test_any_state_starts_a_whole_program(data: bytes) -> None:
    disk = MemoryPrograms()
    put_program(disk, "b", B, 2)
    put_program(disk, "a", A, 1)
    disk.write("slots", data)
    assert picked(disk)[0] in ("a", "b")


COUNTERS = st.integers(0, (1 << 53) - 1)


@given(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from("ab-"),
        st.integers(0, 255),
        COUNTERS,
        COUNTERS,
        COUNTERS,
    )
)
def test_both_sides_read_what_the_other_wrote(new: tuple[str, str, int, int, int, int]) -> None:
    disk = MemoryPrograms()
    slots.store(disk, new)
    assert state(disk) == new
    assert loader(disk).write(*new[:3], new[3:])
    assert slots.state(disk) == new


def test_what_a_cable_brings_is_what_an_update_writes() -> None:
    rows = [(name, len(data), digest(data)) for name, data in sorted(A.items())]
    text = release_text(7, "bytecode", "0.2.0", rows)
    assert text == update.release_text(7, "0.2.0", "bytecode", rows)
    files = board_files(
        Image("bytecode", 512, {"main.py": b"", **A}, b"", {}), version="0.2.0", counter=7
    )
    assert files["a/release"] == text
    disk = MemoryPrograms()
    for name, data in files.items():
        disk.write(name, data)
    assert picked(disk) == ("a", False)
    assert state(disk) == ("a", "-", 0, 0, 7, 0)
    assert slots.text(disk) == "cairn 0.2.0 r7"


class Ended(BaseException):
    """The chip was reset."""


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules that only a chip has, and an application that does what a test says."""

    def reset() -> None:
        raise Ended

    def start(**options: Any) -> None:
        made.timers.append(options)

    made = SimpleNamespace(timers=[], dogs=[], reset=reset)
    made.WDT = lambda **options: made.dogs.append(options["timeout"])
    made.Timer = lambda _: SimpleNamespace(init=start)
    made.Timer.ONE_SHOT = 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "machine", made)
    monkeypatch.setattr(sys, "print_exception", lambda _: None, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return made


def started(disk: MemoryPrograms, tmp_path: Path, source: str) -> Any:
    """The loader after start(), of which the reset is the end."""
    (tmp_path / "application.py").write_text(source)
    loaded = loader(disk)
    loaded.time = SimpleNamespace(sleep=lambda _: sys.path.insert(0, str(tmp_path)))
    inserted = loaded._guard

    def guard(*, trial: bool) -> None:
        sys.path.insert(0, str(tmp_path))
        inserted(trial=trial)

    loaded._guard = guard
    sys.modules.pop("application", None)
    with pytest.raises(Ended):
        loaded.start()
    sys.modules.pop("application", None)
    return loaded


@pytest.mark.parametrize(
    "source",
    ["", "1 / 0", "def run(:", "raise MemoryError", "import no_such_module", "raise OSError(5)"],
)
def test_however_a_program_ends_the_board_starts_again(
    disk: MemoryPrograms, tmp_path: Path, chip: Any, source: str
) -> None:
    started(disk, tmp_path, source)
    assert chip.dogs == [120_000]
    assert chip.timers == []


def test_ctrl_c_leads_to_the_prompt(disk: MemoryPrograms, tmp_path: Path, chip: Any) -> None:
    (tmp_path / "application.py").write_text("raise KeyboardInterrupt")
    loaded = loader(disk)
    loaded._guard = lambda **_: sys.path.insert(0, str(tmp_path))
    sys.modules.pop("application", None)
    with pytest.raises(KeyboardInterrupt):
        loaded.start()


def test_a_trial_ends_by_itself(disk: MemoryPrograms, tmp_path: Path, chip: Any) -> None:
    slots.store(disk, ("a", "b", 3, 2, 1, 0))
    loaded = started(disk, tmp_path, "")
    (timer,) = chip.timers
    assert timer["period"] == 4 * 3_600_000
    assert timer["mode"] == 0
    with pytest.raises(Ended):
        timer["callback"](None)
    # Once it is confirmed, the timer is none of its business.
    slots.store(disk, ("b", "-", 0, 0, 2, 0))
    timer["callback"](None)
    assert [loaded.check, loaded.pick, loaded.write] == [None] * 3


def test_a_chip_without_a_timer_still_runs_its_program(
    disk: MemoryPrograms, tmp_path: Path, chip: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    del chip.Timer
    slots.store(disk, ("a", "b", 3, 2, 1, 0))
    started(disk, tmp_path, "print('it runs')")
    printed = capsys.readouterr().out
    assert "launch.unguarded" in printed
    assert "it runs" in printed


def test_without_a_program_it_says_so_again_and_again(
    disk: MemoryPrograms, chip: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in disk.names(""):
        disk.remove(name)
    loaded = loader(disk)
    waits: list[int] = []

    def sleep(seconds: int) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    loaded.time = SimpleNamespace(sleep=sleep)
    with pytest.raises(KeyboardInterrupt):
        loaded.start()
    assert capsys.readouterr().out.count("launch.none") == 3
    # A watchdog would end the wait of whoever looks for the fault.
    assert chip.dogs == []
