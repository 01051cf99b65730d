"""A whole board's file system: the loader, and a program in the first of its two slots.

An update replaces what is in a slot; the loader (firmware/launch.py) and main.py stay as a cable
brought them. The formats of "slots" and "release" are the loader's.
"""

import ast
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from gateway.device.compile import compiled
from gateway.device.flash import pack
from gateway.device.image import Image
from gateway.device.sources import firmware_sources
from gateway.shell.errors import Code, OperatorFault

__all__ = ["board_files", "firmware_version", "pack_board", "program_files", "release_text"]

FIRST_SLOT = "a"
# Importing it must start nothing: the serial console asks it where the program is.
MAIN = b"import launch\nlaunch.start()\n"
VERSION_BYTES_MAX = 32

_LOADER = "launch"
_RELEASE = "release"
# gateway/device/ -> gateway/ -> the checkout, or site-packages.
_CHECKOUT = Path(__file__).parents[2] / "firmware" / "launch.py"
_SHIPPED = Path(__file__).parent / "board_launch.py"


def board_files(
    image: Image, *, version: str, counter: int = 0, offer: bytes | None = None
) -> dict[str, bytes]:
    """What a cable brings: files by name ("launch.mpy", "a/app.mpy").

    counter: of the release that this program is, 0 for none; offer: an encoded configuration for
    a board that has none.
    """
    program = program_files(image)
    listed = [(name, len(data), sha256(data).digest()) for name, data in sorted(program.items())]
    files = {
        "main.py": MAIN,
        "slots": _slots(counter),
        f"{FIRST_SLOT}/{_RELEASE}": release_text(counter, image.architecture, version, listed),
    }
    files |= compiled({f"{_LOADER}.py": _loader_source()})
    files |= {f"{FIRST_SLOT}/{name}": data for name, data in program.items()}
    if offer is not None:
        files["offer"] = offer
    return files


def pack_board(
    image: Image, *, version: str, counter: int = 0, offer: bytes | None = None
) -> bytes:
    """The same as a file system for the partition `vfs`; the same bytes each time."""
    files = board_files(image, version=version, counter=counter, offer=offer)
    return pack(files, image.blocks)


def program_files(image: Image) -> dict[str, bytes]:
    """What of an image a slot holds, and a release lists: the loader has its own main.py."""
    return {name: data for name, data in image.files.items() if name != "main.py"}


def release_text(
    counter: int, architecture: str, version: str, files: Iterable[tuple[str, int, bytes]]
) -> bytes:
    """The file `release` of a slot. files: name, size, SHA-256."""
    if (
        not version.isascii()
        or not version.isprintable()
        or not 0 < len(version) <= VERSION_BYTES_MAX
    ):
        raise ValueError(f"a version is 1 to 32 printable ASCII characters: {version!r}")
    lines = [f"cairn 1 {counter} {architecture} {version}\n"]
    lines += [f"{digest.hex()} {size} {name}\n" for name, size, digest in files]
    text = "".join(lines).encode()
    return text + f"= {sha256(text).hexdigest()}\n".encode()


def firmware_version(source: Path | None = None) -> str:
    """What the program at source (None: the one that this gateway came with) calls itself."""
    text = firmware_sources(source).get("cairn/limits.py", "")
    return _constants(text).get("VERSION", "0")


def _constants(text: str) -> Mapping[str, str]:
    return {
        target.id: node.value.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def _slots(counter: int) -> bytes:
    """The state of a board that was just flashed: the first slot is confirmed, nothing failed."""
    text = b"L1" + FIRST_SLOT.encode() + b"-" + bytes(1)
    text += bytes(8) + counter.to_bytes(8, "big") + bytes(8)
    return text + sha256(text).digest()[:4]


def _loader_source() -> str:
    for path in (_CHECKOUT, _SHIPPED):
        if path.is_file():
            return path.read_text("utf-8")
    raise OperatorFault(
        "The firmware's sources are not there.",
        f"{_CHECKOUT} is the program that starts all others, and it is missing.",
        "Install the gateway again.",
        Code.FIRMWARE_MISSING,
    )
