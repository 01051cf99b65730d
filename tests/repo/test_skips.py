"""A green CI run must mean that the tests ran: skips fail there, absent shared data excepted."""

import os
import subprocess
import sys

import pytest

SAMPLE = """
import pytest

def test_component(require_component):
    require_component("no-such-program")

def test_data(shared_data):
    pass

@pytest.mark.nightly
def test_soak():
    raise AssertionError

@pytest.mark.xfail(reason="known", raises=ZeroDivisionError)
def test_known():
    1 / 0
"""


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({"CI": ""}, {"skipped": 2, "xfailed": 1}),
        ({"CI": "true"}, {"failed": 1, "skipped": 1, "xfailed": 1}),
        ({"CI": "true", "CAIRN_NIGHTLY": "1"}, {"failed": 2, "skipped": 1, "xfailed": 1}),
    ],
)
def test_skips(repo_root, tmp_path, variables, expected):
    (tmp_path / "conftest.py").write_text((repo_root / "tests" / "conftest.py").read_text())
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = nightly\n")
    absent = {"CAIRN_SHARED_DATA": str(tmp_path / "absent"), "CAIRN_NIGHTLY": ""}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        env=os.environ | absent | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    summary = done.stdout.strip().splitlines()[-1]
    for outcome in ("failed", "skipped", "xfailed", "passed"):
        wanted = expected.get(outcome, 0)
        assert (f"{wanted} {outcome}" in summary) == bool(wanted), done.stdout
