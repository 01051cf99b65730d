"""The rules by which evidence is weighed: coverage, place, neighbours, peers.

From the sections of those names. spec/rules/*.toml says units and reasons, spec/coverage.md,
spec/place.md and spec/quality.md how they are applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.rules_toml import RulesError, Section

_DAY_SLOTS = 1_440
_HOURS_MAX = 48
_CDB_MAX = 100_000
_METRES_MAX = 20_100_000


@dataclass(frozen=True, slots=True)
class CoverageRules:
    """`rate_cap` in base units; region: a name of spec/regions.toml."""

    region: str
    beacon_every_slots: int
    reveal_after_ms: int
    witness_until_ms: int
    entropy_late_ms: int
    commit_hours: int
    delay_tolerance_ms: int
    unrevealed_days: int
    unrevealed_within: int
    same_network_ppm: int
    witnesses_full: int
    path_witnesses: int
    hops_max: int
    free_space_margin_cdb: int
    sensitivity_margin_cdb: int
    snr_slack_cdb: int
    co_located_cdb: int
    beacon_part_ppm: int
    listening_part_ppm: int
    pool_ppm: int
    rate_cap: int


@dataclass(frozen=True, slots=True)
class PlaceRules:
    """Levels in cdB, exponents and |z| in thousandths, odds in thousandths of a nat."""

    observations_min: int
    observations_max: int
    silent_min: int
    exponent_milli: tuple[int, ...]
    exponent_mean_milli: int
    exponent_sd_milli: int
    shadow_cdb: int
    fading_cdb: int
    offset_sd_cdb: int
    offset_step_cdb: int
    offset_max_cdb: int
    reference_cdb: int
    odds_limit_milli: int
    second_z_limit_milli: int
    review_z_limit_milli: int
    rings_m: tuple[int, ...]
    bearings: int
    pivot_m: int
    cell_m: int
    audible_cdb: int
    witness_offset_max_cdb: int
    witness_cap_milli: int
    silent_cap_milli: int
    displaced_min_m: int


@dataclass(frozen=True, slots=True)
class SpatialRules:
    """sd_min: by quantity code, in units of the quantity's resolution; others are not compared."""

    window_ms: int
    radius_m: int
    neighbours_min: int
    neighbours_max: int
    threshold_milli: int
    iterations: int
    persist_windows: int
    sd_min: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class CopyRules:
    """What one sensor behind two stations looks like; values in units of the resolution.

    day_floor: sd of the difference of one day's bins, floor: of all days'; spread: sd that a
    series must have itself before the test says anything.
    """

    day_floor: int
    floor: int
    spread: int


@dataclass(frozen=True, slots=True)
class PeerRules:
    """By quantity code: clips, the most that a change counts, in units of the resolution, and
    copies; quantities without an entry are not compared.
    """

    bin_ms: int
    days: int
    radius_m: int
    region_m: int
    region_min: int
    peers_min: int
    peers_max: int
    agreeing: int
    pairs_min: int
    disagree_below_ppm: int
    agree_above_ppm: int
    disagree_ppm: int
    day_bins_min: int
    bins_min: int
    clips: Mapping[int, int]
    copies: Mapping[int, CopyRules]


def coverage_rules(section: Section) -> CoverageRules:
    """Return [coverage], or raise RulesError."""
    rules = CoverageRules(
        region=section.text("region"),
        beacon_every_slots=section.integer("beacon_every_slots", 1, _DAY_SLOTS),
        reveal_after_ms=section.integer("reveal_after_ms", 0),
        witness_until_ms=section.integer("witness_until_ms", 0),
        entropy_late_ms=section.integer("entropy_late_ms", 0, 30_000),
        commit_hours=section.integer("commit_hours", 1, _HOURS_MAX),
        delay_tolerance_ms=section.integer("delay_tolerance_ms", 0),
        unrevealed_days=section.integer("unrevealed_days", 1),
        unrevealed_within=section.integer("unrevealed_within", 1, 366),
        same_network_ppm=section.ppm("same_network_ppm"),
        witnesses_full=section.integer("witnesses_full", 1, 1_000),
        path_witnesses=section.integer("path_witnesses", 1, 1_000),
        hops_max=section.integer("hops_max", 1, 1_000),
        free_space_margin_cdb=section.integer("free_space_margin_cdb", 0, _CDB_MAX),
        sensitivity_margin_cdb=section.integer("sensitivity_margin_cdb", 0, _CDB_MAX),
        snr_slack_cdb=section.integer("snr_slack_cdb", 0, _CDB_MAX),
        co_located_cdb=section.integer("co_located_cdb", -_CDB_MAX, 0),
        beacon_part_ppm=section.ppm("beacon_part_ppm"),
        listening_part_ppm=section.ppm("listening_part_ppm"),
        pool_ppm=section.ppm("pool_ppm"),
        rate_cap=section.amount("rate_cap"),
    )
    section.finish()
    if rules.beacon_part_ppm + rules.listening_part_ppm != 1_000_000:
        raise RulesError(
            "[coverage] has parts that are no whole",
            "beacon_part_ppm and listening_part_ppm do not add up to 1,000,000",
            "Change one of the two",
            "rules_contradiction",
        )
    return rules


def place_rules(section: Section) -> PlaceRules:
    """Return [place], or raise RulesError."""
    rules = PlaceRules(
        observations_min=section.integer("observations_min", 1, 1_000),
        observations_max=section.integer("observations_max", 1, 128),
        silent_min=section.integer("silent_min", 1, _DAY_SLOTS),
        exponent_milli=section.rising("exponent_milli", 10_000, length_max=16),
        exponent_mean_milli=section.integer("exponent_mean_milli", 1, 10_000),
        exponent_sd_milli=section.integer("exponent_sd_milli", 1, 10_000),
        shadow_cdb=section.integer("shadow_cdb", 1, 10_000),
        fading_cdb=section.integer("fading_cdb", 0, 10_000),
        offset_sd_cdb=section.integer("offset_sd_cdb", 1, 10_000),
        offset_step_cdb=section.integer("offset_step_cdb", 50, 10_000),
        offset_max_cdb=section.integer("offset_max_cdb", 0, 4_000),
        reference_cdb=section.integer("reference_cdb", 0, _CDB_MAX),
        odds_limit_milli=section.integer("odds_limit_milli", 0, 10**9),
        second_z_limit_milli=section.integer("second_z_limit_milli", 0, 10**6),
        review_z_limit_milli=section.integer("review_z_limit_milli", 0, 10**6),
        rings_m=section.rising("rings_m", 200_000, length_max=16),
        bearings=section.integer("bearings", 4, 36),
        pivot_m=section.integer("pivot_m", 1, 1_000_000),
        cell_m=section.integer("cell_m", 1, 1_000_000),
        audible_cdb=section.integer("audible_cdb", -30_000, -1),
        witness_offset_max_cdb=section.integer("witness_offset_max_cdb", 1, 1_000_000),
        witness_cap_milli=section.integer("witness_cap_milli", 1, 1_000_000),
        silent_cap_milli=section.integer("silent_cap_milli", 1, 1_000_000),
        displaced_min_m=section.integer("displaced_min_m", 1, 1_000_000),
    )
    section.finish()
    return rules


def spatial_rules(section: Section) -> SpatialRules:
    """Return [spatial], or raise RulesError."""
    rules = SpatialRules(
        window_ms=section.integer("window_ms", 1),
        radius_m=section.integer("radius_m", 1, _METRES_MAX),
        neighbours_min=section.integer("neighbours_min", 1, 1_000),
        neighbours_max=section.integer("neighbours_max", 1, 64),
        threshold_milli=section.integer("threshold_milli", 1, 10**6),
        iterations=section.integer("iterations", 1, 8),
        persist_windows=section.integer("persist_windows", 1, _DAY_SLOTS),
        sd_min=_by_quantity(section.sections("sd_min")),
    )
    section.finish()
    return rules


def peer_rules(section: Section) -> PeerRules:
    """Return [peers], or raise RulesError."""
    rules = PeerRules(
        bin_ms=section.integer("bin_ms", 60_000),
        days=section.integer("days", 1, 31),
        radius_m=section.integer("radius_m", 1, _METRES_MAX),
        region_m=section.integer("region_m", 1, _METRES_MAX),
        region_min=section.integer("region_min", 2, 1_000),
        peers_min=section.integer("peers_min", 1, 64),
        peers_max=section.integer("peers_max", 1, 64),
        agreeing=section.integer("agreeing", 1, 64),
        pairs_min=section.integer("pairs_min", 8, 10**6),
        disagree_below_ppm=section.ppm("disagree_below_ppm"),
        agree_above_ppm=section.ppm("agree_above_ppm"),
        disagree_ppm=section.ppm("disagree_ppm"),
        day_bins_min=section.integer("day_bins_min", 2, _DAY_SLOTS),
        bins_min=section.integer("bins_min", 2, 31 * _DAY_SLOTS),
        clips=_by_quantity(section.sections("clips")),
        copies=_copies(section.sections("copies")),
    )
    section.finish()
    return rules


def _copies(sections: list[Section]) -> dict[int, CopyRules]:
    rules: dict[int, CopyRules] = {}
    for section in sections:
        quantity = section.integer("quantity", 0)
        if quantity in rules:
            raise _twice(quantity)
        rules[quantity] = CopyRules(
            section.integer("day_floor", 0, 10**6),
            section.integer("floor", 0, 10**6),
            section.integer("spread", 1, 10**6),
        )
        section.finish()
    return rules


def _by_quantity(sections: list[Section]) -> dict[int, int]:
    """Values in units of a quantity's resolution, by its code; each is listed once."""
    values: dict[int, int] = {}
    for section in sections:
        quantity = section.integer("quantity", 0)
        if quantity in values:
            raise _twice(quantity)
        values[quantity] = section.integer("value", 0, 10**9)
        section.finish()
    return values


def _twice(quantity: int) -> RulesError:
    return RulesError(
        f"The quantity {quantity} is listed twice",
        "which of the two values counts is not known",
        "List every quantity once",
        "rules_bad_value",
    )
