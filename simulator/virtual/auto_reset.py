"""The two transistors between a USB bridge's DTR and RTS and the chip's EN and IO0, and the
capacitor at EN, without which no tool could bring a chip into download mode: EN rises late.
"""

from collections.abc import Callable


class AutoReset:
    """hold: EN falls. release: EN has risen, with IO0 low or not. later: calls back when the
    capacitor is full.
    """

    def __init__(
        self,
        hold: Callable[[], None],
        release: Callable[[bool], None],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._hold, self._release, self._later = hold, release, later
        self._held = False
        self._turn = 0

    def changed(self, dtr: bool, rts: bool) -> None:  # noqa: FBT001 - two wires
        """Both lines equal: neither transistor conducts."""
        self._turn += 1
        if rts and not dtr:
            if not self._held:
                self._held = True
                self._hold()
        elif self._held and not rts:
            self._held = False
            self._release(dtr)
        elif self._held:
            # Half way from reset to download mode, or what a host leaves when it opens a port.
            turn = self._turn
            self._later(lambda: self._charged(turn))

    def _charged(self, turn: int) -> None:
        if self._held and turn == self._turn:
            self._held = False
            self._release(False)  # noqa: FBT003
