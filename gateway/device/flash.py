"""The board's file system: littlefs as MicroPython's VfsLfs2 mounts it, as bytes.

The file system has the partition's size, but the bytes end with its last used block: littlefs
erases a block before it writes there, so what follows may hold anything.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from gateway.shell.errors import Code, OperatorFault

if TYPE_CHECKING:
    from littlefs import LittleFS

BLOCK_BYTES = 4096
# The partition `vfs` of MicroPython's image for a chip with 4 MB: 0x200000 to the end.
PARTITION_BLOCKS = 512
# VfsLfs2 calls for these sizes, and reads no newer layout of the disk.
_UNIT_BYTES = 32
_DISK_VERSION = 0x0002_0000

# A folder takes two blocks; splitting one that is full, and a file's pointers, take some more.
_FOLDER_BLOCKS = 2
_SPARE_BLOCKS = 8
_ERASED = b"\xff"


def pack(files: Mapping[str, bytes], blocks: int = PARTITION_BLOCKS) -> bytes:
    """A file system of that many blocks with these files; the same bytes on every run."""
    needed = _blocks_needed(files)
    if needed > blocks:
        raise OperatorFault(
            "The firmware does not fit into the board's flash.",
            f"It needs {needed} blocks of {BLOCK_BYTES} bytes, and the partition has {blocks}.",
            "Give the partition's true size.",
            Code.IMAGE_TOO_LARGE,
        )
    # Made small and then grown: littlefs scatters its blocks over all that it is given.
    disk = _littlefs(block_count=needed)
    for name in sorted(files):
        parent = str(PurePosixPath(name).parent)
        if parent != ".":
            disk.makedirs(parent, exist_ok=True)
        with disk.open(name, "wb") as file:
            file.write(files[name])
    buffer: bytearray = disk.context.buffer
    buffer.extend(_ERASED * ((blocks - needed) * BLOCK_BYTES))
    disk.fs_grow(blocks)
    disk.unmount()
    return _trimmed(bytes(buffer))


def unpack(image: bytes) -> dict[str, bytes]:
    """Files by name ("cairn/node.mpy") of what `pack` made."""
    try:
        from littlefs import LittleFSError
        from littlefs.context import UserContext
    except ImportError as error:
        raise tools_missing("littlefs-python") from error
    context = UserContext(buffsize=0)
    context.buffer = bytearray(image)
    found = {}
    try:
        # 0 blocks: as many as the file system says it has.
        disk = _littlefs(context=context, block_count=0)
        for folder, _, names in disk.walk("/"):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}"
                with disk.open(path, "rb") as file:
                    found[path.lstrip("/")] = bytes(file.read())
    except LittleFSError as error:
        raise OperatorFault(
            "The image cannot be read.",
            f"It is damaged, or no file system of a board: {error}.",
            "Build it again with cairn firmware build.",
            Code.IMAGE_DAMAGED,
        ) from error
    return found


def tools_missing(package: str) -> OperatorFault:
    """The fault that says what to install before an image can be built."""
    return OperatorFault(
        "The tools that build a board's image are not installed.",
        f"{package} is missing; a gateway runs without it.",
        "pip install 'cairn-depin[device]'",
        Code.TOOLS_MISSING,
    )


def _littlefs(**options: Any) -> "LittleFS":
    try:
        from littlefs import LittleFS
    except ImportError as error:
        raise tools_missing("littlefs-python") from error
    return LittleFS(
        block_size=BLOCK_BYTES,
        prog_size=_UNIT_BYTES,
        read_size=_UNIT_BYTES,
        lookahead_size=_UNIT_BYTES,
        disk_version=_DISK_VERSION,
        **options,
    )


def _blocks_needed(files: Mapping[str, bytes]) -> int:
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    whole = sum(-(-len(content) // BLOCK_BYTES) for content in files.values())
    return whole + whole // 8 + _FOLDER_BLOCKS * len(folders) + _SPARE_BLOCKS


def _trimmed(disk: bytes) -> bytes:
    used = len(disk.rstrip(_ERASED))
    return disk[: -(-used // BLOCK_BYTES) * BLOCK_BYTES]
