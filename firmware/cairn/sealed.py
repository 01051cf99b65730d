"""Small files that end with a check, so that a worn flash cannot make them say something else.

A damaged file is as good as none: whoever reads it has to know how to go on without. The outbox
has checks of its own (segment.py), and the key is checked against its public key (identity.py).
"""

from hashlib import sha256

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Files

CHECK_BYTES = 4


def write(files: "Files", name: str, content: bytes) -> None:
    """Replace the file atomically by content (not empty) and its check."""
    files.write(name, content + _check(name, content))


def read(files: "Files", name: str) -> bytes:
    """What write() got; b"" if the file is absent or damaged."""
    data = files.read(name) or b""
    content = data[:-CHECK_BYTES]
    return content if data[-CHECK_BYTES:] == _check(name, content) else b""


def _check(name: str, content: bytes) -> bytes:
    # With the name: a file system that mixes its files up is found out too.
    return sha256(name.encode() + b"\0" + content).digest()[:CHECK_BYTES]
