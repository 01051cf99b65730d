"""The state of the slots as the program sees it, and the files that it sees it in."""

import os
from pathlib import Path

import pytest
from cairn import slots
from cairn.boards.host import MemoryFiles
from cairn.boards.program_files import ProgramFiles

from tests.unit.firmware.bench import ROOT_PUBLIC, keypair
from tests.unit.firmware.update_kit import MemoryPrograms, put_program

FILES = {"application.mpy": b"program"}


@pytest.fixture
def programs() -> MemoryPrograms:
    made = MemoryPrograms()
    put_program(made, "b", FILES, 3)
    put_program(made, "a", FILES, 2)
    return made


def test_a_board_without_slots_says_its_version() -> None:
    assert slots.text(None) == "cairn 0.1.0"
    assert slots.began(None) == (False, 0)
    assert slots.floor(None, MemoryFiles()) is None


def test_what_hello_says(programs: MemoryPrograms) -> None:
    assert slots.text(programs) == "cairn 0.1.0 r2"
    slots.store(programs, ("a", "-", 0, 0, 2, 3))
    assert slots.text(programs) == "cairn 0.1.0 r2 x3"
    # What failed before this one came is history.
    slots.store(programs, ("a", "-", 0, 0, 2, 1))
    assert slots.text(programs) == "cairn 0.1.0 r2"


def test_a_long_version_is_cut_and_not_the_counter(programs: MemoryPrograms) -> None:
    first = b"cairn 1 123456 bytecode " + b"9." * 16 + b"\n"
    programs.write("a/release", first)
    slots.store(programs, ("a", "-", 0, 0, 2, 999_999))
    text = slots.text(programs)
    assert len(text) == 32
    assert text.endswith(" r123456 x999999")


def test_what_a_release_has_to_be_above(programs: MemoryPrograms) -> None:
    vault = MemoryFiles()
    assert slots.floor(programs, vault) == 2
    slots.store(programs, ("a", "-", 0, 0, 2, 6))
    assert slots.floor(programs, vault) == 6
    # An older program than the highest runs: that one may come again, and no older one.
    slots.store(programs, ("a", "-", 0, 0, 5, 0))
    assert slots.floor(programs, vault) == 4
    slots.keep_floors(vault, b"", 0, 9)
    assert slots.floor(programs, vault) == 8
    slots.store(programs, ("a", "b", 3, 3, 2, 0))
    assert slots.floor(programs, vault) is None


def test_floors_only_rise_and_are_a_networks_own() -> None:
    vault = MemoryFiles()
    assert slots.floors(vault, ROOT_PUBLIC) == (-1, 0)
    slots.keep_floors(vault, ROOT_PUBLIC, 4, 0)
    slots.keep_floors(vault, b"", 0, 7)
    slots.keep_floors(vault, ROOT_PUBLIC, 3, 6)
    assert slots.floors(vault, ROOT_PUBLIC) == (4, 7)
    other = keypair("another root")[0]
    assert slots.floors(vault, other) == (-1, 0)
    slots.keep_floors(vault, other, 1, 0)
    assert slots.floors(vault, other) == (1, 0)


def test_a_floor_costs_no_write_when_it_stays() -> None:
    class Counting(MemoryFiles):
        writes = 0

        def write(self, name: str, data: bytes) -> None:
            self.writes += 1
            super().write(name, data)

    vault = Counting()
    for _ in range(3):
        slots.keep_floors(vault, ROOT_PUBLIC, 4, 7)
    assert vault.writes == 1


@pytest.mark.parametrize("text", [b"", b"cairn\n", b"cairn 1 x bytecode 1\n", b"\xff" * 99])
def test_a_list_that_nobody_wrote_describes_nothing(programs: MemoryPrograms, text: bytes) -> None:
    programs.write("a/release", text)
    assert slots.described(programs, "a") is None
    assert slots.running(programs) is None
    assert slots.floor(programs, MemoryFiles()) is None


# The files.


def test_files_with_folders(tmp_path: Path) -> None:
    files = ProgramFiles(str(tmp_path), "a")
    files.write("a/application.mpy", b"0123456789")
    files.append("a/x/y/deep.mpy", b"deep")
    files.append("a/x/y/deep.mpy", b"er")
    files.write("slots", b"state")
    assert files.names("a/") == ["a/application.mpy", "a/x/y/deep.mpy"]
    assert files.names("") == ["a/application.mpy", "a/x/y/deep.mpy", "slots"]
    assert files.names("b/") == []
    assert files.size("a/x/y/deep.mpy") == 6
    assert files.size("a/x") is None
    assert files.size("a/none") is None
    assert files.read_at("a/application.mpy", 7, 20) == b"789"
    files.rename("a/application.mpy", "b/z/application.mpy")
    files.rename("slots", "b/z/application.mpy")
    assert files.read("b/z/application.mpy") == b"state"
    files.remove("b/z/application.mpy")
    files.remove("b/z/application.mpy")
    assert files.names("b/") == []
    # Nothing is left that an import could take for a package.
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    files.remove("a/x/y/none.mpy")
    assert files.names("a/") == ["a/x/y/deep.mpy"]
    assert 0 < files.free_bytes() <= os.statvfs(tmp_path)[0] * os.statvfs(tmp_path)[2]


def test_the_slot_is_where_the_interpreter_looks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", ["/b", "", ".frozen"])
    assert ProgramFiles("").slot == "b"
