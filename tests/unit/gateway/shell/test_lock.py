"""The lock on a data directory: one holder, asked without harm, gone with its process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.shell.errors import Code, OperatorFault
from gateway.shell.lock import (
    ADDRESSES,
    LOCK,
    Addresses,
    held,
    is_held,
    remove_addresses,
    running,
    write_addresses,
)

HERE = Addresses(1, "mqtt://127.0.0.1:1", "http://127.0.0.1:2", "real")
HOLDER = """
import sys
from pathlib import Path
from gateway.shell.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path):
    with held(tmp_path):
        assert is_held(tmp_path)
        with pytest.raises(OperatorFault) as caught, held(tmp_path):
            pass
        assert caught.value.code == Code.GATEWAY_RUNNING
        assert str(os.getpid()) in caught.value.why
    assert not is_held(tmp_path)
    with held(tmp_path):
        pass


def test_a_killed_holder_holds_nothing(tmp_path: Path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        write_addresses(tmp_path, HERE)
        assert running(tmp_path) == HERE
        child.kill()
        child.wait()
    assert not is_held(tmp_path)
    assert (tmp_path / ADDRESSES).exists()
    assert running(tmp_path) is None
    with held(tmp_path):
        pass


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"pid": "x"}', b"\xff"])
def test_addresses_that_make_no_sense_are_none(tmp_path: Path, text: bytes):
    with held(tmp_path):
        assert running(tmp_path) is None
        (tmp_path / ADDRESSES).write_bytes(text)
        assert running(tmp_path) is None
        write_addresses(tmp_path, HERE)
        assert running(tmp_path) == HERE
        remove_addresses(tmp_path)
        assert running(tmp_path) is None


def test_asking_leaves_no_file_and_no_folder_is_a_fault(tmp_path: Path):
    assert not is_held(tmp_path)
    assert not (tmp_path / LOCK).exists()
    with pytest.raises(OperatorFault) as caught, held(tmp_path / "none"):
        pass
    assert caught.value.code == Code.FILE_UNWRITABLE
