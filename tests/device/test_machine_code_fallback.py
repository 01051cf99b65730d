"""The big-integer path on an interpreter that compiles viper, but for words of 64 bits.

Its objects are twice as large as a board's, so that a signature that fits its heap fits a board's.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cairn import ed25519

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[1] / "firmware"
SEED = bytes(range(32))


@pytest.fixture(scope="module")
def signed():
    """Callable (heap, free bytes) -> what machine_code_fallback.py printed, as words."""
    found = shutil.which("micropython", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("component missing: no micropython program (pip install '.[device]')")

    def run(heap: str, free: int) -> list[str]:
        done = subprocess.run(
            [found, "-X", f"heapsize={heap}", HERE / "machine_code_fallback.py", str(free)],
            env={"MICROPYPATH": str(FIRMWARE)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.split()

    return run


def test_the_checks_at_import_refuse_words_of_64_bits(signed):
    points, work_bytes, *_ = signed("256K", 100_000)
    assert (points, work_bytes) == ("cairn.ed25519_point", "64")


def test_a_signature_with_16_kb_free(signed):
    _, _, free, signature = signed("160K", 16_384)
    assert int(free) <= 16_384
    assert signature == ed25519.Signer(SEED).sign(bytes(158), SEED).hex()
