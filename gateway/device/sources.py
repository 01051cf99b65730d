"""Finds the board's program: the package `cairn` and main.py, in a checkout or a wheel.

It knows which modules a board needs, not what is in them.
"""

from collections.abc import Mapping
from pathlib import Path

from gateway.shell.errors import Code, OperatorFault

# gateway/device/ -> gateway/ -> the checkout, or site-packages.
_ROOT = Path(__file__).parents[2]
_SHIPPED = _ROOT / "cairn"
_CHECKOUT = _ROOT / "firmware" / "cairn"
_SHIPPED_MAIN = Path(__file__).parent / "board_main.py"
_SHIPPED_CONSOLE = Path(__file__).parent / "board_console.py"

MAIN_FILE = "main.py"
# The second program (docs/firmware.md, "The serial console").
CONSOLE_FILE = "console.py"
# What only that has.
CONSOLE_FILES = (CONSOLE_FILE, "cairn/boards/checks.py")

# Boards that run where there is a whole Python: never in flash.
_HOST_ONLY = {"cairn/boards/host.py"}
# Machine code; a bytecode image has its plain counterparts alone.
NATIVE_SUFFIX = "_viper.py"


def firmware_sources(source: Path | None = None) -> dict[str, str]:
    """Texts by name ("cairn/node.py", "main.py", "console.py").

    source: a folder with cairn/, main.py and perhaps console.py; None: the program that this
    gateway came with.
    """
    package, main, console = _places(source)
    texts = {
        f"cairn/{path.relative_to(package).as_posix()}": path.read_text("utf-8")
        for path in sorted(package.rglob("*.py"))
    }
    if not texts or not main.is_file():
        raise OperatorFault(
            "The firmware's sources are not there.",
            f"{package} and {main} hold the board's program, and something of it is missing.",
            "Install the gateway again, or name a folder with cairn/ and main.py.",
            Code.FIRMWARE_MISSING,
        )
    texts[MAIN_FILE] = main.read_text("utf-8")
    if console.is_file():
        texts[CONSOLE_FILE] = console.read_text("utf-8")
    return {name: text for name, text in texts.items() if name not in _HOST_ONLY}


def for_architecture(texts: Mapping[str, str], *, native: bool) -> dict[str, str]:
    """The modules that an architecture can run."""
    return {
        name: text for name, text in texts.items() if native or not name.endswith(NATIVE_SUFFIX)
    }


def _places(source: Path | None) -> tuple[Path, Path, Path]:
    if source is not None:
        return source / "cairn", source / MAIN_FILE, source / CONSOLE_FILE
    # A checkout first: its gateway may stand beside an older installed package.
    if _CHECKOUT.is_dir():
        firmware = _CHECKOUT.parent
        return _CHECKOUT, firmware / MAIN_FILE, firmware / CONSOLE_FILE
    return _SHIPPED, _SHIPPED_MAIN, _SHIPPED_CONSOLE
