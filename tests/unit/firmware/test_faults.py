"""Codes are counted without bound on how often, and with one on memory and console."""

from cairn import limits
from cairn.boards.host import MemoryFiles
from cairn.faults import Faults

from tests.unit.firmware.bench import BenchBoard
from tests.unit.firmware.bench_world import World


class Console(BenchBoard):
    def __init__(self) -> None:
        super().__init__(World(), MemoryFiles())
        self.told: list[tuple[int, str, str]] = []

    def report(self, code: str, detail: str) -> None:
        self.told.append((self.world.now, code, detail))


def test_a_flood_is_told_once_a_minute() -> None:
    board = Console()
    faults = Faults(board)
    for _ in range(150):
        for _ in range(20):
            faults.note("downlink.to", "down/receipt")
        board.world.now += 1_000
    assert [at for at, _, _ in board.told] == [0, 60_000, 120_000]
    assert board.told[0][2] == "down/receipt"
    assert board.told[1][2] == "down/receipt (1201 times)"
    assert faults.rows == [("downlink.to", 3_000, 120_000)]


def test_only_the_newest_codes_are_kept() -> None:
    board = Console()
    faults = Faults(board)
    for number in range(100):
        faults.note(f"code.{number}")
    assert len(faults.rows) == limits.FAULTS_MAX
    assert [row[0] for row in faults.rows][-1] == "code.99"
    assert len(board.told) == 100
