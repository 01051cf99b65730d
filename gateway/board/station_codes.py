"""The codes that a board tells on its console or answers with, and what to do about each.

The table is station_codes.toml beside this file. It knows nothing of how a code came here.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gateway.board.doctor_report import Link

# Families that stop no reading: what was refused, a second clock, beacons, the next release.
_BESIDE = ("downlink.", "radio.", "sntp.", "update.")
_LINE = re.compile(r"cairn: ([a-z_]+(?:\.[a-z0-9_]+)?): ?(.*)")


@dataclass(frozen=True, slots=True)
class StationCode:
    """link: that of the chain which the code is about."""

    link: Link
    what: str
    do: str

    @property
    def idle(self) -> bool:
        """Whether nobody has to do anything."""
        return not self.do or self.do.startswith("Nothing")


@cache
def station_codes() -> dict[str, StationCode]:
    """Every code by name; `family.*` for the rest of a family."""
    text = Path(__file__).with_name("station_codes.toml").read_text("utf-8")
    return {
        code: StationCode(Link(row["link"]), row["what"], row["do"])
        for row in tomllib.loads(text)["code"]
        for code in row["codes"]
    }


def explained(code: str) -> StationCode | None:
    """What the table says of a code; None for one that no board of ours tells."""
    known = station_codes()
    return known.get(code) or known.get(code.split(".", 1)[0] + ".*")


def stops(code: str) -> bool:
    """Whether a board that tells this may send no readings, and a person can mend it."""
    known = explained(code)
    return known is not None and not known.idle and not code.startswith(_BESIDE)


def told(line: str) -> tuple[str, str] | None:
    """(code, detail) of a line of the console, None if it is no report of ours."""
    found = _LINE.match(line.strip())
    return None if found is None else (found[1], found[2].strip())
