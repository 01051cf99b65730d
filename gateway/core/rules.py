"""The rule set: every parameter that can change a verdict, a score or a payout.

Parsed from the bytes of spec/rules/*.toml, which say the units and the reasons; a rule set's name
is the SHA-256 of those bytes. Unknown and missing keys are refused, so a rule that this software
does not apply can never look as if it were in force.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.core import h3bits
from gateway.core.emission import (
    Constant,
    Geometric,
    Halving,
    LinearTaper,
    Schedule,
    Table,
    supply_bound,
)
from gateway.core.evidence_rules import (
    CoverageRules,
    PeerRules,
    PlaceRules,
    SpatialRules,
    coverage_rules,
    peer_rules,
    place_rules,
    spatial_rules,
)
from gateway.core.rules_toml import PPM, RulesError, Section

REWARD_RESOLUTION = 7
_DECIMALS_MAX = 36

# What a rule set is made of, whichever module reads it.
__all__ = [
    "PPM",
    "REWARD_RESOLUTION",
    "AllocationRules",
    "CoverageRules",
    "EmissionRules",
    "EpochRules",
    "FileRules",
    "PeerRules",
    "PlaceRules",
    "QualityRules",
    "ReleaseRules",
    "Rules",
    "RulesError",
    "SlotClockRules",
    "SlotRules",
    "SpatialRules",
    "VerifiabilityRules",
    "parse_rules",
    "rules_hash",
]


@dataclass(frozen=True, slots=True)
class EpochRules:
    length_ms: int
    close_after_ms: int


@dataclass(frozen=True, slots=True)
class SlotClockRules:
    slot_ms: int
    future_slots_max: int


@dataclass(frozen=True, slots=True)
class ReleaseRules:
    window_ms: int
    grace_ms: int
    late_ppm: int


@dataclass(frozen=True, slots=True)
class QualityRules:
    threshold_ppm: int
    suspect_ppm: int
    interval_ms_max: int


@dataclass(frozen=True, slots=True)
class VerifiabilityRules:
    unproven_ppm: int
    peer_checked_ppm: int
    witnessed_ppm: int
    anchored_ppm: int


@dataclass(frozen=True, slots=True)
class SlotRules:
    distance_min_m: int
    class_lapse_epochs: int


@dataclass(frozen=True, slots=True)
class AllocationRules:
    """`rate_cap` in base units; `cell_weights` by resolution-7 cell, others weigh the default."""

    unproven_pool_divisor: int
    slope_segment_ppm: int
    slopes: tuple[int, ...]
    rate_cap: int
    carry_reentry_divisor: int
    default_cell_weight: int
    cell_weights: Mapping[int, int]

    def weight(self, cell: int) -> int:
        """Return the weight of a reward cell."""
        return self.cell_weights.get(cell, self.default_cell_weight)


@dataclass(frozen=True, slots=True)
class EmissionRules:
    """`max_supply` in base units bounds the sum of `schedule` over all epochs."""

    decimals: int
    schedule: Schedule
    max_supply: int


@dataclass(frozen=True, slots=True)
class FileRules:
    """SHA-256 of the other files of spec/ that an epoch is computed with."""

    quantities: bytes
    trig: bytes
    radio: bytes
    regions: bytes


@dataclass(frozen=True, slots=True)
class Rules:
    files: FileRules
    epoch: EpochRules
    slot_clock: SlotClockRules
    release: ReleaseRules
    quality: QualityRules
    verifiability: VerifiabilityRules
    slots: SlotRules
    allocation: AllocationRules
    emission: EmissionRules
    coverage: CoverageRules
    place: PlaceRules
    spatial: SpatialRules
    peers: PeerRules


def rules_hash(text: bytes) -> bytes:
    """Return the SHA-256 of a rule file, by which genesis, manifest and operator log name it."""
    return hashlib.sha256(text).digest()


def parse_rules(text: bytes) -> Rules:
    """Return the rules in `text`, the bytes of a rule file, or raise RulesError."""
    try:
        document = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise RulesError(
            "The rule file cannot be read",
            f"it is not TOML in UTF-8 ({error})",
            "Restore the file from the release or the bundle that it came with",
            "rules_not_toml",
        ) from error
    top = Section("the file", document)
    rules = Rules(
        files=_files(top.section("files")),
        epoch=_epoch(top.section("epoch")),
        slot_clock=_slot_clock(top.section("slot_clock")),
        release=_release(top.section("release")),
        quality=_quality(top.section("quality")),
        verifiability=_verifiability(top.section("verifiability")),
        slots=_slots(top.section("slots")),
        allocation=_allocation(top.section("allocation")),
        emission=_emission(top.section("emission")),
        coverage=coverage_rules(top.section("coverage")),
        place=place_rules(top.section("place")),
        spatial=spatial_rules(top.section("spatial")),
        peers=peer_rules(top.section("peers")),
    )
    top.finish()
    _check_across(rules)
    return rules


def _files(section: Section) -> FileRules:
    rules = FileRules(
        quantities=section.sha256("quantities"),
        trig=section.sha256("trig"),
        radio=section.sha256("radio"),
        regions=section.sha256("regions"),
    )
    section.finish()
    return rules


def _epoch(section: Section) -> EpochRules:
    rules = EpochRules(section.integer("length_ms", 1), section.integer("close_after_ms", 0))
    section.finish()
    return rules


def _slot_clock(section: Section) -> SlotClockRules:
    rules = SlotClockRules(section.integer("slot_ms", 1), section.integer("future_slots_max", 0))
    section.finish()
    return rules


def _release(section: Section) -> ReleaseRules:
    rules = ReleaseRules(
        section.integer("window_ms", 1), section.integer("grace_ms", 0), section.ppm("late_ppm")
    )
    section.finish()
    return rules


def _quality(section: Section) -> QualityRules:
    rules = QualityRules(
        section.ppm("threshold_ppm"),
        section.ppm("suspect_ppm"),
        section.integer("interval_ms_max", 1),
    )
    section.finish()
    return rules


def _verifiability(section: Section) -> VerifiabilityRules:
    rules = VerifiabilityRules(
        section.ppm("unproven_ppm"),
        section.ppm("peer_checked_ppm"),
        section.ppm("witnessed_ppm"),
        section.ppm("anchored_ppm"),
    )
    section.finish()
    return rules


def _slots(section: Section) -> SlotRules:
    rules = SlotRules(
        section.integer("distance_min_m", 0), section.integer("class_lapse_epochs", 1)
    )
    section.finish()
    return rules


def _allocation(section: Section) -> AllocationRules:
    rules = AllocationRules(
        unproven_pool_divisor=section.integer("unproven_pool_divisor", 1),
        slope_segment_ppm=section.integer("slope_segment_ppm", 1),
        slopes=section.falling("slopes"),
        rate_cap=section.amount("rate_cap"),
        carry_reentry_divisor=section.integer("carry_reentry_divisor", 1),
        default_cell_weight=section.integer("default_cell_weight", 1),
        cell_weights=_cell_weights(section.sections("cell_weights")),
    )
    section.finish()
    return rules


def _cell_weights(sections: list[Section]) -> dict[int, int]:
    weights: dict[int, int] = {}
    for section in sections:
        text = section.text("cell")
        cell = int(text, 16) if set(text) <= set("0123456789abcdef") and text else 0
        fits = h3bits.is_valid_shape(cell) and h3bits.resolution(cell) == REWARD_RESOLUTION
        if not fits or cell in weights:
            raise RulesError(
                f"The cell {text!r:.80} cannot have a weight",
                "it is listed twice, or is no H3 cell of resolution 7 in lower-case hex",
                "List every reward cell once",
                "rules_bad_value",
            )
        weights[cell] = section.integer("weight", 0)
        section.finish()
    return weights


def _emission(section: Section) -> EmissionRules:
    kind = section.text("kind")
    build = _SCHEDULES.get(kind)
    if build is None:
        raise RulesError(
            f"[emission] kind {kind!r:.80} is unknown",
            "schedules are a closed set",
            f"Use one of {', '.join(_SCHEDULES)}",
            "rules_bad_value",
        )
    rules = EmissionRules(
        decimals=section.integer("decimals", 0, _DECIMALS_MAX),
        schedule=build(section),
        max_supply=section.amount("max_supply"),
    )
    section.finish()
    bound = supply_bound(rules.schedule)
    if bound > rules.max_supply:
        raise RulesError(
            "[emission] can pay out more than max_supply",
            f"its epochs may add up to {bound} base units, max_supply is {rules.max_supply}",
            "Lower the schedule or raise max_supply",
            "rules_supply",
        )
    return rules


def _geometric(section: Section) -> Geometric:
    denominator = section.integer("denominator", 2)
    numerator = section.integer("numerator", 0, denominator - 1)
    period_epochs = section.integer("period_epochs", 1)
    return Geometric(section.amount("initial"), numerator, denominator, period_epochs)


_SCHEDULES: dict[str, Callable[[Section], Schedule]] = {
    "constant": lambda s: Constant(s.amount("amount"), s.integer("epochs", 1)),
    "halving": lambda s: Halving(s.amount("initial"), s.integer("period_epochs", 1)),
    "geometric": _geometric,
    "linear": lambda s: LinearTaper(s.amount("initial"), s.integer("epochs", 1)),
    "table": lambda s: Table(s.amounts("amounts"), s.integer("period_epochs", 1)),
}


def _check_across(rules: Rules) -> None:
    released_ms = rules.release.window_ms + rules.release.grace_ms
    if rules.epoch.length_ms % rules.slot_clock.slot_ms:
        raise _contradiction("epoch.length_ms is no multiple of slot_clock.slot_ms")
    if rules.epoch.close_after_ms < released_ms:
        raise _contradiction("the epoch closes before its last window is released")
    if rules.epoch.close_after_ms <= rules.coverage.reveal_after_ms:
        raise _contradiction("the epoch closes before anything can be revealed")
    if rules.coverage.reveal_after_ms < rules.coverage.witness_until_ms:
        raise _contradiction("secrets are revealed before the last witness report")


def _contradiction(why: str) -> RulesError:
    do = "Change one of the two"
    return RulesError("The rules contradict each other", why, do, "rules_contradiction")
