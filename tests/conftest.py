"""Fixtures that every suite shares: real data, foreign tools, and how much work to do.

Outside `CI=true` a test skips when a component it needs is not installed; under `CI=true` the
same skip is a failure, so a green run cannot mean "nothing ran". Absent shared data is the one
allowed skip: the data sets are not ours to ship.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import venv
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA_ABSENT = "shared data absent"
IN_CI = os.environ.get("CI") == "true"
NIGHTLY = os.environ.get("CAIRN_NIGHTLY") == "1"

# No deadline: two noisy cores say nothing about one case. Failures print the blob that replays
# them. `default` is for the developer's loop, `ci` is the bar, `nightly` the same code for longer.
for _profile, _examples in (("default", 80), ("ci", 2_000), ("nightly", 50_000)):
    settings.register_profile(
        _profile,
        max_examples=_examples,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("nightly" if NIGHTLY else "ci" if IN_CI else "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep `nightly` tests out of every other run, without counting them as skipped."""
    if not NIGHTLY:
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure under `CI=true`, shared data excepted."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a module that skips itself while it is imported."""
    report = yield
    if report.skipped:
        _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if IN_CI and SHARED_DATA_ABSENT not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped although CI=true: {report.longrepr}"


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """Root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Directory of the real data sets, beside the checkout; read-only."""
    path = Path(os.environ.get("CAIRN_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"{SHARED_DATA_ABSENT}: no directory {path}")
    return path


@pytest.fixture(scope="session")
def require_component() -> Callable[[str], str]:
    """Return a function that finds a program on PATH or skips (fails under `CI=true`)."""

    def find(program: str) -> str:
        # Debian keeps servers in a folder that is not on everybody's PATH.
        found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
        if found is None:
            pytest.skip(f"component missing: {program} is not on PATH")
        return found

    return find


@pytest.fixture(scope="session")
def node_modules(require_component: Callable[[str], str]) -> Callable[[str], Path]:
    """Return a function that gives `tests/<suite>/node_modules`, installed from its lock file."""

    def locate(suite: str) -> Path:
        require_component("node")
        folder = ROOT / "tests" / suite
        with _one_process_at_a_time(folder / "package-lock.json"):
            if not (folder / "node_modules").is_dir():
                npm = require_component("npm")
                _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
        return folder / "node_modules"

    return locate


@pytest.fixture(scope="session")
def interop_python() -> Path:
    """Interpreter of an environment that holds another COSE library.

    It is apart from ours because that library pins another cbor2.
    """
    requirements = ROOT / "tests" / "interop" / "requirements.txt"
    home = ROOT / ".venv-cose"
    python = home / "bin" / "python"
    ready = home / "ready"
    with _one_process_at_a_time(requirements):
        if not ready.is_file():
            venv.create(home, with_pip=True, clear=True)
            command = [str(python), "-m", "pip", "install", "-q", "--only-binary", ":all:"]
            _run([*command, "-r", str(requirements)], ROOT)
            ready.touch()
    return python


@pytest.fixture
def listening_to_ctrl_c() -> Iterator[None]:
    """A shell's background jobs ignore SIGINT, and their children would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"component missing: {' '.join(command)}:\n{done.stdout}{done.stderr}")


@contextmanager
def _one_process_at_a_time(path: Path) -> Iterator[None]:
    # xdist workers are processes: without the lock both would install into one folder.
    with path.open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
