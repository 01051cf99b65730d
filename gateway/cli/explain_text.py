"""The explanation of a station's epoch as a page: what was paid, why, and how to check it by hand.

It knows the tree of `gateway.core.explain` and nothing of stores or messages. Amounts are tokens,
cut off at four decimals, but in the sums of the pay, where every digit counts; percentages are
exact, since a ppm is the fourth decimal of a percent.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import click

from gateway.cli.output import heading, print_facts, print_table
from gateway.cli.stations import DECIMALS, tokens
from gateway.core.explain import decimal
from gateway.core.genesis import DAY_MS

Tree = Mapping[str, Any]

_UNPROVEN = "unproven"
_ID_DIGITS = 16
_PERCENT_EXPONENT = -4
_MINUTE_MS = 60_000
_MISSING = (
    "No reading came in these windows.",
    "Look at the station's power, clock and connection.",
)
_TERMS = {"pool_share": "pool share", "unproven_share": "unproven share", "rate_cap": "rate cap"}
_LETTERS = {
    "P": "pool offered by this epoch, in tokens",
    "w": "weight of the station's reward cell",
    "w0": "weight of an ordinary cell",
    "u": "usefulness of this station, in ppm",
    "U": "sum of u over the slot holders of the reward cell",
    "g(U)": "points of that sum: a cell's second full station adds less than the first",
    "Z": "sum of w * g(U) over all cells",
    "U'": "as U, over unproven holders alone",
    "g(U')": "points of that sum",
    "Z'": "as Z, over unproven holders alone",
    "divisor": "P divided by this is the most that all unproven stations get together",
    "cap": "the most that a lone, full station can earn, in tokens",
    "slopes[0]": "points per ppm of a cell's first full station",
    "segment": "u of one full station, in ppm",
}
_LETTER = re.compile("|".join(map(re.escape, sorted(_LETTERS, key=len, reverse=True))))
# spec/protocol.md, at the body of readings.
_FAULTS = (
    *("bus did not answer", "checksum", "timeout", "bus stuck", "outside the sensor's range"),
    *("warming up", "not calibrated", "supply too low", "sensor absent"),
)
_IN_TOKENS = {"P", "cap"}


def print_explanation(tree: Tree, units: Mapping[str, str], options: str = "") -> None:
    """Print the page. units: SenML unit by name of quantity; options: for the commands shown."""
    _print_outcome(tree)
    _print_slot(tree)
    _print_usefulness(tree)
    _print_quality(tree["quality"])
    _print_losses(tree, units)
    _print_findings(tree["findings"])
    if tree["pay"] is not None:
        _print_pay(tree["pay"])
    _print_owner(tree, options)


# ---- what was paid


def _print_outcome(tree: Tree) -> None:
    outcome, place = tree["outcome"], tree["place"]
    heading(_headline(outcome))
    print_facts(
        [
            ("why", outcome["what"]),
            ("what to do", " ".join(_advice(tree))),
            ("station", tree["station"]),
            ("epoch", f"{tree['epoch']}, the UTC day {_utc(tree['epoch'] * DAY_MS)[:10]}"),
            ("messages", f"{tree['inputs']['messages']} of that day"),
            ("cell", f"{place['scoring_cell']}, paid in {place['reward_cell']}"),
        ]
    )


def _headline(outcome: Tree) -> str:
    owner = "the station, which has no owner yet"
    if outcome["owner"] is not None:
        owner = f"0x{outcome['owner']}"
    paid = int(outcome["paid"])
    if not paid:
        return f"Nothing paid to {owner}: {outcome['verdict']}"
    verb = "paid to" if outcome["owner"] is not None else "held for"
    return f"{tokens(paid)} tokens {verb} {owner}: {outcome['verdict']}"


def _advice(tree: Tree) -> list[str]:
    """The verdict's advice; if it has none, about the sensor and about verifiability."""
    if tree["outcome"]["do"]:
        return [tree["outcome"]["do"]]
    advice = [_worst_loss(tree["quality"]["quantities"])]
    if tree["verifiability"]["class"] == _UNPROVEN:
        counts = _percent(tree["usefulness"]["verifiability_ppm"])
        advice.append(f"Ask the operator for an audit: an unproven station counts {counts}.")
    return advice


def _worst_loss(quantities: list[Tree]) -> str:
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


# ---- slot, usefulness


def _print_slot(tree: Tree) -> None:
    slot, quality = tree["slot"], tree["quality"]
    if slot["decision"] == "holder":
        _section("Slot: holder")
        return
    if slot["decision"] != "standby":
        _section("Slot: none")
        click.echo(
            f"A day of {_percent(quality['quality_ppm'])} quality is below the threshold of "
            f"{_percent(quality['threshold_ppm'])}."
        )
        return
    _section(f"Slot: standby, {slot['distance_m']} m from {slot['blocked_by']}")
    click.echo(
        f"Slots are at least {slot['distance_min_m']} m apart, between the centres of the scoring "
        "cells. The station named\nhas the older or better claim: slots go by class (anchored or "
        "witnessed, peer-checked, unproven),\nthen by the first epoch in that class, then by id."
    )


def _print_usefulness(tree: Tree) -> None:
    useful, proof = tree["usefulness"], tree["verifiability"]
    quality, verifiability = useful["quality_ppm"], useful["verifiability_ppm"]
    _section(
        f"Usefulness: {_percent(useful['u_ppm'])} = {_percent(quality)} quality "
        f"x {_percent(verifiability)} verifiability"
    )
    since = "" if proof["since_epoch"] is None else f" since epoch {proof['since_epoch']}"
    click.echo(f"{proof['class'].capitalize()}{since}: {proof['why']}.")
    if proof["class"] == _UNPROVEN:
        click.echo(
            "So far only the operator's audit can change that: neither peers nor witnesses count."
        )


# ---- quality


def _print_quality(quality: Tree) -> None:
    quantities = quality["quantities"]
    _section(
        f"Quality: {_percent(quality['quality_ppm'])}, the mean of {len(quantities)} "
        f"(threshold {_percent(quality['threshold_ppm'])})"
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
        _aligned(quality["quality_ppm"]),
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


def _print_losses(tree: Tree, units: Mapping[str, str]) -> None:
    found = [(part, loss) for part in tree["quality"]["quantities"] for loss in _losses(part)]
    if not found:
        return
    _section("Lost, in percent of the quantity's own quality")
    columns = ["rule", "quantity", "cost", "first (UTC)", "observed", "limit", "message"]
    rows = [
        [
            loss["verdict"],
            _name(part),
            _aligned(loss["cost_ppm"]),
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
        _utc(first["time_ms"])[11:],
        *_observed(first, unit),
        first["message"][:_ID_DIGITS],
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
            return f"received {_utc(received)[5:]}", f"before {_utc(released)[5:]}"
        case {"fault": code}:
            return f"fault {code}: {_fault(code)}", "none"
        case _:
            return value, ""


def _fault(code: int) -> str:
    return _FAULTS[code - 1] if 1 <= code <= len(_FAULTS) else "not in the protocol"


def _print_findings(findings: list[Tree]) -> None:
    _section("Findings" if findings else "Findings: none")
    if not findings:
        click.echo("No message missing without account, none forked, cloned, late or misplaced.")
        return
    print_table(
        ["finding", "count", "messages"],
        [
            [
                one["verdict"],
                str(one["count"]),
                " ".join(message[:_ID_DIGITS] for message in one["examples"]),
            ]
            for one in findings
        ],
        right=["count"],
    )
    click.echo()
    print_facts([(one["verdict"], f"{one['what']} {one['do']}") for one in findings])


# ---- pay


def _print_pay(pay: Tree) -> None:
    _section(f"Pay: the smallest of {len(pay['terms'])} terms, in tokens")
    numbers = _numbers(pay["numbers"])
    names = [_TERMS[term["name"]] for term in pay["terms"]]
    amounts = [tokens(int(term["value"])) for term in pay["terms"]]
    wide, far = max(map(len, names)), max(map(len, amounts))
    used: set[str] = set()
    for term, name, amount in zip(pay["terms"], names, amounts, strict=True):
        mark = "->" if term["name"] == pay["bound"] else "  "
        letter, formula = term["formula"].replace("//", "/").split(" = ")
        used.update(_LETTER.findall(formula))
        lead = f"{mark} {letter}  {name:<{wide}}  {amount:>{far}}"
        click.echo(f"{lead}  = {formula}")
        click.echo(f"{' ' * len(lead)}  = {_LETTER.sub(lambda m: numbers[m[0]], formula)}")
    click.echo(
        f"\nThe {_TERMS[pay['bound']]} (->) is the smallest: "
        f"exactly {pay['value']} base units of 10^-{DECIMALS} token.\n"
    )
    print_table(
        ["letter", "value", "meaning"],
        [[letter, numbers[letter], _LETTERS[letter]] for letter in _LETTERS if letter in used],
        right=["value"],
    )


def _numbers(numbers: Tree) -> dict[str, str]:
    """The value of each letter, as it stands in a sum."""
    flat = {**numbers, "slopes[0]": numbers["slopes"][0]}
    return {
        letter: exact_tokens(int(flat[letter])) if letter in _IN_TOKENS else str(flat[letter])
        for letter in _LETTERS
    }


def exact_tokens(amount: int) -> str:
    """Base units as tokens with every digit, without idle zeros."""
    return _trimmed(decimal(amount, -DECIMALS))


# ---- owner


def _print_owner(tree: Tree, options: str) -> None:
    outcome = tree["outcome"]
    if outcome["owner"] is None:
        _section("Owner: none yet")
        click.echo(
            f"{tokens(int(outcome['held']))} tokens are held for the station and go to the first "
            "owner that it names."
        )
    else:
        _section(f"Owner: 0x{outcome['owner']}")
        amount = tokens(int(outcome["owner_cumulative"]))
        click.echo(f"{amount} tokens earned with all stations, up to and including this epoch.")
        if outcome["owner_cumulative"] != "0":
            proof = f"cairn claim proof 0x{outcome['owner']} --epoch {tree['epoch']}{options}"
            click.echo(f"The proof: {proof}")
    click.echo("\nEverything, with whole message ids: the same command with --json.")


# ---- words


def _section(title: str) -> None:
    click.echo()
    heading(title)


def _percent(ppm: int) -> str:
    return f"{_trimmed(decimal(ppm, _PERCENT_EXPONENT))} %"


def _aligned(ppm: int) -> str:
    """As in a column: all four decimals."""
    return f"{decimal(ppm, _PERCENT_EXPONENT)} %"


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _utc(ms: int) -> str:
    """The time in UTC, with milliseconds if there are any."""
    text = datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{ms % 1000:03d}" if ms % 1000 else text
