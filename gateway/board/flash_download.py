"""Gets an image: from a file, or downloaded, resumed where it stopped, and kept only if its
SHA-256 is the right one.
"""

import os
import re
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.shell.errors import Code, OperatorFault

if TYPE_CHECKING:
    from httpx import Response

Told = Callable[[int, int], None]

# The largest official image is below 3 MB.
BYTES_MAX = 32 << 20
ATTEMPTS = 4
_SECONDS = 20.0
_PAUSE_SECONDS = 1.0
_OK, _PARTIAL, _BEYOND = 200, 206, 416
# A name and a password in a URL are for its server, not for whoever reads what went wrong.
_WITHOUT_LOGIN = re.compile(r"//[^/@]*@")
_CLIENT_ERRORS = range(400, 500)


def images_folder() -> Path:
    """Where downloads are kept for the next board."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cairn" / "images"


def kept(digest: str, folder: Path) -> bytes | None:
    """An image that was downloaded before; None if it is not there, or no longer whole."""
    try:
        data = (folder / f"{digest}.bin").read_bytes()
    except OSError:
        return None
    return data if sha256(data).hexdigest() == digest else None


def download(
    url: str, digest: str, folder: Path, told: Told, *, pause: float = _PAUSE_SECONDS
) -> bytes:
    """The file at url, whose SHA-256 is digest (hex). It comes to folder under its final name
    only when it is whole; what was loaded of it stays as .part, and the next run goes on there.
    """
    data = kept(digest, folder)
    if data is not None:
        return data
    part = folder / f"{digest}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, told, pause)
        data = part.read_bytes()
        if sha256(data).hexdigest() != digest:
            part.unlink()
            raise _another_file(url, digest, data)
        part.replace(folder / f"{digest}.bin")
    except OSError as error:
        raise OperatorFault(
            "The image cannot be kept.",
            f"{error.filename or folder}: {error.strerror or error}.",
            "Make room there, or download it yourself and name it with --firmware.",
            Code.FILE_UNWRITABLE,
        ) from error
    return data


def read_image(path: Path, digest: str) -> bytes:
    """A file that somebody has; its SHA-256 is compared unless digest is ""."""
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX)
    except OSError as error:
        raise OperatorFault(
            "The image cannot be read.",
            f"{path}: {error.strerror}.",
            "Name the .bin file that you downloaded.",
            Code.FILE_UNREADABLE,
        ) from error
    if digest and sha256(data).hexdigest() != digest:
        raise _another_file(str(path), digest, data)
    return data


class _Broken(Exception):  # noqa: N818 - tried again
    """Nothing more came."""


def _fetch(url: str, part: Path, told: Told, pause: float) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch_once(url, part, told)
        except _Broken as reason:
            if attempt == ATTEMPTS:
                raise _failed(url, str(reason)) from reason
            time.sleep(pause)
        else:
            return


def _fetch_once(url: str, part: Path, told: Told) -> None:
    import httpx

    have = part.stat().st_size if part.exists() else 0
    # As it is: sizes and ranges are those of the file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with httpx.stream(
            "GET", url, headers=headers, timeout=_SECONDS, follow_redirects=True
        ) as answer:
            if answer.status_code == _BEYOND:
                # Whole already, or another file: the hash decides.
                return
            if answer.status_code not in (_OK, _PARTIAL):
                raise _status(url, answer.status_code)
            _keep(answer, part, have if answer.status_code == _PARTIAL else 0, told)
    except httpx.InvalidURL as error:
        raise _failed(url, str(error)) from error
    except httpx.UnsupportedProtocol as error:
        raise _failed(url, str(error)) from error
    except httpx.HTTPError as error:
        raise _Broken(str(error) or type(error).__name__) from error


def _keep(answer: "Response", part: Path, have: int, told: Told) -> None:
    length = answer.headers.get("Content-Length", "")
    total = have + int(length) if length.isdecimal() else 0
    with part.open("ab" if have else "wb") as file:
        # As it comes: what waits for a chunk to be full is lost when the line breaks.
        for chunk in answer.iter_raw():
            have += len(chunk)
            if max(have, total) > BYTES_MAX:
                # Kept, it would be in the way of the right file.
                part.unlink()
                raise _failed(answer.url, f"it is larger than {BYTES_MAX >> 20} MiB")
            file.write(chunk)
            told(have, max(total, have))
    if have < total:
        raise _Broken("the connection ended too early")


def _status(url: str, status: int) -> Exception:
    if status in _CLIENT_ERRORS:
        return _failed(url, f"the server says {status}")
    return _Broken(f"the server says {status}")


def _failed(url: object, why: str) -> OperatorFault:
    return OperatorFault(
        "The image could not be downloaded.",
        f"{_WITHOUT_LOGIN.sub('//', str(url))}: {why}.",
        "Try again: it goes on where it stopped. Or download it yourself, and name it with "
        "--firmware.",
        Code.DOWNLOAD_FAILED,
    )


def _another_file(source: str, digest: str, data: bytes) -> OperatorFault:
    return OperatorFault(
        "The image is another file.",
        f"{_WITHOUT_LOGIN.sub('//', source)} has SHA-256 {sha256(data).hexdigest()}, and {digest} "
        "was asked for.",
        "Compare the hash with what its source publishes, and get the file again.",
        Code.DOWNLOAD_MISMATCH,
    )
