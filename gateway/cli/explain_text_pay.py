"""The pay of a station as part of the page of `cairn explain`: every term, with its numbers.

Amounts in the sums have every digit, so that they can be computed by hand.
"""

import re

import click

from gateway.cli.explain_text_words import Tree, section, trimmed
from gateway.cli.output import print_table
from gateway.cli.stations import DECIMALS, tokens
from gateway.core.explain import decimal

_TERMS = {"pool_share": "pool share", "unproven_share": "unproven share", "rate_cap": "rate cap"}
_LETTERS = {
    "P": "this part of the pool offered by the epoch, in tokens",
    "w": "weight of the station's reward cell",
    "w0": "weight of an ordinary cell",
    "u": "usefulness of this station in this part, in ppm",
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
_IN_TOKENS = {"P", "cap"}


def print_pay(pay: Tree) -> None:
    """Print the parts of the pay: for data, and for coverage."""
    for name in ("data", "coverage"):
        part = pay[name]
        if part is not None and part["numbers"]["u"]:
            _print_part(name, part)
        else:
            section(f"Pay for {name}: nothing, its usefulness being 0")


def _print_part(name: str, part: Tree) -> None:
    section(f"Pay for {name}: the smallest of {len(part['terms'])} terms, in tokens")
    numbers = _numbers(part["numbers"])
    names = [_TERMS[term["name"]] for term in part["terms"]]
    amounts = [tokens(int(term["value"])) for term in part["terms"]]
    wide, far = max(map(len, names)), max(map(len, amounts))
    used: set[str] = set()
    for term, word, amount in zip(part["terms"], names, amounts, strict=True):
        mark = "->" if term["name"] == part["bound"] else "  "
        letter, formula = term["formula"].replace("//", "/").split(" = ")
        used.update(_LETTER.findall(formula))
        lead = f"{mark} {letter}  {word:<{wide}}  {amount:>{far}}"
        click.echo(f"{lead}  = {formula}")
        click.echo(f"{' ' * len(lead)}  = {_LETTER.sub(lambda m: numbers[m[0]], formula)}")
    click.echo(
        f"\nThe {_TERMS[part['bound']]} (->) is the smallest: "
        f"exactly {part['value']} base units of 10^-{DECIMALS} token.\n"
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
    return trimmed(decimal(amount, -DECIMALS))
