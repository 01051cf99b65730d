"""Finds what is wrong with a gateway, running or not: independent checks with what to do.

A check whose ground another one found broken is skipped, so that one fault is one finding.
Nothing here changes anything, apart from one small file that is written and removed again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.shell import doctor_checks as checks
from gateway.shell.doctor_checks import Examined, Failed, Passed, Skipped
from gateway.shell.settings import Loaded


class Status(StrEnum):
    PASSED = "PASSED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was seen, why that matters or what it is, and the next command."""

    name: str
    status: Status
    what: str
    why: str = ""
    do: str = ""


# In order; each with the checks whose failure would make it say the same thing again.
_CHECKS: tuple[tuple[str, Callable[[Examined], Passed | Skipped], tuple[str, ...]], ...] = (
    ("network", checks.network, ()),
    ("keys", checks.keys, ("network",)),
    ("disk", checks.disk, ("network",)),
    ("database", checks.database, ("network", "disk")),
    ("clock", checks.clock, ("network",)),
    ("gateway", checks.gateway, ("network",)),
    ("mqtt", checks.mqtt, ("gateway",)),
    ("entropy", checks.entropy, ("gateway", "mqtt")),
    ("stations", checks.stations, ("database", "clock", "gateway", "mqtt")),
)


def examine(loaded: Loaded) -> list[Finding]:
    """Run every check."""
    seen = Examined(loaded)
    findings: list[Finding] = []
    broken: set[str] = set()
    try:
        for name, check, grounds in _CHECKS:
            finding = _run(name, check, seen, sorted(broken.intersection(grounds)))
            findings.append(finding)
            if finding.status is Status.FAILED or broken.intersection(grounds):
                broken.add(name)
    finally:
        seen.close()
    return findings


def _run(
    name: str, check: Callable[[Examined], Passed | Skipped], seen: Examined, broken: list[str]
) -> Finding:
    if broken:
        return Finding(name, Status.SKIPPED, "not looked at", f"first mend: {', '.join(broken)}")
    try:
        found = check(seen)
    except Failed as failed:
        return Finding(name, Status.FAILED, failed.what, failed.why, failed.do)
    status = Status.PASSED if isinstance(found, Passed) else Status.SKIPPED
    return Finding(name, status, found.what, found.why, found.do)
