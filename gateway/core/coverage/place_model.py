"""How likely what was heard is, for every place that is tried. spec/place.md section 4.

Along the axes: exponent (n), place (p), power offset of the beaconer (o), witness (w). All int64.
"""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.core.coverage.radio import Ints, RadioTables, log_tail, ten_log10_cdb
from gateway.core.rules import PlaceRules

# Residuals are looked up in steps of this, and beyond the largest say no more. That bounds the
# squares by 2**40, and a link by its cap of at most 10**6: sums over all witnesses stay in 2**31.
_STEP_CDB = 4
_RESIDUAL_MAX_CDB = 40_000
_STEPS = np.arange(-10_000, 10_001, dtype=np.int64) * _STEP_CDB


class Links(NamedTuple):
    """The observations as arrays, heard ones first: level_cdb is the excess that a witness without
    an offset of its own would have seen, for a silent one the least that it would have heard.
    """

    places: Ints  # (w, 2) metres
    level_cdb: Ints  # (w,)
    heard: int


class Likelihood(NamedTuple):
    """In milli-nats: `each` by (n, p, o, w), `prior` by (n, o)."""

    each: npt.NDArray[np.int32]
    prior: Ints


def mean_loss_cdb(squared_m2: Ints, rules: PlaceRules, tables: RadioTables) -> Ints:
    """Return the path loss at the mean exponent; squared_m2: squared distances, any shape."""
    slope = decades_cdb(squared_m2, rules, tables)
    return level_at_pivot(rules, tables) + slope * rules.exponent_mean_milli // 1000


def level_at_pivot(rules: PlaceRules, tables: RadioTables) -> int:
    """Return the path loss at the pivot distance, which is the same for every exponent.

    Lines of different exponents cross where the links are, not at 1 m: so an exponent can be
    wrong without shifting the level, and the power offset without bending the line.
    """
    pivot = int(ten_log10_cdb(np.array([rules.pivot_m], dtype=np.int64), tables)[0])
    return rules.reference_cdb + pivot * rules.exponent_mean_milli // 1000


def decades_cdb(squared_m2: Ints, rules: PlaceRules, tables: RadioTables) -> Ints:
    """Return 10 * log10(distance / pivot) in cdB.

    A scoring cell's size is added to the square: stations are somewhere in their cells, so two
    in one cell are not at distance 0.
    """
    pivot = int(ten_log10_cdb(np.array([rules.pivot_m], dtype=np.int64), tables)[0])
    return ten_log10_cdb(squared_m2 + rules.cell_m * rules.cell_m, tables) // 2 - pivot


def likelihood(
    links: Links, squared_m2: Ints, rules: PlaceRules, tables: RadioTables
) -> Likelihood:
    """Return the log-likelihood of every link at every place; squared_m2 is (p, w)."""
    exponents = np.array(rules.exponent_milli, dtype=np.int64)
    offsets = power_offsets(rules)
    decades = decades_cdb(squared_m2, rules, tables)
    # (n, p, w), then by offset too: (n, p, o, w), a table look-up each.
    level = exponents[:, None, None] * decades // 1000 + links.level_cdb
    level += level_at_pivot(rules, tables)
    index = _in_steps(level)[:, :, None, :] - _in_steps(offsets)[:, None]
    last = len(_STEPS) // 2
    np.clip(index, -last, last, out=index)
    # The look-up tables of heard and of silent links lie behind each other.
    index += np.where(np.arange(len(links.level_cdb)) < links.heard, last, last + len(_STEPS))
    both = np.concatenate([_heard_milli(rules), _silent_milli(rules, tables)])
    return Likelihood(np.take(both, index, mode="clip"), _prior(exponents, offsets, rules))


def _in_steps(level_cdb: Ints) -> Ints:
    bounded: Ints = np.clip(level_cdb, -_RESIDUAL_MAX_CDB, _RESIDUAL_MAX_CDB)
    return bounded // _STEP_CDB


def _heard_milli(rules: PlaceRules) -> npt.NDArray[np.int32]:
    """Return by step of residual the log-likelihood of a heard link: normal, cut at its cap."""
    square = _STEPS * _STEPS * 500 // spread_cdb(rules) ** 2
    heard: npt.NDArray[np.int32] = (-np.minimum(square, rules.witness_cap_milli)).astype(np.int32)
    return heard


def _silent_milli(rules: PlaceRules, tables: RadioTables) -> npt.NDArray[np.int32]:
    """Return the same of a silent link: that its level is below the threshold."""
    tail = log_tail(_STEPS * 100 // spread_cdb(rules), tables)
    return np.maximum(tail, -rules.silent_cap_milli).astype(np.int32)


def power_offsets(rules: PlaceRules) -> Ints:
    """Return the grid of the beaconer's own constant offset in cdB, antenna and power together."""
    steps = rules.offset_max_cdb // rules.offset_step_cdb
    return np.arange(-steps, steps + 1, dtype=np.int64) * rules.offset_step_cdb


def spread_cdb(rules: PlaceRules) -> int:
    """Return the standard deviation of a link: its shadow, and what fading leaves of the mean."""
    return isqrt(rules.shadow_cdb**2 + rules.fading_cdb**2)


def residuals_at_best(
    links: Links, total: Ints, squared_m2: Ints, rules: PlaceRules, tables: RadioTables
) -> Ints:
    """Return (w,): heard minus expected in cdB at one place, with the likeliest exponent and
    power; a silent link that was not expected to be heard has none.

    total: (n, o) the log-likelihood of that place; squared_m2: (1, w).
    """
    exponent, offset = divmod(int(np.argmax(total)), total.shape[1])
    decades = decades_cdb(squared_m2[0], rules, tables)
    flat = links.level_cdb + level_at_pivot(rules, tables)
    residual = rules.exponent_milli[exponent] * decades // 1000 + flat
    residual = residual - int(power_offsets(rules)[offset])
    silent = np.arange(len(residual)) >= links.heard
    at_best: Ints = np.where(silent, np.minimum(residual, 0), residual)
    return at_best


def _prior(exponents: Ints, offsets: Ints, rules: PlaceRules) -> Ints:
    bend = exponents - rules.exponent_mean_milli
    slope = bend * bend * 500 // rules.exponent_sd_milli**2
    level = offsets * offsets * 500 // rules.offset_sd_cdb**2
    return -(slope[:, None] + level)
