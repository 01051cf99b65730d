"""The firmware's Ed25519 modules as a board with native code loads them, kernels on a machine.

They are imported a second time under another package name, with the kernels in place of the two
viper modules that CPython cannot import, so that the ordinary cairn modules stay as they are.
"""

import itertools
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import cairn

Kernel = Callable[..., None]
SHA512_WORK_BYTES = 904

_numbers = itertools.count()


class NativeModules:
    """sha512, ed25519, ed25519_verify with these kernels underneath, and the points module that
    the latter two chose: ed25519_point, if the kernels did not pass its check.
    """

    def __init__(self, run: Kernel, compress: Kernel) -> None:
        name = f"cairn_native_{next(_numbers)}"
        package = ModuleType(name)
        package.__path__ = list(cairn.__path__)
        sys.modules[name] = package
        for module, contents in (
            ("field25519_viper", {"run": run}),
            ("sha512_viper", {"compress": compress, "WORK_BYTES": SHA512_WORK_BYTES}),
        ):
            stand_in = ModuleType(f"{name}.{module}")
            vars(stand_in).update(contents)
            sys.modules[stand_in.__name__] = stand_in
        self.sha512: Any = import_module(f"{name}.sha512")
        vars(self.sha512)["sha512"] = self.sha512.Sha512  # as where hashlib has none
        self.ed25519: Any = import_module(f"{name}.ed25519")
        self.verify: Any = import_module(f"{name}.ed25519_verify")
        self.points: Any = self.ed25519.points


def kernel_source(name: str) -> Path:
    """The file of a viper module of the firmware."""
    return Path(next(iter(cairn.__path__))) / f"{name}.py"
