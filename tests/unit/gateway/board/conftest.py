"""What the tests of boards on a cable share."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def micropython() -> Path:
    """A real MicroPython: the unix port of the extra `device`."""
    path = Path(sys.executable).with_name("micropython")
    if not path.exists():
        pytest.skip("component missing: micropython of the extra `device`")
    return path
