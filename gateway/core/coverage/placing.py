"""Whose word counts in the place test of a station: spec/coverage.md section 7.

The test itself is place.py's. Here it is decided which links become observations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gateway.core.coverage.independence import path_key
from gateway.core.coverage.model import Link, Member, Observation, PlaceResult
from gateway.core.coverage.place import judge_place, witness_offsets
from gateway.core.coverage.radio import RadioTables
from gateway.core.rules import PlaceRules
from gateway.core.verdicts import Verdict


def judge_places(
    members: Mapping[bytes, Member],
    independent: Sequence[Link],
    levels: Mapping[bytes, int],
    rules: PlaceRules,
    tables: RadioTables,
) -> dict[bytes, PlaceResult]:
    """Return the place test of every fine station that somebody independent heard.

    independent: the LoRa links of weight above 0; levels: of all stations with a path, places not
    yet considered. Where one of these heard the station, they alone are asked: strangers, however
    many, then neither help a claim nor harm it. Where none did, strangers can cause a review.
    """
    inner = [link for link in independent if link.beaconer in levels and link.witness in levels]
    # A stranger's beacons must not bend the offset by which an honest witness is read.
    offsets = witness_offsets(inner, rules, tables)
    offsets_of_all = witness_offsets(independent, rules, tables)
    places = {}
    for beaconer, links in by_beaconer(independent).items():
        claim = members[beaconer].centre
        known = [link for link in links if link.witness in levels]
        if not members[beaconer].fine:
            continue
        if any(link.heard for link in known):
            heard = _observations(known, members, offsets)
            places[beaconer] = judge_place(claim, heard, rules, tables)
        elif any(link.heard for link in links):
            heard = _observations(links, members, offsets_of_all)
            places[beaconer] = _of_strangers(judge_place(claim, heard, rules, tables))
    return places


def by_beaconer(links: Iterable[Link]) -> dict[bytes, list[Link]]:
    """Return the links in groups, each in the order in which they came."""
    groups: dict[bytes, list[Link]] = {}
    for link in links:
        groups.setdefault(link.beaconer, []).append(link)
    return groups


def _observations(
    links: Iterable[Link], members: Mapping[bytes, Member], offsets: Mapping[bytes, int]
) -> list[Observation]:
    """Return one observation for each owner (each anchor), ascending by witness.

    The test tolerates one liar; an owner of two stations would be two. Of an owner's links the
    one that says most is taken.
    """
    best: dict[bytes, Link] = {}
    for link in sorted(links, key=lambda link: (-link.heard, -link.silent, link.witness)):
        best.setdefault(path_key(members[link.witness]), link)
    return [
        Observation(
            link.witness,
            members[link.witness].centre,
            link.excess_cdb,
            link.heard,
            link.silent,
            offsets.get(link.witness, 0),
        )
        for link in sorted(best.values())
    ]


def _of_strangers(place: PlaceResult) -> PlaceResult:
    if place.verdict is Verdict.PLACE_IMPLAUSIBLE:
        return place._replace(verdict=Verdict.PLACE_REVIEW)
    return place
