"""What can be measured and within which limits, parsed from spec/quantities.toml.

It knows the limits, not how they are applied (quality.py).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.faults import CoreFault

_EXPONENTS = range(-9, 7)
_MAGNITUDE_MAX = 2**53


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measurable quantity; low, high, step_per_min and step_cap in 10**resolution units.

    0 in step_per_min, flat_suspect_min or flat_fail_min means that there is no such test.
    """

    code: int
    name: str
    unit: str
    ucum: str
    cf: str
    resolution: int
    low: int
    high: int
    step_per_min: int
    step_cap: int
    flat_suspect_min: int
    flat_fail_min: int


class QuantitiesError(CoreFault):
    """A quantities file that cannot be used."""

    def __init__(self, why: str) -> None:
        what = "The quantities file cannot be used"
        super().__init__(what, why, "Take spec/quantities.toml of the release again", _CODE)


_CODE = "bad_quantities"
_TEXTS = ("name", "unit", "ucum", "cf")
_LIMITS = ("step_per_min", "step_cap", "flat_suspect_min", "flat_fail_min")
_KEYS = {"code", "resolution", "range", *_TEXTS, *_LIMITS}


def parse_quantities(text: bytes) -> Mapping[int, Quantity]:
    """Return the quantities by code, or raise QuantitiesError; unknown keys are refused."""
    try:
        document = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise QuantitiesError(f"it is not TOML in UTF-8 ({error})") from error
    tables = document.pop("quantity", None)
    if document or not isinstance(tables, list) or not tables:
        raise QuantitiesError("it must hold [[quantity]] tables and nothing else")
    quantities = [_quantity(table) for table in tables]
    by_code = {quantity.code: quantity for quantity in quantities}
    if len(by_code) != len(quantities) or len({q.name for q in quantities}) != len(quantities):
        raise QuantitiesError("a code or a name is given twice")
    return by_code


def _quantity(table: Any) -> Quantity:
    if not isinstance(table, dict) or set(table) != _KEYS:
        raise QuantitiesError(f"a quantity must have exactly the keys {sorted(_KEYS)}")
    name, unit, ucum, cf = (table[key] for key in _TEXTS)
    if not all(isinstance(text, str) for text in (name, unit, ucum, cf)):
        raise QuantitiesError(f"{', '.join(_TEXTS)} must be texts")
    bounds = table["range"]
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise QuantitiesError("range must be [low, high]")
    numbers = [table["code"], table["resolution"], *bounds, *(table[key] for key in _LIMITS)]
    if any(type(n) is not int or abs(n) > _MAGNITUDE_MAX for n in numbers):
        raise QuantitiesError(f"{name}: a limit is no integer within 2^53")
    code, resolution, low, high, *limits = numbers
    if code < 0 or resolution not in _EXPONENTS or low > high or min(limits) < 0:
        raise QuantitiesError(f"{name}: a limit is negative, or range runs backwards")
    per_min, cap, suspect_min, fail_min = limits
    if per_min and not cap:
        raise QuantitiesError(f"{name}: step_per_min needs a step_cap")
    kept = (resolution, low, high, per_min, cap, suspect_min, fail_min)
    return Quantity(code, name, unit, ucum, cf, *kept)
