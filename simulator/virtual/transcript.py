"""What a board printed, and at which of MicroPython's two prompts it is."""

import re
import threading
import time

from simulator.virtual.interpreter import Interpreter

_KEPT_BYTES = 1 << 20
_TAIL_BYTES = 64
_RAW, _FRIENDLY = b"raw REPL; CTRL-B to exit", b'Type "help()" for more information'
_FRIENDLY_PROMPT, _RAW_PROMPT = b">>> ", b"exit\r\n>"
_CTRL_A = b"\x01"
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n")


class Transcript:
    """raw_prompt: whether the last prompt was the raw one. After a soft reset there it comes
    again; the unix port starts with the other, so it is brought there, and nobody sees that.
    """

    def __init__(self) -> None:
        self.raw_prompt = self._raw_wanted = False
        self._kept = bytearray()
        self._dropped = 0
        self._changed = threading.Condition()
        self._tail = b""
        self._hidden: bytes | None = None
        self._switching = False

    def since(self, position: int) -> tuple[int, str]:
        """The position now, and the text from there; what is older than a megabyte is gone."""
        with self._changed:
            start = max(0, position - self._dropped)
            end = self._dropped + len(self._kept)
            return end, self._kept[start:].decode(errors="replace")

    def printed(self, data: bytes) -> None:
        with self._changed:
            self._kept += data
            over = max(0, len(self._kept) - _KEPT_BYTES)
            del self._kept[:over]
            self._dropped += over
            self._changed.notify_all()

    def wait_for(self, text: str, timeout_s: float, position: int) -> bool:
        end = time.monotonic() + timeout_s
        with self._changed:
            while text not in self.since(position)[1]:
                left = end - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return text in self.since(position)[1]
            return True

    def begin(self, *, raw: bool) -> None:
        """A new life of the interpreter."""
        self.raw_prompt = self._raw_wanted = raw
        self._tail, self._hidden = b"", None

    def programs_ended(self, interpreter: Interpreter) -> None:
        """What comes now is the prompt."""
        if self._raw_wanted:
            interpreter.hold()
            self._raw_wanted = False
            self._hidden, self._switching = b"", False

    def from_program(self, data: bytes, interpreter: Interpreter) -> bytes:
        """The same with the line ends that the chip's console has."""
        if self._hidden is not None:
            data = self._unhidden(data, interpreter)
        if not data:
            return data
        halved = self._tail.endswith(b"\r") and data.startswith(b"\n")
        data = _BARE_NEWLINE.sub(b"\r\n", data)[1 if halved else 0 :]
        seen = self._tail + data
        raw, friendly = seen.rfind(_RAW), seen.rfind(_FRIENDLY)
        if raw != friendly:
            self.raw_prompt = raw > friendly
        self._tail = seen[-_TAIL_BYTES:]
        return data

    def _unhidden(self, data: bytes, interpreter: Interpreter) -> bytes:
        assert self._hidden is not None
        self._hidden += data
        if not self._switching and _FRIENDLY_PROMPT in self._hidden:
            self._switching, self._hidden = True, b""
            interpreter.poke(_CTRL_A)
        if not self._switching or _RAW_PROMPT not in self._hidden:
            return b""
        shown = self._hidden[self._hidden.index(_RAW) :]
        self._hidden = None
        interpreter.resume()
        return shown
