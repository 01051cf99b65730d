"""Files with secrets: made once, for their owner only, and never shown in a message."""

from pathlib import Path

import pytest

from gateway.shell.errors import Code, OperatorFault
from gateway.shell.secret_files import API_KEY, api_key, read_secret


def fault_of(path: Path) -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        read_secret(path, "a secret")
    return caught.value


def test_the_api_key_is_made_once_and_for_its_owner_only(tmp_path: Path):
    key = api_key(tmp_path / "keys")
    assert len(bytes.fromhex(key)) == 32
    assert (tmp_path / "keys" / API_KEY).stat().st_mode & 0o777 == 0o600
    assert api_key(tmp_path / "keys") == key
    assert api_key(tmp_path / "others") != key


def test_secrets_that_cannot_be_used(tmp_path: Path):
    path = tmp_path / "secret"
    assert fault_of(path).code == Code.KEYS_MISSING
    path.touch(0o600)
    assert fault_of(path).code == Code.KEYS_DAMAGED
    path.write_bytes(b"\xff\xfe")
    assert fault_of(path).code == Code.KEYS_DAMAGED
    path.write_text("hunter2\n")
    assert read_secret(path, "a secret") == "hunter2"
    path.chmod(0o640)
    fault = fault_of(path)
    assert fault.code == Code.KEYS_READABLE
    assert "hunter2" not in str(fault)


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OperatorFault) as caught:
        api_key(tmp_path / "file" / "keys")
    assert caught.value.code in {Code.FILE_UNWRITABLE, Code.KEYS_MISSING}
