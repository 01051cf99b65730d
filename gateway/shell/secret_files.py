"""Secrets in files: how keys are written, and the API key, a broker's password, a host's key.

Each is a file that only its owner may read. What is in one never appears in a message.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from gateway.shell.errors import Code, OperatorFault

API_KEY = "api.key"
_API_KEY_BYTES = 32
_SECRET_BYTES_MAX = 4_096


def read_secret(path: Path, what: str) -> str:
    """The text of a secret file without the white space around it. what: its name for people."""
    try:
        if path.stat().st_mode & 0o077:
            raise OperatorFault(
                f"The file {path} with {what} can be read by other users.",
                "Whoever reads it can act in your name.",
                f"Run `chmod 600 {path}`; if it was exposed, make a new one.",
                Code.KEYS_READABLE,
            )
        text = path.read_bytes()[:_SECRET_BYTES_MAX].decode("utf-8").strip()
    except OSError as error:
        raise OperatorFault(
            f"The file {path} with {what} cannot be read.",
            f"{error.strerror}.",
            "Restore it, or name the right file.",
            Code.KEYS_MISSING,
        ) from error
    except UnicodeDecodeError as error:
        raise damaged(path, what) from error
    if not text:
        raise damaged(path, what)
    return text


def api_key(keys_dir: Path) -> str:
    """The key that operators show to the API; made at the first call."""
    path = keys_dir / API_KEY
    if not path.exists():
        # Another process may be quicker; then there is a key too.
        with suppress(FileExistsError):
            write_once(path, secrets.token_bytes(_API_KEY_BYTES))
    return read_secret(path, "the API key")


def damaged(path: Path, what: str) -> OperatorFault:
    return OperatorFault(
        f"The file {path} does not hold {what}.",
        "It is empty, or holds something else.",
        "Restore it from your copy; the API key is made again if its file is absent.",
        Code.KEYS_DAMAGED,
    )


def write_once(path: Path, secret: bytes) -> None:
    """Make a file of hex digits that only its owner may read. FileExistsError if there is one:
    keys are never overwritten.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # O_EXCL: between a caller's look and now somebody may have made one.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secret.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise
    except OSError as error:
        raise OperatorFault(
            f"The key file {path} cannot be written.",
            f"{error.strerror}.",
            "Check that the folder exists, has room, and that this user may write to it.",
            Code.FILE_UNWRITABLE,
        ) from error
