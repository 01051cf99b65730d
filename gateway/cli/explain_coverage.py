"""Coverage as part of the page of `cairn explain`: what the radio said, and what it was worth."""

import click

from gateway.cli.coverage_text import path_words, print_link_table
from gateway.cli.explain_text_words import Tree, percent, section
from gateway.cli.output import print_facts
from gateway.core.explain import decimal

# What keeps a station from proof, the first that is found being the one to mend first.
_OBSTACLES = (
    "place_implausible",
    "cell_too_coarse",
    "no_commit",
    "bad_reveal",
    "unrevealed",
    "not_heard",
    "no_anchor_path",
    "few_witnesses",
    "place_unproven",
)
_MILLI = -3


def print_coverage(tree: Tree, options: str = "") -> None:
    """Print the coverage of a station's day. options: for the command that is shown."""
    coverage = tree["coverage"]
    if coverage is None:
        section("Coverage: none")
        click.echo("The epoch has no coverage proofs of this station.")
        return
    verifiability = tree["usefulness"]["verifiability_ppm"]
    worth = coverage["u_ppm"] * verifiability // 1_000_000
    section(
        f"Coverage: {percent(worth)} = {percent(coverage['u_ppm'])} usefulness "
        f"x {percent(verifiability)} verifiability"
    )
    print_facts(_facts(coverage))
    if coverage["links"]:
        click.echo()
        print_link_table(coverage["links"], "witness")
        click.echo()
        print_facts(_verdicts(coverage["links"]))
    click.echo(
        f"\nEach beacon: cairn coverage show {tree['station']} --epoch {tree['epoch']}{options}"
    )


def proof_advice(tree: Tree) -> str:
    """What to do first about a station that is unproven."""
    counts = percent(tree["usefulness"]["verifiability_ppm"])
    found = {one["verdict"]: one for one in tree["findings"]}
    for verdict in _OBSTACLES:
        if verdict in found and found[verdict]["do"]:
            return f"{verdict} keeps it at {counts}: {found[verdict]['do']}"
    return f"Ask the operator for an audit: an unproven station counts {counts}."


def _facts(coverage: Tree) -> list[tuple[str, str]]:
    beacons = f"{coverage['heard']} of {coverage['expected']} heard"
    if coverage["unrevealed"]:
        beacons += ", and none counts: the day's secret was not revealed in time"
    hops = coverage["hops"]
    path = "none to an audited station" if hops is None else path_words(hops)
    place = coverage["place"]
    return [
        ("beacons", beacons),
        ("listened", f"{coverage['listening_hours']} of 24 hours, provably"),
        (
            "witnesses",
            f"{coverage['witnesses']} that count: {', '.join(_names(coverage))}"
            if coverage["witnesses"]
            else "none that counts",
        ),
        ("path", path),
        ("today's proof", f"{coverage['class']}, {percent(coverage['v_ppm'])}"),
        ("place", "not tested" if place is None else _place(place)),
    ]


def _place(place: Tree) -> str:
    limits = place["limits"]
    odds, second = decimal(place["odds_milli"], _MILLI), decimal(place["second_z_milli"], _MILLI)
    return (
        f"{place['verdict']}: odds against it {odds} of at most "
        f"{decimal(limits['odds_milli'], _MILLI)} nats, second-largest |z| {second} of at most "
        f"{decimal(limits['second_z_milli'], _MILLI)}, most likely {place['best_m']} m away"
    )


def _names(coverage: Tree) -> list[str]:
    return [
        one["witness"]
        for one in coverage["links"]
        if one["weight_ppm"] and one["heard"] and one["verdict"] != "no_anchor_path"
    ]


def _verdicts(links: list[Tree]) -> list[tuple[str, str]]:
    """Each verdict of the links once, with its advice."""
    return list({one["verdict"]: f"{one['what']} {one['do']}".rstrip() for one in links}.items())
