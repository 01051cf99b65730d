"""The vectors are what their generator writes."""

import subprocess
import sys

import pytest

from tests.spec.vector_files import CASES, FOLDER, OTHER_FORMS


@pytest.mark.slow
def test_the_generator_writes_the_committed_files(tmp_path):
    subprocess.run([sys.executable, FOLDER / "make_vectors.py", tmp_path], check=True, timeout=300)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.glob("*/*.json")}
    kept = {path: (FOLDER / path).read_bytes() for path in made if (FOLDER / path).exists()}
    assert kept == made
    assert len(CASES) == sum(path.parts[0] not in OTHER_FORMS for path in made)
