"""WeatherXM's published Quality of Data for temperature, on series by the hour.

From the parameters and text of weatherxm-network/qod (commit 6f3c196) and WeatherXM/docs: range,
jump against the last value, constancy. It uses no neighbours: nor do they. The score of an hour is
its share of valid values, that of a day the mean of its hours.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LOW_C, HIGH_C = -40.0, 60.0
# 3 degC a minute, and at most 15 degC whatever the pause is.
JUMP_C_PER_MIN, JUMP_MAX_C = 3.0, 15.0
CONSTANT_MIN = 240


def valid(degrees: Array, interval_min: int) -> npt.NDArray[np.bool_]:
    """Say which values pass; times x stations, NaN where one is missing (and so not valid)."""
    there = ~np.isnan(degrees)
    passed = there & (degrees >= LOW_C) & (degrees <= HIGH_C)
    for station in range(degrees.shape[1]):
        times = np.flatnonzero(there[:, station])
        values = degrees[times, station]
        if len(times) > 1:
            allowed = np.minimum(JUMP_C_PER_MIN * np.diff(times) * interval_min, JUMP_MAX_C)
            passed[times[1:][abs(np.diff(values)) > allowed], station] = False
        passed[times[_constant(values, times, interval_min)], station] = False
    return passed


def score(degrees: Array, interval_min: int = 60) -> Array:
    """Return each station's mean daily score, 0 to 1."""
    passed: Array = valid(degrees, interval_min).mean(axis=0)
    return passed


def _constant(
    values: Array, times: npt.NDArray[np.int64], interval_min: int
) -> npt.NDArray[np.bool_]:
    """Say which values belong to a run without change of CONSTANT_MIN or longer."""
    flagged = np.zeros(len(values), np.bool_)
    begin = 0
    for place in range(1, len(values) + 1):
        if place < len(values) and values[place] == values[begin]:
            continue
        if (times[place - 1] - times[begin]) * interval_min >= CONSTANT_MIN:
            flagged[begin:place] = True
        begin = place
    return flagged
