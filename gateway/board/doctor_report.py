"""What the doctor of a board says: one finding for each link of the chain, in its order.

The JSON form is a contract (spec/board-doctor.schema.json): names, states and codes never change
their meaning. It knows neither boards nor gateways.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Link(StrEnum):
    """From the cable to the first accepted reading. What comes later needs what comes before."""

    SERIAL = "serial"
    FIRMWARE = "firmware"
    SENSORS = "sensors"
    WIFI = "wifi"
    DNS = "dns"
    BROKER = "broker"
    TLS = "tls"
    CLOCK = "clock"
    SIGNATURE = "signature"
    REGISTRY = "registry"
    READING = "reading"


# A station without a working sensor still connects, is registered and proves coverage.
NOT_BLOCKING = frozenset({Link.SENSORS})


class State(StrEnum):
    PASSED = "PASSED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


# Nothing was found out about the board: the computer cannot get at it, or at the gateway.
UNREACHED = frozenset(
    {
        "gateway_unreached",
        "port_absent",
        "port_busy",
        "port_denied",
        "port_lost",
        "port_many",
        "repl_silent",
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One link: what was seen, why that matters, the next command, a stable code if it failed.

    facts: values that a program may use, by name; never a secret, never a password.
    """

    link: Link
    state: State
    what: str
    why: str = ""
    do: str = ""
    code: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "name": self.link.value,
            "state": self.state.value,
            "detail": self.what,
            "why": self.why,
            "do": self.do,
            "code": self.code or None,
            "facts": dict(self.facts),
        }


def passed(link: Link, what: str, why: str = "", **facts: Any) -> Finding:
    return Finding(link, State.PASSED, what, why, facts=facts)


def failed(link: Link, code: str, what: str, why: str, do: str, **facts: Any) -> Finding:
    return Finding(link, State.FAILED, what, why, do, code, facts)


def skipped(link: Link, what: str, why: str = "", do: str = "") -> Finding:
    return Finding(link, State.SKIPPED, what, why, do)


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of one visit. station: its name, as soon as somebody told it."""

    findings: Sequence[Finding]
    station: str | None = None
    gateway: str | None = None

    @property
    def blocker(self) -> Finding | None:
        """The first broken link; what follows it was not looked at."""
        return first_blocker(self.findings)

    @property
    def failures(self) -> list[Finding]:
        return [one for one in self.findings if one.state is State.FAILED]

    def exit_code(self) -> int:
        """0 all well, 1 something is broken, 3 the doctor could not get at it."""
        if not self.failures:
            return 0
        blocker = self.blocker
        return 3 if blocker is not None and blocker.code in UNREACHED else 1

    def document(self) -> dict[str, Any]:
        blocker = self.blocker
        return {
            "ok": not self.failures,
            "station": self.station,
            "gateway": self.gateway,
            "blocker": None if blocker is None else blocker.link.value,
            "links": [one.document() for one in self.findings],
        }


def first_blocker(findings: Sequence[Finding]) -> Finding | None:
    for one in findings:
        if one.state is State.FAILED and one.link not in NOT_BLOCKING:
            return one
    return None
