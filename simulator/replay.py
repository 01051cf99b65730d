"""Replays somebody else's readings: one real node per recorded station, on a perfect network.

Values and times come out as they stand in the file; keys, salts and the network are made from the
seed and the stations' names.
"""

from __future__ import annotations

import math
import shlex
from functools import partial
from itertools import pairwise
from pathlib import Path

from simulator.board import key_seed
from simulator.door import load_quantities
from simulator.fleet import FleetReport, report_of
from simulator.network import Faults
from simulator.places import scoring_cell
from simulator.recorded import (
    INTERVAL_MS_MAX,
    INTERVAL_MS_MIN,
    CsvInvalid,
    RecordedStation,
    read_csv,
)
from simulator.run import Progress, Run, RunOptions, StationPlan, place_commitment
from simulator.seeds import derive
from simulator.sensors import Sample
from simulator.weather import DAY_MS
from simulator.world import World

# A board needs its time, and its hello a receipt, before the first reading.
HEAD_START_MS = 300_000
# A recording may end anywhere: a message that waits for more samples would wait for ever.
SAMPLES_PER_MESSAGE = 1


def run_replay(
    csv_path: Path, data_dir: Path, progress: Progress | None = None, seed: int = 1
) -> FleetReport:
    """Sign and send a CSV's readings to a new network in `data_dir`, to the close of its days.

    progress(virtual ms done, virtual ms in all). CsvInvalid names a mistake in the file before
    anything is written; OSError if it cannot be read.
    """
    with csv_path.open(encoding="utf-8", newline="") as lines:
        stations = read_csv(lines, load_quantities())
    plans = [_plan(station, seed) for station in stations]
    first_ms = min(plan.power_on_ms for plan in plans)
    last_ms = max(station.times_ms[-1] for station in stations)
    options = RunOptions(
        seed=seed,
        data_dir=data_dir,
        epoch_zero_ms=first_ms // DAY_MS * DAY_MS,
        start_ms=first_ms,
        end_ms=(last_ms // DAY_MS + 1) * DAY_MS,
        faults=Faults(),
    )
    span_ms = options.end_ms - options.start_ms
    show = progress or (lambda _done_ms, _span_ms: None)
    run = Run(options, plans, lambda done_ms, _signed: show(min(done_ms, span_ms), span_ms))
    run.execute()
    return report_of(run, csv_path.name, f"cairn fleet replay --csv {shlex.quote(str(csv_path))}")


def _plan(station: RecordedStation, seed: int) -> StationPlan:
    step_ms = _common_step_ms(station)
    # Completeness is against the declared interval, which is a multiple of the sampling step.
    declared_ms = max(station.interval_ms // step_ms, 1) * step_ms
    power_on_ms = station.times_ms[0] - step_ms - HEAD_START_MS
    if power_on_ms < 0:
        raise CsvInvalid(f"station {station.name!r} begins too near to 1970")
    return StationPlan(
        name=station.name,
        key_seed=key_seed(seed, station.name),
        scoring_cell=scoring_cell(station.lat_deg, station.lon_deg),
        place_commitment=place_commitment(
            derive(seed, "salt", station.name), station.lat_deg, station.lon_deg
        ),
        quantities=tuple(
            (quantity, channel, declared_ms) for quantity, channel, *_ in station.samples[0]
        ),
        sample_interval_ms=step_ms,
        samples_per_message=SAMPLES_PER_MESSAGE,
        sampler=partial(_Recording, station),
        owner=derive(seed, "owner", station.name)[:20],
        power_on_ms=power_on_ms,
        wakes_ms=station.times_ms,
    )


def _common_step_ms(station: RecordedStation) -> int:
    """The longest sampling step that meets every row: no row lies between two of its points."""
    steps = [after - before for before, after in pairwise(station.times_ms)]
    step_ms = math.gcd(*steps) if steps else station.interval_ms
    if any(step < INTERVAL_MS_MIN for step in steps):
        raise CsvInvalid(f"station {station.name!r} has rows less than {INTERVAL_MS_MIN} ms apart")
    return min(max(step_ms, INTERVAL_MS_MIN), INTERVAL_MS_MAX)


class _Recording:
    """The sensors of a station that was recorded: they know nothing between two rows."""

    def __init__(self, station: RecordedStation, world: World) -> None:
        self._rows = dict(zip(station.times_ms, station.samples, strict=True))
        self._world = world

    async def sample(self) -> list[Sample]:
        return list(self._rows[self._world.now_ms])
