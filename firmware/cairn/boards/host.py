"""A station without a microcontroller: CPython or MicroPython with asyncio and a file system.

For tests, for a computer that has sensors of its own, and as the pattern for other boards. The
sensors come in as `samples`; there is no radio, no watchdog and no battery-backed clock.
"""

from .asyncio_base import AsyncioBoard, AsyncioEvent, AsyncioStream
from .base import Files
from .directory_files import DirectoryFiles

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Sample = list[tuple[int, int, int, int | None, int]]

__all__ = ("DirectoryFiles", "HostBoard", "HostEvent", "HostStream", "MemoryFiles")

HostEvent = AsyncioEvent
HostStream = AsyncioStream


class MemoryFiles(Files):
    """Files that last as long as the object."""

    def __init__(self) -> None:
        self._content: "dict[str, bytearray]" = {}

    def read(self, name: str) -> "bytes | None":
        content = self._content.get(name)
        return None if content is None else bytes(content)

    def write(self, name: str, data: bytes) -> None:
        self._content[name] = bytearray(data)

    def append(self, name: str, data: bytes) -> None:
        self._content.setdefault(name, bytearray()).extend(data)

    def remove(self, name: str) -> None:
        self._content.pop(name, None)

    def names(self, prefix: str) -> "list[str]":
        return sorted([name for name in self._content if name.startswith(prefix)])


class HostBoard(AsyncioBoard):
    """samples: a coroutine function that measures once. restarted: called with the reason when
    the node asks for a restart or one of its tasks ends with an error.
    """

    def __init__(
        self,
        files: Files,
        samples: "Callable[[], Awaitable[Sample]]",
        restarted: "Callable[[str], None]",
    ) -> None:
        super().__init__(files, b"host")
        self._samples = samples
        self._restarted = restarted

    async def sample(self) -> "Sample":
        return await self._samples()

    def radio_send(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> "bool | None":
        """No radio."""

    async def radio_receive(self) -> "tuple[int, int, int, int | None, int, bytes] | None":
        return None

    def feed(self) -> None:
        """There is no watchdog."""

    def restart(self, reason: str) -> None:
        self.stop()
        self._restarted(reason)

    def info(self) -> "tuple[int, int, int | None, int | None]":
        return 0, 0, None, None

    def stop(self) -> None:
        """End every task of this boot."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []
