"""Is a station where it says it is? The posterior of its place from its links. spec/place.md.

One day of one beaconer: every independent witness that heard it, or was provably listening and
did not. The claim is compared with places around it and around its loudest witnesses; no verdict
hangs on one witness. Integers throughout; the order of the input does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.core.coverage.model import Link, Observation, PlaceResult
from gateway.core.coverage.place_choice import as_links, choose, loudest, own_offsets
from gateway.core.coverage.place_grid import (
    circles,
    from_plane,
    length_m,
    ring_areas,
    squared,
)
from gateway.core.coverage.place_model import (
    Links,
    likelihood,
    residuals_at_best,
    spread_cdb,
)
from gateway.core.coverage.radio import Ints, RadioTables, exp_negative
from gateway.core.geometry import Point
from gateway.core.rules import PlaceRules
from gateway.core.verdicts import Verdict

_POSTERIOR_PER_CENT = 95
_LIKELY = 24
_NEVER = -(2**40)


class _Scores(NamedTuple):
    """Log-likelihoods of places in milli-nats, with exponent and power at their best for each:
    `full` (p,) with all witnesses, `without` (p, w) with one left out.
    """

    places: Ints  # (p, 2)
    full: Ints
    without: Ints


def witness_offsets(
    links: Sequence[Link], rules: PlaceRules, tables: RadioTables
) -> dict[bytes, int]:
    """Return by witness how much more it hears than the mean model, in cdB.

    The median residual over its heard independent LoRa links, drawn towards the median of all
    witnesses while its links are few; at most witness_offset_max_cdb. A median: liars among its
    beaconers move nothing while they are few. A witness without such a link is not in the answer.
    """
    return own_offsets(links, rules, tables)


def judge_place(
    claim: Point, observations: Sequence[Observation], rules: PlaceRules, tables: RadioTables
) -> PlaceResult:
    """Return what the observations of one beaconer's day say of its claimed place.

    At most one observation per witness; witnesses without weight are left out by the caller.
    """
    chosen = choose(claim, observations, rules, tables)
    links = as_links(claim, chosen, rules, tables)
    if not links.heard:
        return PlaceResult(len(chosen), 0, 0, 0, 0, 0, claim, 0, 0, Verdict.PLACE_UNPROVEN, ())
    around = circles(rules.rings_m, rules.bearings, tables)
    wide, at_claim = _score(
        links, np.concatenate([around, around + loudest(links)]), rules, tables
    )
    middle = wide.places[int(np.argmax(wide.full))]
    fine_rings = [ring // 2 for ring in rules.rings_m]
    fine, _ = _score(links, circles(fine_rings, rules.bearings, tables) + middle, rules, tables)
    both = _Scores(*(np.concatenate(pair) for pair in zip(wide, fine, strict=True)))
    best = int(np.argmax(both.full))
    place = both.places[best]
    near = (both.places**2).sum(axis=1) < rules.displaced_min_m**2
    odds = _odds(both.without, near)
    zs = at_claim * 1000 // spread_cdb(rules)
    sizes = np.sort(np.abs(zs))[::-1].tolist()
    result = PlaceResult(
        observations=len(chosen),
        heard=links.heard,
        second_z_milli=sizes[1] if len(sizes) > 1 else 0,
        max_z_milli=sizes[0],
        odds_milli=int(odds.min()),
        full_odds_milli=int(_odds(both.full[:, None], near)[0]),
        best=from_plane(claim, int(place[0]), int(place[1]), tables) if best else claim,
        best_m=length_m(*place.tolist()),
        radius_m=_radius_m(fine, place, ring_areas(fine_rings, rules.bearings), tables),
        verdict=Verdict.PLACE_UNPROVEN,
        zs_milli=tuple(sorted(zip([one.witness for one in chosen], zs.tolist(), strict=True))),
    )
    return result._replace(verdict=_verdict(result, rules))


def _verdict(result: PlaceResult, rules: PlaceRules) -> Verdict:
    if result.heard < rules.observations_min:
        return Verdict.PLACE_UNPROVEN
    displaced = result.odds_milli > rules.odds_limit_milli
    if displaced or result.second_z_milli > rules.second_z_limit_milli:
        return Verdict.PLACE_IMPLAUSIBLE
    if result.max_z_milli > rules.review_z_limit_milli:
        return Verdict.PLACE_REVIEW
    return Verdict.PLACE_PLAUSIBLE


def _score(
    links: Links, places: Ints, rules: PlaceRules, tables: RadioTables
) -> tuple[_Scores, Ints]:
    """Score the places; besides, the residuals (w,) in cdB at the first of them."""
    near = (places**2).sum(axis=1) < rules.displaced_min_m**2
    like = likelihood(links, squared(places, links.places), rules, tables)
    total = like.each.sum(axis=-1) + like.prior[:, None, :]
    full = total.max(axis=(0, 2))
    # Only what is likely with all can be likely without one: the rest is not worth the time.
    likely = np.argsort(-full, kind="stable")[:_LIKELY]
    tried = np.unique(np.concatenate([np.flatnonzero(near), likely]))
    without = np.full((len(places), len(links.level_cdb)), _NEVER)
    without[tried] = (total[:, tried, :, None] - like.each[:, tried]).max(axis=(0, 2))
    scores = _Scores(places, full, without)
    return scores, residuals_at_best(
        links, total[:, 0], squared(places[:1], links.places), rules, tables
    )


def _odds(scores: Ints, near: npt.NDArray[np.bool_]) -> Ints:
    """Return (w,): by how much the best place away from the claim beats the best one near it."""
    ahead: Ints = np.maximum(scores[~near].max(axis=0) - scores[near].max(axis=0), 0)
    return ahead


def _radius_m(fine: _Scores, best: Ints, areas: Ints, tables: RadioTables) -> int:
    """Return the radius around `best` that holds 95 % of the posterior over the fine places."""
    # Areas stay below 2**38 and weights below 2**30: one place at most 2**68, so Python integers.
    mass = [
        area * weight
        for area, weight in zip(
            areas.tolist(),
            exp_negative(int(fine.full.max()) - fine.full, tables).tolist(),
            strict=True,
        )
    ]
    distances = ((fine.places - best) ** 2).sum(axis=1)
    needed, held = sum(mass) * _POSTERIOR_PER_CENT, 0
    for index in np.argsort(distances, kind="stable").tolist():
        held += 100 * mass[index]
        if held >= needed:
            return isqrt(int(distances[index]))
    raise AssertionError("all of the mass is more than 95 % of it")
