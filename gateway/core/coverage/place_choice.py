"""Which links a place is judged by, and how loud each really was. spec/place.md section 3."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from gateway.core.coverage.model import Link, Observation
from gateway.core.coverage.place_grid import squared, to_plane
from gateway.core.coverage.place_model import Links, mean_loss_cdb, spread_cdb
from gateway.core.coverage.radio import Ints, RadioTables
from gateway.core.geometry import Point
from gateway.core.rules import PlaceRules

LORA = 0
_LOUDEST = 5
_LEVEL_MAX_CDB = 25_000
_DISTANCE_MAX_M = 2**26
# Misses of a link that is this much above the threshold are collisions.
_NEAR_AUDIBLE_CDB = 1_500
# Links that halve the trust in a witness's own offset: the variance of a median of m residuals
# (pi/2 * 9.5^2 / m dB^2) against that of the offsets themselves (4^2 dB^2).
_OFFSET_LINKS_HALF = 9


def own_offsets(links: Sequence[Link], rules: PlaceRules, tables: RadioTables) -> dict[bytes, int]:
    """Return by witness how much more it hears than the mean model, in cdB (place.py)."""
    used = [link for link in links if link.radio == LORA and link.heard and link.weight_ppm > 0]
    if not used:
        return {}
    distance = np.array([min(link.distance_m, _DISTANCE_MAX_M) for link in used], dtype=np.int64)
    loss = mean_loss_cdb(distance * distance, rules, tables)
    residuals: dict[bytes, list[int]] = defaultdict(list)
    for link, decibels in zip(used, loss.tolist(), strict=True):
        residuals[link.witness].append(level_cdb(link, rules) + decibels)
    own = {witness: _median(values) for witness, values in residuals.items()}
    common = _median(list(own.values()))
    offsets = {}
    for witness in sorted(residuals):
        links_heard = len(residuals[witness])
        drawn = (own[witness] - common) * links_heard // (links_heard + _OFFSET_LINKS_HALF)
        offsets[witness] = max(
            -rules.witness_offset_max_cdb, min(rules.witness_offset_max_cdb, common + drawn)
        )
    return offsets


def _median(values: list[int]) -> int:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[-1 - middle]) // 2


def choose(
    claim: Point, observations: Sequence[Observation], rules: PlaceRules, tables: RadioTables
) -> list[Observation]:
    """Return the observations to use, heard ones first, each part ascending by witness.

    A third of the room is for the witnesses nearest to the claim, who can best contradict it, a
    third for the loudest, who are nearest to the truth, and a third is drawn by a hash over all
    that the day's witnesses said, which nobody knows before the last of them has spoken.
    """
    ordered = sorted(observations)
    heard = [one for one in ordered if one.heard > 0]
    silent = [one for one in ordered if one.heard <= 0 and one.silent >= rules.silent_min]
    usable = heard + _within_reach(claim, heard, silent, rules, tables)
    if len(usable) <= rules.observations_max:
        return usable
    links = as_links(claim, usable, rules, tables)
    salt = _salt(ordered)
    near = squared(np.zeros((1, 2), np.int64), links.places)[0]
    rankings = (
        np.argsort(near, kind="stable").tolist(),
        np.argsort(-links.level_cdb[: links.heard], kind="stable").tolist(),
        sorted(
            range(len(usable)), key=lambda i: hashlib.sha256(salt + usable[i].witness).digest()
        ),
    )
    kept: set[int] = set()
    for taken, ranking in enumerate(rankings):
        room = (rules.observations_max - len(kept)) // (len(rankings) - taken)
        kept.update([i for i in ranking if i not in kept][:room])
    return [usable[i] for i in sorted(kept)]


def _salt(ordered: list[Observation]) -> bytes:
    said = hashlib.sha256()
    for one in ordered:
        numbers = (*one.centre, one.excess_cdb, one.heard, one.silent, one.offset_cdb)
        said.update(one.witness + ",".join(map(str, numbers)).encode() + b";")
    return said.digest()


def _within_reach(
    claim: Point,
    heard: list[Observation],
    silent: list[Observation],
    rules: PlaceRules,
    tables: RadioTables,
) -> list[Observation]:
    """Return the silent ones that should hear a station at the claim, or one amid the loudest
    witnesses, if they are a standard deviation lucky; the silence of the others says nothing.
    """
    if not heard or not silent:
        return []
    centres = np.stack([np.zeros(2, np.int64), loudest(as_links(claim, heard, rules, tables))])
    towards = squared(centres, to_plane(claim, [one.centre for one in silent], tables))
    offsets = np.array([one.offset_cdb for one in silent], dtype=np.int64)
    expected = offsets - mean_loss_cdb(towards, rules, tables).min(axis=0)
    reached = expected + spread_cdb(rules) >= rules.audible_cdb
    return [one for one, near in zip(silent, reached.tolist(), strict=True) if near]


def as_links(
    claim: Point, chosen: Sequence[Observation], rules: PlaceRules, tables: RadioTables
) -> Links:
    """Return the arrays of observations, of which the heard ones come first."""
    levels = [level_cdb(one, rules) - one.offset_cdb for one in chosen]
    return Links(
        to_plane(claim, [one.centre for one in chosen], tables),
        np.array(levels, dtype=np.int64),
        sum(1 for one in chosen if one.heard > 0),
    )


def level_cdb(one: Link | Observation, rules: PlaceRules) -> int:
    """Return the mean excess as it would be without a threshold of hearing.

    A link near the threshold is heard when it is lucky: what it missed is counted at the
    threshold. A silent link is the most that it can have been: the threshold.
    """
    if one.heard <= 0:
        return rules.audible_cdb
    level = max(-_LEVEL_MAX_CDB, min(_LEVEL_MAX_CDB, one.excess_cdb))
    if one.silent <= 0 or level > rules.audible_cdb + _NEAR_AUDIBLE_CDB:
        return level
    return (level * one.heard + rules.audible_cdb * one.silent) // (one.heard + one.silent)


def loudest(links: Links) -> Ints:
    """Return the median place (2,), axis by axis, of the loudest witnesses, equal ones in the
    order given. Two of five that lie about it do not move it out of the others' midst.
    """
    loud = np.argsort(-links.level_cdb[: links.heard], kind="stable")[:_LOUDEST]
    along = np.sort(links.places[loud], axis=0)
    middle: Ints = along[len(loud) // 2]
    return middle
