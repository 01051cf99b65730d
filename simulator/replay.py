"""Replays somebody else's readings: one real node per recorded station, on a perfect network.

Values and times come out as they stand in the file; keys, salts and the network are made from the
seed and the stations' names.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from simulator.board import key_seed
from simulator.counterpart import Counterpart, Hooks, Target
from simulator.door import load_quantities
from simulator.fleet import FleetReport, execute_over_mqtt, report_of
from simulator.in_process import InProcessRun
from simulator.mqtt_run import MqttRun
from simulator.network import Faults
from simulator.places import scoring_cell
from simulator.recorded import (
    INTERVAL_MS_MAX,
    INTERVAL_MS_MIN,
    CsvInvalid,
    RecordedStation,
    read_csv,
)
from simulator.run import Course, Progress, RunOptions, StationPlan, place_commitment
from simulator.seeds import derive
from simulator.sensors import Sample
from simulator.weather import DAY_MS
from simulator.world import World

# A board needs its time, and its hello a receipt, before the first reading.
HEAD_START_MS = 300_000
# A recording may end anywhere: a message that waits for more samples would wait for ever.
SAMPLES_PER_MESSAGE = 1


@dataclass(frozen=True, slots=True)
class Replay:
    """A CSV's stations and the days that they fill."""

    path: Path
    plans: list[StationPlan]
    start_ms: int
    end_ms: int

    @property
    def command(self) -> str:
        return f"cairn fleet replay --csv {shlex.quote(str(self.path))}"

    def course(self, seed: int) -> Course:
        return Course(seed=seed, start_ms=self.start_ms, end_ms=self.end_ms, faults=Faults())


def plan_replay(csv_path: Path, seed: int = 1) -> Replay:
    """Read a CSV. CsvInvalid names a mistake in it; OSError if it cannot be read."""
    with csv_path.open(encoding="utf-8", newline="") as lines:
        stations = read_csv(lines, load_quantities())
    plans = [_plan(station, seed) for station in stations]
    last_ms = max(station.times_ms[-1] for station in stations)
    return Replay(
        csv_path,
        plans,
        start_ms=min(plan.power_on_ms for plan in plans),
        end_ms=(last_ms // DAY_MS + 1) * DAY_MS,
    )


def run_replay(
    csv_path: Path, data_dir: Path, progress: Progress | None = None, seed: int = 1
) -> FleetReport:
    """Sign and send a CSV's readings to a new network in `data_dir`, to the close of its days.

    progress(virtual ms done, virtual ms in all). Raises as plan_replay does, before anything is
    written.
    """
    replay = plan_replay(csv_path, seed)
    options = RunOptions(
        seed=seed,
        data_dir=data_dir,
        epoch_zero_ms=replay.start_ms // DAY_MS * DAY_MS,
        start_ms=replay.start_ms,
        end_ms=replay.end_ms,
        faults=Faults(),
    )
    span_ms = replay.end_ms - replay.start_ms
    show = progress or (lambda _done_ms, _span_ms: None)
    run = InProcessRun(
        options, replay.plans, lambda done_ms, _signed: show(min(done_ms, span_ms), span_ms)
    )
    run.execute()
    return report_of(run, csv_path.name, replay.command)


def run_replay_over_mqtt(
    replay: Replay,
    seed: int,
    home: tuple[Target, Counterpart],
    hooks: Hooks,
    progress: Progress | None = None,
) -> FleetReport:
    """The same against a gateway elsewhere, on its driven clock; as run_fleet_over_mqtt."""
    run = MqttRun(replay.course(seed), replay.plans, home, hooks, progress)
    command = f"{replay.command} --broker {shlex.quote(home[0].url)}"
    return execute_over_mqtt(run, replay.path.name, command)


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
