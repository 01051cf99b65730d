"""Why a station was paid what it was paid in an epoch, as a tree from the pay to the messages.

Built from the manifest and the station table alone, so a bundle explains itself. The tree is
made of dicts, lists, text and integers; amounts and sums are decimal text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core.coverage.model import NO_COVERAGE, Coverage
from gateway.core.epoch_inputs import Penalty, QuantityQuality, StationRow, Terms
from gateway.core.explain_coverage import CLASS_NAMES, advice, coverage_tree, finding_tree
from gateway.core.ids import device_name
from gateway.core.manifest import Manifest
from gateway.core.quantities import Quantity
from gateway.core.rules import PPM, Rules
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict

Tree = dict[str, Any]

_FORMULAS = {
    "pool_share": "A = P * w * g(U) * u // (Z * U)",
    "unproven_share": "B = (P // divisor) * w * g(U') * u // (Z' * U')",
    "rate_cap": "R = cap * w * g(U) * u // (w0 * slopes[0] * segment * U)",
}


def find_station(stations: Iterable[StationRow], device: bytes) -> StationRow | None:
    """Return the row of a station, None if the epoch has none."""
    return next((row for row in stations if row.device == device), None)


def explain(
    manifest: Manifest,
    row: StationRow,
    rules: Rules,
    quantities: Mapping[int, Quantity],
    coverage: Coverage = NO_COVERAGE,
) -> Tree:
    """Return the explanation of one station's epoch.

    rules, quantities, coverage: those that the manifest names.
    """
    own = next((one for one in coverage.stations if one.device == row.device), None)
    return {
        "epoch": manifest.epoch,
        "station": device_name(row.device),
        "outcome": _outcome(row),
        "pay": _pay(manifest, row, rules),
        "slot": _slot(row, rules),
        "usefulness": {
            "formula": "u = quality * verifiability // 1,000,000",
            "quality_ppm": row.quality_ppm,
            "verifiability_ppm": row.v_ppm,
            "u_ppm": row.u_ppm,
        },
        "verifiability": {
            "class": CLASS_NAMES[row.station_class],
            "why": _why(row),
            "since_epoch": row.since_epoch,
            "proof_epoch": row.proof_epoch,
        },
        "coverage": None if own is None else coverage_tree(own, coverage.links, rules),
        "quality": {
            "formula": "mean over the declared quantities, rounded down",
            "quality_ppm": row.quality_ppm,
            "threshold_ppm": rules.quality.threshold_ppm,
            "quantities": [_quality(quality, quantities) for quality in row.quantities],
        },
        "findings": [finding_tree(finding) for finding in row.findings],
        "inputs": {
            "messages": row.messages,
            "samples": [message_id.hex() for message_id in row.samples],
            "message_root": manifest.message_root.hex(),
        },
        "place": {
            "scoring_cell": f"{row.scoring_cell:x}",
            "centre_e6": list(row.centre),
            "reward_cell": f"{row.reward_cell:x}",
        },
    }


def _why(row: StationRow) -> str:
    """Where the class comes from: this epoch's evidence, or that of an earlier one."""
    if row.station_class is StationClass.UNPROVEN:
        return "nobody independent could have contradicted it yet"
    if row.proof_epoch is None:
        return "the operator has audited it by hand (operator log)"
    proven = "independent witnesses heard it"
    if row.station_class is StationClass.PEER_CHECKED:
        proven = "an independent witness heard it, and its peers agree with it"
    return f"{proven}, last in epoch {row.proof_epoch}"


def _outcome(row: StationRow) -> Tree:
    outcome: Tree = {
        "paid": str(row.paid),
        "coverage_paid": str(row.coverage_paid),
        "held": str(row.held),
        "owner": row.owner.hex() if row.owner else None,
        "owner_cumulative": str(row.cumulative) if row.owner else None,
        **advice(row.reason),
    }
    if row.blocked_by is not None:
        outcome["blocked_by"] = device_name(row.blocked_by)
    return outcome


def _slot(row: StationRow, rules: Rules) -> Tree:
    if row.holder:
        return {"decision": "holder"}
    if row.blocked_by is None:
        return {"decision": "no candidate: quality below the threshold"}
    return {
        "decision": "standby",
        "blocked_by": device_name(row.blocked_by),
        "distance_m": row.distance_m,
        "distance_min_m": rules.slots.distance_min_m,
    }


def _pay(manifest: Manifest, row: StationRow, rules: Rules) -> Tree | None:
    """The two parts of a slot holder's pay; each is its own pool, cap and usefulness."""
    if row.terms is None:
        return None
    totals = manifest.totals
    data_pool = totals.offered - totals.coverage_offered
    parts: Tree = {
        "value": str(row.paid),
        "data": _part(data_pool, rules.allocation.rate_cap, row.u_ppm, row.terms, rules),
        "coverage": None,
    }
    if row.coverage_terms is not None:
        pool, cap = totals.coverage_offered, rules.coverage.rate_cap
        parts["coverage"] = _part(pool, cap, row.coverage_u_ppm, row.coverage_terms, rules)
    return parts


def _part(pool: int, cap: int, u_ppm: int, terms: Terms, rules: Rules) -> Tree:
    amounts = {
        "pool_share": terms.pool_share,
        "unproven_share": terms.unproven_share,
        "rate_cap": terms.rate_cap,
    }
    present = {name: value for name, value in amounts.items() if value is not None}
    allocation = rules.allocation
    return {
        "formula": f"min of {', '.join(present)}",
        "terms": [
            {"name": name, "formula": _FORMULAS[name], "value": str(value)}
            for name, value in present.items()
        ],
        # Of equal terms the first decides, in the order A, B, R.
        "bound": min(present, key=lambda name: present[name]),
        "value": str(min(present.values())),
        "numbers": {
            "P": str(pool),
            "divisor": allocation.unproven_pool_divisor,
            "cap": str(cap),
            "w0": allocation.default_cell_weight,
            "slopes": list(allocation.slopes),
            "segment": allocation.slope_segment_ppm,
            "w": terms.weight,
            "u": u_ppm,
            "U": terms.cell_u_ppm,
            "g(U)": str(terms.cell_points),
            "Z": str(terms.all_points),
            "U'": terms.unproven_u_ppm,
            "g(U')": str(terms.unproven_points),
            "Z'": str(terms.all_unproven_points),
        },
    }


def _quality(quality: QuantityQuality, quantities: Mapping[int, Quantity]) -> Tree:
    known = quantities.get(quality.quantity)
    return {
        "quantity": str(quality.quantity) if known is None else known.name,
        "channel": quality.channel,
        "interval_ms": quality.interval_ms,
        "formula": "sum of credits // expected",
        "expected": quality.expected,
        "full": quality.full,
        "missing": quality.missing,
        "missing_cost_ppm": quality.missing * PPM // quality.expected,
        "credit_ppm": quality.credit_ppm,
        "quality_ppm": quality.quality_ppm,
        "penalties": [_penalty(penalty, quality.expected, known) for penalty in quality.penalties],
    }


def _penalty(penalty: Penalty, expected: int, quantity: Quantity | None) -> Tree:
    first: Tree = {"message": penalty.message_id.hex(), "time_ms": penalty.time_ms}
    if penalty.value is not None:
        first["value"] = decimal(penalty.value, penalty.exponent)
    first |= _against(penalty, quantity)
    return {
        **advice(penalty.verdict),
        "readings": penalty.readings,
        "windows": penalty.windows,
        "cost_ppm": penalty.lost_ppm // expected,
        "first": first,
    }


def _against(penalty: Penalty, quantity: Quantity | None) -> Tree:
    """Return what was observed and the limit, in units that a person reads."""
    resolution = 0 if quantity is None else quantity.resolution
    unit = "" if quantity is None else quantity.unit
    observed, limit = penalty.observed, penalty.limit
    match penalty.verdict:
        case Verdict.OUT_OF_RANGE if limit is not None:
            return {"limit": decimal(limit, resolution), "unit": unit}
        case Verdict.STEP if observed is not None and limit is not None:
            return {
                "change": decimal(observed, resolution),
                "limit": decimal(limit, resolution),
                "unit": unit,
            }
        case Verdict.FLAT_LINE:
            return {"unchanged_min": observed, "limit_min": limit}
        case Verdict.SENSOR_FAULT:
            return {"fault": observed}
        case Verdict.POST_RELEASE:
            return {"received_ms": observed, "released_ms": limit}
        case _:
            return {}


def decimal(value: int, exponent: int) -> str:
    """Return value * 10**exponent as decimal text, exactly."""
    if exponent >= 0:
        return str(value * 10**exponent)
    digits = str(abs(value)).rjust(1 - exponent, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:exponent]}.{digits[exponent:]}"
