"""Fleets: from a scenario and a seed to a report that says what happened and what was broken.

It plans stations, runs them, and sums up. A run is a function of scenario and seed: the digest of
two runs of one release is equal or there is a bug.
"""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from simulator.adversary import ATTACKS, Draft, TooManyLiars, choose, enlist
from simulator.board import key_seed
from simulator.counterpart import Counterpart, Hooks, Target
from simulator.door import load_quantities
from simulator.epochs import EpochSummary
from simulator.in_process import InProcessRun
from simulator.ledger import Counts, Failure
from simulator.medium import ESPNOW_RADIO, LORA_RADIO, Antenna
from simulator.mqtt_run import MqttRun
from simulator.places import Place, TownTooSmall, lay_out, scoring_cell
from simulator.radio import PRESETS
from simulator.run import (
    Course,
    Progress,
    RunOptions,
    StationPlan,
    place_commitment,
)
from simulator.scenario import BoardOptions, Scenario, ScenarioInvalid
from simulator.seeds import derive, happens, stream
from simulator.sensors import NOISE_SD, Quantity, Sample, WeatherStation
from simulator.tally import Boards, Tally, Transport
from simulator.weather import Weather
from simulator.world import Event, World

RADIOS = (LORA_RADIO, ESPNOW_RADIO)


@dataclass(frozen=True, slots=True)
class Liar:
    """A station that lies: its device id in hex, its name, the attack's name, what it is after."""

    device: str
    name: str
    attack: str
    tries: str


@dataclass(frozen=True, slots=True)
class FleetReport:
    """What a run came to.

    messages_signed: signed and stored by a board; messages_durable: of these, those in the
    gateway's store; messages_dropped: those that a full outbox gave up under a signed gap.
    signatures_cut: made in the moment of a power cut, never stored, never sent. rejected: arrivals
    refused for good; deferred: arrivals before their hello was known. failures: broken promises,
    empty if all is well. replay: the command that repeats the run. transport: only over MQTT.
    boards: only on MicroPython. liars: who lied on purpose.
    """

    scenario: str
    seed: int
    stations: int
    messages_signed: int
    messages_durable: int
    messages_dropped: int
    signatures_cut: int
    rejected: int
    deferred: int
    corruptions: int
    duplicates: int
    resends: int
    gateway_crashes: int
    board_restarts: int
    epochs: tuple[EpochSummary, ...]
    failures: tuple[Failure, ...]
    digest: str
    replay: str
    transport: Transport | None = None
    boards: Boards | None = None
    liars: tuple[Liar, ...] = ()


class Finished(Protocol):
    """A run that is over, whatever its boards were."""

    course: Course
    plans: list[StationPlan]
    counts: Counts
    failures: list[Failure]
    resends: int
    board_restarts: int

    def device(self, index: int) -> bytes: ...

    def tally(self) -> Tally: ...

    def close(self) -> None: ...


def run_fleet(
    scenario: Scenario, seed: int, data_dir: Path, progress: Progress | None = None
) -> FleetReport:
    """Run a scenario in a new network in `data_dir`, to the close of its last day.

    progress(virtual ms since the start, messages signed) is called every ten virtual minutes.
    ScenarioInvalid if its stations do not fit into its town; nothing is written then. TaskFailed
    is a bug in the code under test, named by seed and time.
    """
    check_common(scenario)
    options = RunOptions(
        seed=seed,
        data_dir=data_dir,
        epoch_zero_ms=scenario.start_ms,
        start_ms=scenario.start_ms,
        end_ms=scenario.end_ms,
        faults=scenario.faults,
        lead_ms=scenario.lead_ms,
        surroundings=scenario.radio.surroundings,
    )
    run = InProcessRun(options, plan_stations(scenario, seed), progress)
    run.execute()
    return report_of(run, scenario.name, replay_command(scenario, seed))


def course_of(scenario: Scenario, seed: int) -> Course:
    """When and in what a scenario's stations live, for a run over MQTT."""
    return Course(
        seed=seed,
        start_ms=scenario.start_ms,
        end_ms=scenario.end_ms,
        faults=scenario.faults,
        lead_ms=scenario.lead_ms,
        surroundings=scenario.radio.surroundings,
    )


def run_fleet_over_mqtt(
    scenario: Scenario,
    seed: int,
    home: tuple[Target, Counterpart],
    hooks: Hooks,
    progress: Progress | None = None,
) -> FleetReport:
    """Run a scenario against a gateway elsewhere, on its driven clock.

    progress as in run_fleet, told every slot. FleetHalted if gateway or broker stay away.
    """
    course = course_of(scenario, seed)
    _check_direct(scenario)
    check_common(scenario)
    plans = plan_stations(scenario, seed)
    replay = f"{replay_command(scenario, seed)} --broker {shlex.quote(home[0].url)}"
    return execute_over_mqtt(MqttRun(course, plans, home, hooks, progress), scenario.name, replay)


def _check_direct(scenario: Scenario) -> None:
    for name, _ in scenario.liars.counts():
        if ATTACKS[name].direct:
            raise ScenarioInvalid(
                f"{scenario.source or scenario.name}: 'liars.{name}' runs in one process only: a "
                "broker lets one of two sessions with one name in; leave out --broker"
            )


def check_common(scenario: Scenario) -> None:
    """ScenarioInvalid if it asks for what only boards on MicroPython can do."""
    if scenario.minutes or scenario.boards != BoardOptions():
        raise ScenarioInvalid(
            f"{scenario.source or scenario.name}: 'minutes' and 'boards' are for real "
            "interpreters: add --runtime micropython, or leave them out"
        )


def execute_over_mqtt(run: MqttRun, name: str, replay: str) -> FleetReport:
    """Carry out a run over MQTT and sum it up; its sockets are closed however it ends."""
    try:
        run.execute()
        return report_of(run, name, replay)
    finally:
        run.close()


def replay_command(scenario: Scenario, seed: int) -> str:
    """What repeats a run."""
    source = scenario.source or scenario.name
    return f"cairn fleet run --scenario {shlex.quote(source)} --seed {seed}"


def report_of(run: Finished, name: str, replay: str) -> FleetReport:
    """Sum up a finished run and let go of its gateway."""
    tally, counts = run.tally(), run.counts
    failures = [*run.failures, *_not_conserved(tally.epochs, tally.carry_before)]
    numbers = (
        len(run.plans),
        counts.signed,
        counts.durable,
        counts.dropped,
        counts.cut,
        tally.rejected,
        tally.duplicates,
        run.resends,
        tally.gateway_crashes,
        run.board_restarts,
    )
    report = FleetReport(
        scenario=name,
        seed=run.course.seed,
        stations=len(run.plans),
        messages_signed=counts.signed,
        messages_durable=counts.durable,
        messages_dropped=counts.dropped,
        signatures_cut=counts.cut,
        rejected=tally.rejected,
        deferred=tally.deferred,
        corruptions=tally.corruptions,
        duplicates=tally.duplicates,
        resends=run.resends,
        gateway_crashes=tally.gateway_crashes,
        board_restarts=run.board_restarts,
        epochs=tally.epochs,
        failures=tuple(failures),
        digest=_digest(tally.epochs, numbers),
        replay=replay,
        transport=tally.transport,
        boards=tally.boards,
        liars=tuple(
            Liar(run.device(index).hex(), plan.name, plan.attack, plan.tries)
            for index, plan in enumerate(run.plans)
            if plan.attack
        ),
    )
    run.close()
    return report


def _digest(epochs: tuple[EpochSummary, ...], numbers: tuple[int, ...]) -> str:
    digest = hashlib.sha256(repr(numbers).encode())
    for epoch in epochs:
        digest.update(epoch.message_root + epoch.payout_root + epoch.manifest_hash)
    return digest.hexdigest()


def _not_conserved(epochs: tuple[EpochSummary, ...], carry: int) -> list[Failure]:
    failures = []
    for epoch in epochs:
        whole = epoch.emission + epoch.carry_before == epoch.paid + epoch.carry_after
        if not whole or epoch.carry_before != carry or epoch.paid != epoch.paid_rows:
            failures.append(Failure("sums conserve", f"epoch {epoch.epoch}: {epoch}"))
        carry = epoch.carry_after
    return failures


def plan_stations(scenario: Scenario, seed: int) -> list[StationPlan]:
    """Decide everything about every station; draws depend on the seed and the index alone.

    ScenarioInvalid if the stations do not fit into the town, or the liars into the fleet.
    """
    fleet, source = scenario.fleet, scenario.source or scenario.name
    generator = stream(seed, "places")
    # Anchored stations were looked at, and the close ones are somebody's standby.
    ordinary = range(fleet.anchored + fleet.without_owner, fleet.stations - fleet.close_stations)
    try:
        places = lay_out(generator, scenario.town, fleet.stations, fleet.close_stations)
        chosen = choose(scenario.liars, ordinary, seed)
    except (TownTooSmall, TooManyLiars) as error:
        raise ScenarioInvalid(f"{source}: {error}") from error
    field = Weather(
        seed,
        [place.lat_deg for place in places],
        [place.lon_deg for place in places],
        [place.height_m for place in places],
        mean_c=scenario.weather.mean_c,
    )
    quantities = load_quantities()
    liars = {index for _, cast in chosen for index in cast.members}
    sensors = [
        _sensors(scenario, seed, index, quantities, lies=index in liars)
        for index in range(fleet.stations)
    ]
    plans = [
        _plan(scenario, seed, index, (place, field, sensors[index]), quantities)
        for index, place in enumerate(places)
    ]
    propagation = PRESETS[scenario.radio.surroundings]
    draft = Draft(seed, scenario.town, places, plans, sensors, field, quantities, propagation)
    enlist(draft, chosen)
    return draft.plans


def _sensors(
    scenario: Scenario, seed: int, index: int, quantities: dict[str, Quantity], *, lies: bool
) -> WeatherStation:
    # An operator anchors stations that he has seen working; a liar's own sensors are as good.
    anchored = index < scenario.fleet.anchored
    drawn = scenario.errors.draw(stream(seed, "errors", index))
    error_class = "healthy" if anchored or lies else drawn
    generator = stream(seed, "sensors", index)
    return WeatherStation(generator, error_class, quantities, scenario.start_ms)


def _plan(
    scenario: Scenario,
    seed: int,
    index: int,
    site: tuple[Place, Weather, WeatherStation],
    quantities: dict[str, Quantity],
) -> StationPlan:
    fleet = scenario.fleet
    place, field, station = site
    generator = stream(seed, "station", index)
    drift_ppm = generator.randint(-fleet.clock_drift_ppm_max, fleet.clock_drift_ppm_max)
    begin_ms = scenario.start_ms - scenario.lead_ms
    power_on_ms = begin_ms + generator.randrange(fleet.power_on_within_s * 1_000)
    span_ms = scenario.start_ms, scenario.end_ms
    return StationPlan(
        name=f"station {index}",
        key_seed=key_seed(seed, index),
        scoring_cell=scoring_cell(place.lat_deg, place.lon_deg),
        place_commitment=place_commitment(
            derive(seed, "salt", index), place.lat_deg, place.lon_deg
        ),
        quantities=tuple(
            sorted(
                (quantity.code, 0, fleet.sample_interval_s * 1_000)
                for name, quantity in quantities.items()
                if name in NOISE_SD
            )
        ),
        sample_interval_ms=fleet.sample_interval_s * 1_000,
        samples_per_message=fleet.samples_per_message,
        sampler=partial(_WeatherSampler, field, index, station, span_ms),
        status_interval_ms=fleet.status_interval_s * 1_000,
        owner=_owner(scenario, seed, index),
        anchored=index < fleet.anchored,
        power_on_ms=power_on_ms,
        drift_ppm=drift_ppm,
        held=happens(generator, fleet.held_clock_ppm),
        outbox_bytes_max=fleet.outbox_bytes_max,
        region=scenario.region,
        antenna=_antenna(scenario, seed, index, place),
    )


def _antenna(scenario: Scenario, seed: int, index: int, place: Place) -> Antenna:
    gain_db = stream(seed, "antenna", index).gauss(0, scenario.radio.offset_db)
    radios = RADIOS if scenario.region else ()
    return Antenna(place.east_m, place.north_m, radios, gain_db)


def _owner(scenario: Scenario, seed: int, index: int) -> bytes | None:
    fleet = scenario.fleet
    without = range(fleet.anchored, fleet.anchored + fleet.without_owner)
    if index in without:
        return None
    return derive(seed, "owner", index % (fleet.owners or fleet.stations))[:20]


class _WeatherSampler:
    """One station's sensors in one world, from the begin of the first day to the end of the last.

    span_ms: these two. Before it there is nothing to be read yet, after it for ever.
    """

    def __init__(
        self,
        field: Weather,
        index: int,
        station: WeatherStation,
        span_ms: tuple[int, int],
        world: World,
    ) -> None:
        self._field = field
        self._index = index
        self._station = station
        self._start_ms, self._end_ms = span_ms
        self._world = world

    @property
    def stuck(self) -> bool:
        return self._station.stuck

    async def sample(self) -> list[Sample]:
        if self._world.now_ms >= self._end_ms:
            await Event(self._world).wait(None)
        if self._world.now_ms < self._start_ms:
            return []
        return self._station.read(self._field, self._index, self._world.now_ms)
