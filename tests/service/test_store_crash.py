"""`kill -9` at random moments: what was told durable is there, and every batch whole or absent."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.verdicts import Verdict
from gateway.shell.store.sqlite import SqliteStore
from tests.service.crash_child import BATCH
from tests.service.store_conformance import NETWORK, admission_chain, logged

ROOT = Path(__file__).resolve().parents[2]
KILLS = 12


def killed_run(path: Path, lines: int) -> int:
    """Run the child, kill it after it has told `lines` batches; the last one told."""
    command = [sys.executable, "-m", "tests.service.crash_child", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = -1
        for _ in range(lines):
            told = int(child.stdout.readline())
        child.kill()
        for rest in child.stdout:
            # What was in the pipe had been committed too; a torn last line was not told.
            if rest.endswith("\n"):
                told = int(rest)
    return told


def check_whole(path: Path, told: int) -> None:
    store = SqliteStore.open(path, NETWORK)
    length = store.admission_head().length
    assert length % BATCH == 0
    assert length // BATCH > told
    expected = [logged(n) for n in range(length)]
    assert list(store.iterate()) == expected
    assert store.admission_head().hash == admission_chain([line.entry for line in expected])
    assert store.refused_counts() == {Verdict.BAD_SIGNATURE: length // BATCH}
    assert len(store.centres(0, length)) == length // BATCH
    (verdict,) = store._database.execute("PRAGMA integrity_check").fetchone()
    assert verdict == "ok"
    store.close()


@pytest.mark.skipif(os.name != "posix", reason="there is no kill -9 elsewhere")
def test_kill_at_any_moment_leaves_whole_batches(tmp_path: Path):
    seed = random.SystemRandom().randrange(2**32)
    sys.stdout.write(f"seed {seed}\n")  # shown when the test fails
    numbers = random.Random(seed)
    path = tmp_path / "cairn.sqlite"
    for _ in range(KILLS):
        told = killed_run(path, numbers.randrange(1, 60))
        check_whole(path, told)
