"""The gateway's pages as they were installed: plain files under gateway/web, served as they are.

Read once. What is asked for is looked up by its name: no path ever comes from a request.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parents[2] / "web"
# A licence has no suffix.
_TYPES = {
    "": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_ETAG_DIGITS = 32


class WebFile(NamedTuple):
    data: bytes
    media_type: str
    etag: str


@cache
def web_files() -> dict[str, WebFile]:
    """By name ("vendor/h3-js/LICENSE"), every file that a browser may have."""
    return {
        path.relative_to(FOLDER).as_posix(): _read(path)
        for path in sorted(FOLDER.rglob("*"))
        if path.is_file() and path.suffix in _TYPES
    }


def _read(path: Path) -> WebFile:
    data = path.read_bytes()
    etag = f'"{sha256(data).hexdigest()[:_ETAG_DIGITS]}"'
    return WebFile(data, _TYPES[path.suffix], etag)
