"""firmware/launch.py on CPython, with any disk under it."""

import importlib.util
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

LAUNCH = Path(__file__).parents[3] / "firmware" / "launch.py"


class _Written(io.BytesIO):
    def __init__(self, disk: Any, name: str) -> None:
        super().__init__()
        self._disk, self._name = disk, name

    def __exit__(self, *_: object) -> None:
        self._disk.put(self._name, self.getvalue())


def loader(disk: Any) -> Any:
    """firmware/launch.py with this disk under it: a module of its own each time."""

    def opened(path: str, mode: str) -> io.BytesIO:
        name = path.lstrip("/")
        if mode == "wb":
            return _Written(disk, name)
        data = disk.read(name)
        if data is None:
            raise OSError(2, path)
        return io.BytesIO(data)

    spec = importlib.util.spec_from_file_location("launch", LAUNCH)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.open = opened
    module.os = SimpleNamespace(
        rename=lambda name, to: disk.rename(name.lstrip("/"), to.lstrip("/"))
    )
    return module
