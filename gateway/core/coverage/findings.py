"""What coverage tells a station's owner beside the numbers, and who stands beside whom.

spec/coverage.md section 10. Findings explain; no pay is computed from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.core.coverage.model import Heard, Link, StationCoverage
from gateway.core.coverage.rows import LORA
from gateway.core.epoch_inputs import Finding
from gateway.core.rules import PPM, CoverageRules
from gateway.core.verdicts import Verdict

_EXAMPLES = 2
# Free space takes 94 dB over 500 m at 2.4 GHz; 6 dB are left for antennas.
PROXIMITY_NEAR_CDB = -8_800


def refused_rows(heard: Iterable[Heard]) -> dict[bytes, list[Finding]]:
    """Return, by witness, how many of its rows were refused for what, and two messages each."""
    counts: dict[tuple[bytes, Verdict], int] = {}
    ids: dict[tuple[bytes, Verdict], set[bytes]] = {}
    for row, _, _, verdict in heard:
        if verdict is not Verdict.HEARD:
            key = (row.witness, verdict)
            counts[key] = counts.get(key, 0) + 1
            ids.setdefault(key, set()).add(row.message_id)
    findings: dict[bytes, list[Finding]] = {}
    for witness, verdict in sorted(counts):
        examples = tuple(sorted(ids[witness, verdict])[:_EXAMPLES])
        finding = Finding(verdict, counts[witness, verdict], examples)
        findings.setdefault(witness, []).append(finding)
    return findings


def co_located(links: Iterable[Link], rules: CoverageRules) -> frozenset[tuple[bytes, bytes]]:
    """Return the pairs that stand side by side: each must have heard the other.

    So loudly that no antenna could do it over a slot's distance; whatever the links weigh, and
    also where the level contradicts the claimed cells.
    """
    near = {(link.beaconer, link.witness) for link in links if _is_near(link, rules)}
    return frozenset((a, b) for a, b in near if a < b and (b, a) in near)


def with_findings(
    station: StationCoverage,
    given: Iterable[Finding],
    heard_of: Iterable[Link],
    partners: int,
    rules: CoverageRules,
) -> StationCoverage:
    """Return the station with `given` and what its numbers show, ascending by verdict.

    heard_of: every LoRa link that heard it; partners: how many stations stand beside it.
    """
    shown = _shown(station, [link for link in heard_of if link.heard], partners, rules)
    findings = (*given, *(Finding(verdict, count, ()) for verdict, count in shown))
    ordered = sorted(findings, key=lambda one: (one.verdict, one.count, one.examples))
    return station._replace(findings=tuple(ordered))


def _shown(
    station: StationCoverage, heard_of: list[Link], partners: int, rules: CoverageRules
) -> Iterator[tuple[Verdict, int]]:
    if station.expected and not heard_of:
        yield Verdict.NOT_HEARD, station.expected
    elif heard_of and station.witness_ppm < rules.witnesses_full * PPM:
        yield Verdict.FEW_WITNESSES, station.witnesses
    if heard_of and station.hops is None:
        yield Verdict.NO_ANCHOR_PATH, len(heard_of)
    if station.place is not None and station.place.verdict is not Verdict.PLACE_PLAUSIBLE:
        yield station.place.verdict, station.place.observations
    if partners:
        yield Verdict.CO_LOCATED, partners


def _is_near(link: Link, rules: CoverageRules) -> bool:
    if not link.heard and link.verdict is not Verdict.BEYOND_FREE_SPACE:
        return False
    limit_cdb = rules.co_located_cdb if link.radio == LORA else PROXIMITY_NEAR_CDB
    return link.excess_cdb >= limit_cdb
