"""Keeps esptool from printing: its log goes to an object of ours, and with it its progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gateway.board.ports import tools_missing

Told = Callable[[int, int], None]


@contextmanager
def quiet(told: Told | None = None) -> Iterator[None]:
    """Nothing that esptool says is printed; told: hears (done, total) of what it writes."""
    try:
        from esp_pylib.logger import EspLog
    except ImportError as error:
        raise tools_missing("esptool") from error
    before = EspLog.instance
    EspLog.instance = _log(told)
    try:
        yield
    finally:
        EspLog.instance = before


def _log(told: Told | None) -> Any:
    from esp_pylib.logger import EspLogBase

    class Silent(EspLogBase):  # type: ignore[misc, unused-ignore]
        """Says nothing. Arguments are as esptool gives them."""

        def print(self, *_args: Any, **_kwargs: Any) -> None: ...

        def err(self, *_args: Any, suggestion: str | None = None) -> None: ...

        def warn(self, *_args: Any, suggestion: str | None = None) -> None: ...

        def warning(self, *_args: Any, suggestion: str | None = None) -> None: ...

        def error(self, *_args: Any, suggestion: str | None = None) -> None: ...

        def note(self, *_args: Any) -> None: ...

        def hint(self, *_args: Any) -> None: ...

        def debug(self, *_args: Any) -> None: ...

        def set_verbosity(self, mode: int | str) -> None: ...

        def progress_bar(self, cur_iter: int, total_iters: int, *_args: Any, **_: Any) -> None:
            if told is not None:
                told(cur_iter, total_iters)

    return Silent()
