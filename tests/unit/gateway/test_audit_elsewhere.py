"""The audit of a day with radios where numpy adds up in another order, and under other Pythons.

What decides pay is made of integers, so neither may change a byte. That the order really differs
is checked on floats, which it does change.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from gateway.core.bundle import write_bundle
from gateway.shell.bundle_file import compress
from tests.unit.gateway.air_kit import Air
from tests.unit.gateway.test_epoch_coverage import town

OTHER_PYTHONS = [f"python3.{minor}" for minor in range(11, 20)]
NEEDED = "cbor2, click, ed25519_zebra, h3, httpx, nacl, numpy, pydantic_settings, zstandard"
# Read by Python at its start: every sum runs from the last element to the first.
BACKWARDS = """
import numpy
from numpy._core import _methods

forwards = _methods.umr_sum

def backwards(a, axis=None, *rest, **options):
    return forwards(numpy.flip(numpy.asanyarray(a), axis), axis, *rest, **options)

_methods.umr_sum = backwards
"""
FLOATS = "import numpy; print(numpy.array([1e16, 1.0, -1e16, 1.0] * 3).sum())"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    net = Air()
    net.radio_day(town(net))
    path = tmp_path_factory.mktemp("elsewhere") / "day.cairn"
    path.write_bytes(write_bundle(net.bundle(), compress))
    return path


def audited(bundle, python=sys.executable, **environment):
    done = subprocess.run(
        [python, "-m", "gateway.cli", "audit", str(bundle), "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] is True
    return answer["root"]


def summed(**environment):
    command = [sys.executable, "-c", FLOATS]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_sums_that_run_backwards_change_nothing(bundle, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BACKWARDS)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert summed(PYTHONPATH=path) != summed()
    assert audited(bundle, PYTHONPATH=path) == audited(bundle)


def test_no_vector_instructions_change_nothing(bundle):
    import numpy as np

    features = " ".join(np._core._multiarray_umath.__cpu_dispatch__)
    assert audited(bundle, NPY_DISABLE_CPU_FEATURES=features) == audited(bundle)


def test_other_pythons_compute_the_same_root(bundle):
    """Where another Python with the packages is at hand; on most machines there is none."""
    here = os.path.realpath(sys.executable)
    found = {shutil.which(name) for name in OTHER_PYTHONS} - {None}
    for python in sorted(one for one in found if os.path.realpath(one) != here):
        able = subprocess.run([python, "-c", f"import {NEEDED}"], capture_output=True, check=False)
        if able.returncode == 0:
            assert audited(bundle, python) == audited(bundle)
