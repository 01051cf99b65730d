"""Who lied in a simulated fleet, whether the network noticed, and what it paid them.

The fleet knows who lies, the station table what was found; here the two are put side by side.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.cli.stations import tokens
from gateway.core.epoch_inputs import StationRow
from gateway.core.ids import device_name
from gateway.core.verdicts import Verdict
from simulator.fleet import Liar

_PLACE = frozenset({Verdict.PLACE_IMPLAUSIBLE, Verdict.PLACE_UNPROVEN, Verdict.FEW_WITNESSES})
_UNHEARD = frozenset({Verdict.NO_ANCHOR_PATH, Verdict.NOT_HEARD, Verdict.NO_COMMIT})
_COPY = frozenset({Verdict.COPIED, Verdict.PEERS_DISAGREE, Verdict.POST_RELEASE})
_REPORT = frozenset(
    {
        Verdict.UNKNOWN_TAG,
        Verdict.REPEATED_ROW,
        Verdict.WRONG_SLOT,
        Verdict.WRONG_DELAY,
        Verdict.BEYOND_FREE_SPACE,
        Verdict.BELOW_SENSITIVITY,
        Verdict.SNR_INCOHERENT,
    }
)
# By attack: the verdicts that give it away. An attack that is not here is never called caught.
TELLING: Mapping[str, frozenset[Verdict]] = {
    "location_lie_1km": frozenset({Verdict.PLACE_IMPLAUSIBLE}),
    "location_lie_3km": frozenset({Verdict.PLACE_IMPLAUSIBLE}),
    "location_lie_10km": _PLACE | _UNHEARD,
    "location_lie_50km": _PLACE | _UNHEARD,
    "lone_pair": _UNHEARD | _PLACE,
    "ring": _UNHEARD | _PLACE,
    "unproven_keys": _UNHEARD,
    "wormhole": _REPORT | _PLACE | _UNHEARD,
    "rssi_forgery": _REPORT,
    "replayed_reports": _REPORT,
    "key_clone": frozenset({Verdict.CLONE, Verdict.FORKED}),
    "forecast_copy": _COPY,
    "frozen": frozenset({Verdict.FLAT_LINE}),
    "clone_neighbour": _COPY,
    "backfill": _COPY,
}
# What says of a station that it lies; a broken sensor or a poor antenna is no lie.
ACCUSING = frozenset(
    {
        Verdict.PLACE_IMPLAUSIBLE,
        Verdict.COPIED,
        Verdict.PEERS_DISAGREE,
        Verdict.CLONE,
        Verdict.FORKED,
    }
)
COLUMNS = ("liar", "what it tried", "caught by", "paid", "honest neighbour")
NUMBERS = ("paid", "honest neighbour")


@dataclass(frozen=True, slots=True)
class Exposed:
    """One liar. verdicts: those that give its attack away, none if it was not caught.

    paid, neighbour_paid: base units of the epoch; neighbour: the nearest honest station with a
    slot, None if there is none.
    """

    liar: Liar
    verdicts: tuple[Verdict, ...]
    paid: int
    neighbour: bytes | None
    neighbour_paid: int


def expose(liars: Iterable[Liar], stations: Sequence[StationRow]) -> list[Exposed]:
    """Return every liar with what became of it."""
    liars = list(liars)
    rows = {row.device: row for row in stations}
    false = {bytes.fromhex(liar.device) for liar in liars}
    honest = [row for row in stations if row.device not in false and row.holder]
    return [_exposed(liar, rows.get(bytes.fromhex(liar.device)), honest) for liar in liars]


def false_alarms(liars: Iterable[Liar], stations: Iterable[StationRow]) -> list[StationRow]:
    """Return the honest stations that something said to lie."""
    false = {bytes.fromhex(liar.device) for liar in liars}
    return [row for row in stations if row.device not in false and verdicts_of(row) & ACCUSING]


def verdicts_of(row: StationRow) -> set[Verdict]:
    """Return every verdict of a station's epoch: findings and penalties."""
    penalties = (p.verdict for quality in row.quantities for p in quality.penalties)
    return {*(finding.verdict for finding in row.findings), *penalties}


def exposed_cells(one: Exposed) -> list[str]:
    """One line of the table of liars."""
    caught = ", ".join(verdict.name.lower() for verdict in one.verdicts)
    neighbour = "-" if one.neighbour is None else tokens(one.neighbour_paid)
    return [
        device_name(bytes.fromhex(one.liar.device)),
        one.liar.tries,
        caught or "NOT CAUGHT",
        tokens(one.paid),
        neighbour,
    ]


def exposed_json(one: Exposed) -> dict[str, Any]:
    """The same as an object; amounts in base units as decimal strings."""
    return {
        "station": device_name(bytes.fromhex(one.liar.device)),
        "attack": one.liar.attack,
        "tries": one.liar.tries,
        "caught": bool(one.verdicts),
        "verdicts": [verdict.name.lower() for verdict in one.verdicts],
        "paid": str(one.paid),
        "neighbour": None if one.neighbour is None else device_name(one.neighbour),
        "neighbour_paid": str(one.neighbour_paid),
    }


def _exposed(liar: Liar, row: StationRow | None, honest: Sequence[StationRow]) -> Exposed:
    if row is None:
        return Exposed(liar, (), 0, None, 0)
    found = sorted(verdicts_of(row) & TELLING.get(liar.attack, frozenset()))
    nearest = min(honest, key=lambda other: _apart(row, other), default=None)
    if nearest is None:
        return Exposed(liar, tuple(found), row.paid, None, 0)
    return Exposed(liar, tuple(found), row.paid, nearest.device, nearest.paid)


def _apart(one: StationRow, other: StationRow) -> tuple[int, bytes]:
    """An order by distance that is good enough to find a neighbour by."""
    # A degree of longitude is shorter, by 0.6 in the demo's town; the id breaks ties.
    north, east = one.centre[0] - other.centre[0], (one.centre[1] - other.centre[1]) * 6 // 10
    return north * north + east * east, other.device
