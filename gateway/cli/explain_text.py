"""The explanation of a station's epoch as a page: what was paid, why, and how to check it by hand.

It knows the tree of `gateway.core.explain` and nothing of stores or messages. Amounts are tokens,
cut off at four decimals, but in the sums of the pay, where every digit counts; percentages are
exact, since a ppm is the fourth decimal of a percent.
"""

from collections.abc import Mapping

import click

from gateway.cli.explain_coverage import print_coverage, proof_advice
from gateway.cli.explain_text_pay import print_pay
from gateway.cli.explain_text_quality import print_losses, print_quality, worst_loss
from gateway.cli.explain_text_words import Tree, percent, print_findings, section, utc
from gateway.cli.output import heading, print_facts
from gateway.cli.stations import tokens
from gateway.core.genesis import DAY_MS

_UNPROVEN = "unproven"


def print_explanation(tree: Tree, units: Mapping[str, str], options: str = "") -> None:
    """Print the page. units: SenML unit by name of quantity; options: for the commands shown."""
    _print_outcome(tree)
    _print_slot(tree)
    _print_usefulness(tree)
    print_coverage(tree, options)
    print_quality(tree["quality"])
    print_losses(tree, units)
    _print_findings(tree["findings"])
    if tree["pay"] is not None:
        print_pay(tree["pay"])
    _print_owner(tree, options)


# ---- what was paid


def _print_outcome(tree: Tree) -> None:
    outcome, place = tree["outcome"], tree["place"]
    heading(_headline(outcome))
    print_facts(
        [
            ("why", outcome["what"]),
            ("what to do", " ".join(_advice(tree))),
            *_parts(outcome),
            ("station", tree["station"]),
            ("epoch", f"{tree['epoch']}, the UTC day {utc(tree['epoch'] * DAY_MS)[:10]}"),
            ("messages", f"{tree['inputs']['messages']} of that day"),
            ("cell", f"{place['scoring_cell']}, paid in {place['reward_cell']}"),
        ]
    )


def _parts(outcome: Tree) -> list[tuple[str, str]]:
    """Of what was paid, how much for data and how much for coverage."""
    paid, coverage = int(outcome["paid"]), int(outcome["coverage_paid"])
    if not paid:
        return []
    return [("of it", f"{tokens(paid - coverage)} for data, {tokens(coverage)} for coverage")]


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
    advice = [worst_loss(tree["quality"]["quantities"])]
    if tree["verifiability"]["class"] == _UNPROVEN:
        advice.append(proof_advice(tree))
    return advice


# ---- slot, usefulness


def _print_slot(tree: Tree) -> None:
    slot, quality = tree["slot"], tree["quality"]
    if slot["decision"] == "holder":
        section("Slot: holder")
        return
    if slot["decision"] != "standby":
        section("Slot: none")
        click.echo(
            f"A day of {percent(quality['quality_ppm'])} quality is below the threshold of "
            f"{percent(quality['threshold_ppm'])}."
        )
        return
    section(f"Slot: standby, {slot['distance_m']} m from {slot['blocked_by']}")
    click.echo(
        f"Slots are at least {slot['distance_min_m']} m apart, between the centres of the scoring "
        "cells. The station named\nhas the older or better claim: slots go by class (anchored or "
        "witnessed, peer-checked, unproven),\nthen by the first epoch in that class, then by id."
    )


def _print_usefulness(tree: Tree) -> None:
    useful, proof = tree["usefulness"], tree["verifiability"]
    quality, verifiability = useful["quality_ppm"], useful["verifiability_ppm"]
    section(
        f"Usefulness of its data: {percent(useful['u_ppm'])} = {percent(quality)} quality "
        f"x {percent(verifiability)} verifiability"
    )
    since = "" if proof["since_epoch"] is None else f" since epoch {proof['since_epoch']}"
    click.echo(f"{proof['class'].capitalize()}{since}: {proof['why']}.")
    if proof["class"] == _UNPROVEN:
        click.echo(
            "Independent witnesses with a path to an audited station change that; agreeing peers "
            "change a part of it,\nwhere at least one such witness heard the station."
        )


# ---- findings


def _print_findings(findings: list[Tree]) -> None:
    section("Findings" if findings else "Findings: none")
    if findings:
        print_findings(findings)
        return
    click.echo("No message missing without account, none forked, cloned, late or misplaced.")


# ---- owner


def _print_owner(tree: Tree, options: str) -> None:
    outcome = tree["outcome"]
    if outcome["owner"] is None:
        section("Owner: none yet")
        click.echo(
            f"{tokens(int(outcome['held']))} tokens are held for the station and go to the first "
            "owner that it names."
        )
    else:
        section(f"Owner: 0x{outcome['owner']}")
        amount = tokens(int(outcome["owner_cumulative"]))
        click.echo(f"{amount} tokens earned with all stations, up to and including this epoch.")
        if outcome["owner_cumulative"] != "0":
            proof = f"cairn claim proof 0x{outcome['owner']} --epoch {tree['epoch']}{options}"
            click.echo(f"The proof: {proof}")
    click.echo("\nEverything, with whole message ids: the same command with --json.")
