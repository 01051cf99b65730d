"""The board's image: its program as MicroPython bytecode, in a file system ready for flash.

The same sources give the same bytes, so that anybody can check what a board was given.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gateway.device.compile import Told, compiled
from gateway.device.flash import PARTITION_BLOCKS, pack, unpack
from gateway.device.minify import MAIN_MODULE, minify, minify_console
from gateway.device.program import Unlinkable
from gateway.device.sources import CONSOLE_FILE, CONSOLE_FILES, firmware_sources, for_architecture
from gateway.shell.errors import Code, OperatorFault

__all__ = ["ARCHITECTURES", "Image", "build_image", "unpack"]

# By the chip: ESP32, S2, S3; C3, C6; and what runs on any interpreter.
ARCHITECTURES = ("xtensawin", "rv32imc", "bytecode")
_BYTECODE = "bytecode"

# MicroPython runs main.py as text; all that it says is which module to load.
_MAIN = "main.py"


@dataclass(frozen=True)
class Image:
    """data: what goes to the start of the board's partition `vfs`; files: what is in it; names:
    by module, what short names stand for.
    """

    architecture: str
    blocks: int
    files: Mapping[str, bytes]
    data: bytes
    names: Mapping[str, Mapping[str, str]]

    def manifest(self) -> dict[str, object]:
        """What is inside, for people and programs."""
        return {
            "architecture": self.architecture,
            "blocks": self.blocks,
            "bytes": len(self.data),
            "sha256": sha256(self.data).hexdigest(),
            "files": [
                {"name": name, "bytes": len(content), "sha256": sha256(content).hexdigest()}
                for name, content in sorted(self.files.items())
            ],
        }


def build_image(
    source: Path | None = None,
    architecture: str = _BYTECODE,
    *,
    blocks: int = PARTITION_BLOCKS,
    minified: bool = True,
    keep: Iterable[str] = (),
    natives: Mapping[str, str] | None = None,
    told: Told | None = None,
) -> Image:
    """Compile the program at source (None: the one this gateway came with) and pack it.

    minified: in its small form (minify.py), else module by module as it was written; keep:
    attributes that must not be renamed, because a test looks at them. natives: by name, what
    stands in a bytecode image for the modules in machine code.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"unknown architecture: {architecture!r}")
    native = architecture != _BYTECODE
    texts = for_architecture(firmware_sources(source), native=native)
    texts |= natives or {}
    names: dict[str, dict[str, str]] = {}
    if minified:
        texts, names = _minified(texts, keep)
    else:
        texts[f"{MAIN_MODULE}.py"] = texts.pop(_MAIN)
    files = {_MAIN: f"import {MAIN_MODULE}\n".encode()}
    files |= compiled(texts, architecture if native else None, told)
    return Image(architecture, blocks, files, pack(files, blocks), names)


def _minified(
    texts: Mapping[str, str], keep: Iterable[str]
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    first = {name: text for name, text in texts.items() if name not in CONSOLE_FILES}
    try:
        made = minify(first, keep=keep)
        if CONSOLE_FILE not in texts:
            return made.texts, made.names
        console = minify_console(texts)
    except (SyntaxError, Unlinkable) as error:
        raise OperatorFault(
            "The firmware's sources cannot be made small.",
            f"{error}.",
            "Correct the source, or build with --plain.",
            Code.FIRMWARE_REFUSED,
        ) from error
    return console.texts | made.texts, console.names | made.names
