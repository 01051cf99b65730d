"""TITAN's buddy check as a weather service runs it: every hour by itself, all stations alike.

The check itself is passed in (titanlib's, or one that gives the same flags), so this module says
only how it is used: the share of hours in which a station is flagged.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
# (values in hundredths of a degC, which are there) -> which stand out.
Check = Callable[[npt.NDArray[np.int64], Bools], Bools]

RADIUS_M = 15_000
NEIGHBOURS_MIN = 5
THRESHOLD_MILLI = 2_000
SD_MIN_HUNDREDTHS = 100
ITERATIONS = 2


def flagged_share(degrees: Array, check: Check) -> Array:
    """Return of each station the share of its values that stand out; hours x stations in degC."""
    there = ~np.isnan(degrees)
    hundredths = np.rint(np.where(there, degrees, 0) * 100).astype(np.int64)
    flags = np.array([check(row, here) for row, here in zip(hundredths, there, strict=True)])
    share: Array = (flags & there).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return share
