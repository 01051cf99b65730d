"""The wheel works away from the checkout: it carries its specification files and its command."""

import os
import subprocess
import sys

import pytest

from gateway.shell import spec_files


@pytest.fixture(scope="module")
def installed(repo_root, tmp_path_factory):
    """Build the wheel and install it alone into a folder; dependencies come from our own venv."""
    folder = tmp_path_factory.mktemp("wheel")
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], repo_root)
    wheel = next(folder.glob("*.whl"))
    site = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    _run([*pip, "--target", site, wheel], folder)
    return site


def _run(command, folder, **env):
    done = subprocess.run(
        command, cwd=folder, env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_command_answers(installed):
    # PYTHONPATH comes before the editable install's .pth entries.
    out = _run([installed / "bin" / "cairn", "--version"], installed, PYTHONPATH=str(installed))
    assert "0." in out


def test_installed_spec_files_equal_the_checkout(installed, repo_root):
    code = (
        "import sys, gateway; from gateway.shell.spec_files import read_spec;"
        "assert gateway.__file__.startswith(sys.argv[1]), gateway.__file__;"
        "sys.stdout.buffer.write(read_spec('quantities.toml') + read_spec('rules/0001.toml'))"
    )
    out = _run([sys.executable, "-c", code, str(installed)], installed, PYTHONPATH=str(installed))
    spec = repo_root / "spec"
    assert out.encode() == b"".join(
        (spec / name).read_bytes() for name in ("quantities.toml", "rules/0001.toml")
    )


def test_wheel_leaves_vectors_and_tests_out(installed):
    names = {path.relative_to(installed).parts[0] for path in installed.iterdir()}
    assert {"cairn", "gateway", "simulator"} <= names
    assert not names & {"tests", "spec", "firmware", "docs"}
    assert not (installed / "gateway" / "spec" / "vectors").exists()


def test_checkout_reads_its_own_spec(repo_root):
    assert spec_files.spec_path("quantities.toml") == repo_root / "spec" / "quantities.toml"


@pytest.mark.parametrize("name", ["../pyproject.toml", "/etc/hostname"])
def test_spec_path_stays_inside(name):
    with pytest.raises(ValueError, match="not a name under spec"):
        spec_files.spec_path(name)


def test_absent_spec_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"rules/none\.toml"):
        spec_files.spec_path("rules/none.toml")
