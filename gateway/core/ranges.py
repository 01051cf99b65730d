"""Sets of sequence numbers as ranges. A range is (first, last), both inside."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]
"""Ascending, disjoint, not adjacent."""


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The smallest set of ranges that covers all of `ranges`, given in any order."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def contains(ranges: Ranges, number: int) -> bool:
    """Say whether one of the ranges holds the number."""
    index = bisect_left(ranges, number, key=lambda one: one[1])
    return index < len(ranges) and ranges[index][0] <= number


def holes(ranges: Ranges) -> Ranges:
    """What is missing between 1 and the highest number in `ranges`."""
    missing = []
    next_first = 1
    for first, last in ranges:
        if next_first < first:
            missing.append((next_first, first - 1))
        next_first = last + 1
    return tuple(missing)
