"""Following a station from its start to its first accepted reading: what changes on which link.

Pure: console lines and looks of the gateway in, changes out, each told once. It waits for
nothing and knows no port.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.board import station_codes
from gateway.board.doctor_gateway import refusals, utc
from gateway.board.doctor_report import Link, State
from gateway.board.doctor_sides import (
    REGISTERED,
    WAITING,
    Accepted,
    DeviceLook,
    Refusal,
    Unreached,
)

# Whatever the gateway has judged came all of this way.
_THE_WAY = (Link.WIFI, Link.DNS, Link.BROKER, Link.TLS, Link.SIGNATURE)


@dataclass(frozen=True, slots=True)
class Change:
    """What a link came to. state None: something was said that nobody has to mend."""

    link: Link
    state: State | None
    what: str
    do: str = ""
    code: str = ""

    def document(self) -> dict[str, str | None]:
        return {
            "name": self.link.value,
            "state": None if self.state is None else self.state.value,
            "detail": self.what,
            "do": self.do,
            "code": self.code or None,
        }


class Follower:
    """One station of one run. before: what the gateway knew of it when the run began; accepted:
    its first reading since; changes: all that was told.
    """

    def __init__(self, name: str, before: DeviceLook | Unreached) -> None:
        self._name = name
        known = None if isinstance(before, Unreached) else before
        self._last_ms = None if known is None else known.last_ms
        self._reading = None if known is None else known.reading
        self._refused = [] if known is None else refusals(known)
        self._states: dict[Link, State] = {}
        self._told: set[tuple[Link, str]] = set()
        self.accepted: Accepted | None = None
        self.changes: list[Change] = []

    def line(self, text: str) -> Sequence[Change]:
        """A line of the console."""
        told = station_codes.told(text)
        known = None if told is None else station_codes.explained(told[0])
        if told is None or known is None:
            return ()
        code, detail = told
        what = f"{known.what} ({detail})" if detail else known.what
        if not station_codes.stops(code):
            return self._once(Change(known.link, None, what, "", code))
        return self._once(Change(known.link, State.FAILED, what, known.do, code))

    def look(self, look: DeviceLook | Unreached) -> Sequence[Change]:
        """What the gateway knows now."""
        if isinstance(look, Unreached):
            what = f"This computer gets no answer from the gateway at {look.url}: {look.why}"
            do = "`cairn gateway doctor` on its machine says what it lacks."
            return self._once(Change(Link.REGISTRY, None, what, do, "gateway_unreached"))
        changes: list[Change] = []
        if look.state == WAITING:
            do = f"`cairn station approve {self._name}` on the gateway's machine."
            what = "The gateway has heard it and waits for its operator."
            changes += self._once(Change(Link.REGISTRY, State.FAILED, what, do, "device_waiting"))
        if look.state == REGISTERED and look.last_ms not in {None, self._last_ms}:
            for link in _THE_WAY:
                changes += self._passed(link, "a message came through")
            changes += self._passed(Link.REGISTRY, "registered")
            # One message passes a link once: what the board complains of after it still holds.
            self._last_ms = look.last_ms
        for one in refusals(look):
            if one not in self._refused:
                changes += self._refusal(look, one)
        if look.reading not in {None, self._reading} and self.accepted is None:
            assert look.reading is not None
            self.accepted = look.reading
            what = f"accepted at {utc(look.reading.recv_ms)}, {look.reading.message_id}"
            changes += self._passed(Link.READING, what)
        return changes

    def _refusal(self, look: DeviceLook, refusal: Refusal) -> Sequence[Change]:
        self._refused.append(refusal)
        first = look.state != REGISTERED
        link = Link.REGISTRY if first else Link.READING
        code = "device_refused" if first else "reading_refused"
        what = f"The gateway refused a message: {refusal.verdict}. {refusal.what}"
        return self._tell(Change(link, State.FAILED, what, refusal.do, code))

    def _passed(self, link: Link, what: str) -> Sequence[Change]:
        if self._states.get(link) is State.PASSED:
            return ()
        # What it complains of from now on is news.
        self._told = {one for one in self._told if one[0] is not link}
        return self._tell(Change(link, State.PASSED, what))

    def _once(self, change: Change) -> Sequence[Change]:
        """One code of a link is told once, until that link has been passed."""
        if (change.link, change.code) in self._told:
            return ()
        self._told.add((change.link, change.code))
        return self._tell(change)

    def _tell(self, change: Change) -> Sequence[Change]:
        if change.state is not None:
            self._states[change.link] = change.state
        self.changes.append(change)
        return (change,)
