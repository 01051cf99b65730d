"""Frames of several radios on their way to radio_receive(): bounded, and honest about loss."""

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

    from .base import Event

    # radio, channel, rssi_cdbm, snr_cdb, ticks_ms, frame
    Frame = tuple[int, int, int, int | None, int, bytes]

FRAMES_MAX = 16
FRAME_BYTES_MAX = 64


class FrameQueue:
    """One task puts per radio, one gets."""

    def __init__(self, event: "Callable[[], Event]") -> None:
        self._frames: "list[Frame]" = []
        self._fault = ""
        self._arrived = event()

    def put(self, frame: "Frame") -> None:
        """Add a frame; one too many, or one that is longer than any beacon, is left out."""
        if len(frame[5]) > FRAME_BYTES_MAX:
            return
        if len(self._frames) == FRAMES_MAX:
            self.fail("frames were lost")
            return
        self._frames.append(frame)
        self._arrived.set()

    def fail(self, why: str) -> None:
        """Something may not have been heard: get() says so once."""
        self._fault = why
        self._arrived.set()

    async def get(self) -> "Frame":
        """The next frame; OSError after a loss, when what was heard before it is taken."""
        while not self._frames:
            if self._fault:
                why, self._fault = self._fault, ""
                raise OSError(why)
            self._arrived.clear()
            await self._arrived.wait(None)
        return self._frames.pop(0)
