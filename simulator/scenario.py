"""Scenarios: what a run simulates, read strictly from TOML. Reference: docs/simulator.md.

It owns the shape of a scenario file and the list of shipped ones; it starts nothing.
"""

from __future__ import annotations

import datetime as dt
import difflib
import math
import tomllib
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from simulator.adversary import ATTACKS
from simulator.liars import Liars
from simulator.medium import STATIONS_MAX
from simulator.network import Faults
from simulator.places import Town
from simulator.radio import PRESETS
from simulator.sensors import ErrorShares

SHIPPED = Path(__file__).parent / "scenarios"
PPM = 1_000_000
COUNT_MAX = 10_000_000
DAY_MS = 86_400_000
MINUTE_MS = 60_000
# Codes of spec/regions.toml; a network of which nobody beacons has none.
REGIONS = {"none": 0, "EU868": 1, "US915": 2}

Table = TypeVar("Table")


class ScenarioInvalid(ValueError):  # noqa: N818 - says what is wrong
    """A scenario that cannot be run: which key, why, and what to write instead."""


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """How many stations of what kind. Anchored ones are the first, close ones the last."""

    stations: int = field(metadata={"range": (1, 100_000)})
    close_stations: int = 0
    anchored: int = 0
    without_owner: int = 0
    owners: int = field(default=0, metadata={"range": (0, 100_000)})
    sample_interval_s: int = field(default=300, metadata={"range": (1, 86_400)})
    samples_per_message: int = field(default=2, metadata={"range": (1, 64)})
    status_interval_s: int = field(default=3_600, metadata={"range": (60, 86_400)})
    power_on_within_s: int = field(default=60, metadata={"range": (1, 86_400)})
    held_clock_ppm: int = 0
    clock_drift_ppm_max: int = field(default=20, metadata={"range": (0, 500)})
    outbox_bytes_max: int = field(default=524_288, metadata={"range": (65_536, 16_777_216)})


@dataclass(frozen=True, slots=True)
class WeatherOptions:
    mean_c: float = field(default=8.0, metadata={"range": (-40.0, 45.0)})


@dataclass(frozen=True, slots=True)
class RadioOptions:
    """What stations beacon with. offset_db: how far (sd) each one's antenna is off."""

    region: str = "none"
    surroundings: str = "town"
    offset_db: float = field(default=2.0, metadata={"range": (0.0, 20.0)})


@dataclass(frozen=True, slots=True)
class BoardOptions:
    """What only boards on real MicroPython have. power_cuts: how often each one loses its power
    inside a change of its flash. store_every_s: how long a signed message may wait for its write.
    """

    power_cuts: int = field(default=0, metadata={"range": (0, 20)})
    store_every_s: int = field(default=60, metadata={"range": (0, 3_600)})


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run: `days` whole UTC days from the beginning of `start`; minutes, if not 0: of the last
    day only so many. lead_minutes: how much earlier boards with radios are switched on, so that
    they have committed themselves by then.
    """

    name: str
    description: str
    start: dt.date
    fleet: FleetOptions
    days: int = field(default=1, metadata={"range": (1, 366)})
    minutes: int = field(default=0, metadata={"range": (0, 1_440)})
    lead_minutes: int = field(default=120, metadata={"range": (0, 1_440)})
    town: Town = field(default_factory=Town)
    weather: WeatherOptions = field(default_factory=WeatherOptions)
    errors: ErrorShares = field(default_factory=ErrorShares)
    faults: Faults = field(default_factory=Faults)
    radio: RadioOptions = field(default_factory=RadioOptions)
    liars: Liars = field(default_factory=Liars)
    boards: BoardOptions = field(default_factory=BoardOptions)
    # No key: the name or path by which it was loaded, so that a run can say how to repeat it.
    source: str = field(default="", metadata={"key": False})

    @property
    def region(self) -> int:
        """The region's code, 0: no station has a radio."""
        return REGIONS[self.radio.region]

    @property
    def lead_ms(self) -> int:
        return self.lead_minutes * MINUTE_MS if self.region else 0

    @property
    def start_ms(self) -> int:
        return (self.start - dt.date(1970, 1, 1)).days * DAY_MS

    @property
    def end_ms(self) -> int:
        whole = self.days - 1 if self.minutes else self.days
        return self.start_ms + whole * DAY_MS + self.minutes * MINUTE_MS


def load_scenario(name_or_path: str) -> Scenario:
    """A shipped scenario by its name, or any by the path of its file. ScenarioInvalid if not."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = SHIPPED / f"{name_or_path}.toml"
        if name_or_path not in shipped_names():
            suggestion = _suggestion(name_or_path, shipped_names())
            raise ScenarioInvalid(f"there is no scenario {name_or_path!r}{suggestion}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioInvalid(f"the scenario {path} cannot be read: {error}") from error
    return replace(parse_scenario(text, path.name), source=name_or_path)


def shipped_names() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def parse_scenario(text: str, source: str) -> Scenario:
    """Read one scenario; `source` names it in errors."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioInvalid(f"{source}: not TOML: {error}") from error
    scenario = _read_table(Scenario, document, source, "")
    _check_sums(scenario, source)
    _check_radio(scenario, source)
    return scenario


def _check_sums(scenario: Scenario, source: str) -> None:
    fleet = scenario.fleet
    special = fleet.close_stations + fleet.anchored + fleet.without_owner
    if special > fleet.stations or fleet.close_stations >= fleet.stations:
        raise ScenarioInvalid(
            f"{source}: fleet: close_stations, anchored and without_owner together must not "
            f"exceed the {fleet.stations} stations"
        )
    if sum(int(getattr(scenario.errors, f.name)) for f in fields(scenario.errors)) > PPM:
        raise ScenarioInvalid(f"{source}: errors: the shares add up to more than {PPM} ppm")


def _check_radio(scenario: Scenario, source: str) -> None:
    choices = (("region", list(REGIONS)), ("surroundings", list(PRESETS)))
    for key, known in choices:
        value = getattr(scenario.radio, key)
        if value not in known:
            raise ScenarioInvalid(
                f"{source}: 'radio.{key}' is {value!r}{_suggestion(value, known)}"
            )
    if scenario.region and scenario.fleet.stations > STATIONS_MAX:
        raise ScenarioInvalid(
            f"{source}: a region with {scenario.fleet.stations} stations; at most {STATIONS_MAX} "
            "can have radios"
        )
    for name, _ in scenario.liars.counts():
        if ATTACKS[name].radio and not scenario.region:
            raise ScenarioInvalid(
                f"{source}: 'liars.{name}' lies by radio, and 'radio.region' is 'none'; write "
                "EU868 or US915"
            )


def _read_table(kind: type[Table], values: dict[str, Any], source: str, prefix: str) -> Table:
    known = {f.name: f for f in fields(kind) if f.metadata.get("key", True)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    for key in values:
        if key not in known:
            raise ScenarioInvalid(
                f"{source}: unknown key {prefix + key!r}{_suggestion(key, list(known))}"
            )
    arguments = {}
    for name, spec in known.items():
        if name in values:
            arguments[name] = _read_value(hints[name], spec, values[name], source, prefix + name)
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise ScenarioInvalid(f"{source}: the key {prefix + name!r} is missing")
    return kind(**arguments)


def _read_value(hint: Any, spec: Field[Any], value: Any, source: str, key: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise ScenarioInvalid(f"{source}: {key!r} must be a table")
        return _read_table(hint, value, source, key + ".")
    if hint == tuple[int, ...]:
        if not isinstance(value, list):
            raise ScenarioInvalid(f"{source}: {key!r} must be a list of integers")
        return tuple(_read_number(int, spec, item, source, key) for item in value)
    if hint is int or hint is float:
        return _read_number(hint, spec, value, source, key)
    # A datetime is a date to isinstance, but not one here.
    if type(value) is not hint:
        raise ScenarioInvalid(f"{source}: {key!r} must be a {hint.__name__}, not {value!r}")
    return value


def _read_number(
    hint: type[int | float], spec: Field[Any], value: Any, source: str, key: str
) -> int | float:
    allowed = (int,) if hint is int else (int, float)
    if type(value) not in allowed or not math.isfinite(value):
        raise ScenarioInvalid(f"{source}: {key!r} must be a {hint.__name__}, not {value!r}")
    low, high = spec.metadata.get("range", (0, PPM if "_ppm" in spec.name else COUNT_MAX))
    if not low <= value <= high:
        raise ScenarioInvalid(f"{source}: {key!r} must lie in {low}..{high}, not {value}")
    return hint(value)


def _suggestion(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(known)}"
