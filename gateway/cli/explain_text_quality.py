"""The quality of a station's day as part of the page of `cairn explain`."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import click

from gateway.cli.explain_text_words import ID_DIGITS, Tree, aligned, percent, section, utc
from gateway.cli.output import print_facts, print_table
from gateway.core.explain import decimal

_MISSING = (
    "No reading came in these windows.",
    "Look at the station's power, clock and connection.",
)
# spec/protocol.md, at the body of readings.
_FAULTS = (
    *("bus did not answer", "checksum", "timeout", "bus stuck", "outside the sensor's range"),
    *("warming up", "not calibrated", "supply too low", "sensor absent"),
)


def print_quality(quality: Tree) -> None:
    """Print how the day's quality came about, by quantity."""
    quantities = quality["quantities"]
    section(
        f"Quality: {percent(quality['quality_ppm'])}, the mean of {len(quantities)} "
        f"(threshold {percent(quality['threshold_ppm'])})"
    )
    if not quantities:
        click.echo("The station declared no quantity that is known.")
        return
    verdicts = list(
        dict.fromkeys(one["verdict"] for part in quantities for one in part["penalties"])
    )
    columns = ["quantity", "every", "expected", "full", "missing", *verdicts, "quality"]
    rows = [_quality_cells(part, verdicts) for part in quantities]
    print_table(columns, rows, right=columns[1:])


def _quality_cells(quality: Tree, verdicts: list[str]) -> list[str]:
    windows = {one["verdict"]: one["windows"] for one in quality["penalties"]}
    counts = [quality["expected"], quality["full"], quality["missing"]]
    return [
        _name(quality),
        f"{decimal(quality['interval_ms'], -3).removesuffix('.000')} s",
        *(str(count) for count in (*counts, *(windows.get(one, 0) for one in verdicts))),
        aligned(quality["quality_ppm"]),
    ]


def _name(quality: Tree) -> str:
    """The quantity, and its channel if it is not the first."""
    channel = quality["channel"]
    return f"{quality['quantity']} {channel}" if channel else str(quality["quantity"])


def _losses(quality: Tree) -> list[dict[str, Any]]:
    """Penalties and missing windows alike; a missing window has no first example."""
    losses = [dict(penalty) for penalty in quality["penalties"]]
    if quality["missing"]:
        missing = {"windows": quality["missing"], "cost_ppm": quality["missing_cost_ppm"]}
        what, do = _MISSING
        losses.append({"verdict": "missing", "what": what, "do": do, "first": None, **missing})
    return losses


def print_losses(tree: Tree, units: Mapping[str, str]) -> None:
    """Print what each rule took, with its first example, and what to do about it."""
    found = [(part, loss) for part in tree["quality"]["quantities"] for loss in _losses(part)]
    if not found:
        return
    section("Lost, in percent of the quantity's own quality")
    columns = ["rule", "quantity", "cost", "first (UTC)", "observed", "limit", "message"]
    rows = [
        [
            loss["verdict"],
            _name(part),
            aligned(loss["cost_ppm"]),
            *_example(loss["first"], units.get(part["quantity"], "")),
        ]
        for part, loss in found
    ]
    print_table(columns, rows, right=["cost"])
    click.echo()
    rules = {loss["verdict"]: f"{loss['what']} {loss['do']}" for _, loss in found}
    print_facts(list(rules.items()))


def _example(first: Tree | None, unit: str) -> list[str]:
    if first is None:
        return ["", "", "", ""]
    return [
        utc(first["time_ms"])[11:],
        *_observed(first, unit),
        first["message"][:ID_DIGITS],
    ]


def _observed(first: Tree, unit: str) -> tuple[str, str]:
    """What was seen and the limit that it broke, in the quantity's unit."""
    value = f"{first['value']} {unit}".rstrip() if "value" in first else ""
    match first:
        case {"change": change, "limit": limit}:
            return f"{value}, a change of {change} {unit}", f"at most {limit} {unit}"
        case {"limit": limit}:
            word = "at most" if Decimal(first["value"]) > Decimal(limit) else "at least"
            return value, f"{word} {limit} {unit}"
        case {"unchanged_min": minutes, "limit_min": limit}:
            return f"{value} for {minutes} min", f"less than {limit} min"
        case {"received_ms": received, "released_ms": released}:
            return f"received {utc(received)[5:]}", f"before {utc(released)[5:]}"
        case {"fault": code}:
            return f"fault {code}: {_fault(code)}", "none"
        case _:
            return value, ""


def _fault(code: int) -> str:
    return _FAULTS[code - 1] if 1 <= code <= len(_FAULTS) else "not in the protocol"


def worst_loss(quantities: list[Tree]) -> str:
    """Say which rule cost most, and what to do about it."""
    costs: dict[str, int] = {}
    advice: dict[str, str] = {}
    for quality in quantities:
        for loss in _losses(quality):
            costs[loss["verdict"]] = costs.get(loss["verdict"], 0) + loss["cost_ppm"]
            advice[loss["verdict"]] = loss["do"]
    if not any(costs.values()):
        return "No reading was lost: nothing to mend."
    worst = max(costs, key=lambda verdict: costs[verdict])
    return f"{worst} cost most: {advice[worst]}"
