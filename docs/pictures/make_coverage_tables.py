"""Writes what `cairn bench coverage --json` measured into docs/coverage.md, as Markdown tables.

cairn bench coverage --json | python docs/pictures/make_coverage_tables.py
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "coverage.md"
BEGIN, END = (
    "<!-- measured: made by docs/pictures/make_coverage_tables.py -->\n",
    "<!-- /measured -->",
)
# A missed bar stands out.
WORDS = {True: "yes", False: "**no**"}
SYSTEMS = ("cairn", "none", "helium_2026")

Tree = Mapping[str, Any]


def main() -> None:
    """Replace the part of the page between the two marks."""
    document = json.load(sys.stdin)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"{PAGE} lacks the marks between which the tables go")
    PAGE.write_text(f"{before}{BEGIN}\n{tables(document)}\n{END}{after}", encoding="utf-8")


def tables(document: Tree) -> str:
    """All figures of the bench, one Markdown table after the other."""
    pay = dict(document["pay_against_an_honest_station"])
    shares = document["pool_share_of_1000_unproven"]
    lies = (
        "tpr_at_rule_limits",
        "tpr_at_1pct_fpr",
        "passed_as_proven",
        "helium_2026_tpr_at_1pct_fpr",
    )
    parts = [
        table(
            ("bar", "measured", "wanted", "met"),
            (
                (one["name"], figure(one), f"{one['op']} {one['bar']}", WORDS[one["met"]])
                for one in document["bars"]
            ),
        ),
        table(
            (
                "lie, with the liar's best power",
                "caught, rules' limits",
                "caught at 1 % FPR",
                "passed as proven",
                "`helium_2026` at 1 % FPR",
            ),
            (
                (name, *(figure(one[key]) for key in lies))
                for name, one in document["lies"].items()
            ),
        ),
        table(
            ("accomplices among the five nearest, 3 km", "caught, rules' limits", "at 1 % FPR"),
            (
                (name, *(figure(one[key]) for key in lies[:2]))
                for name, one in document["colluders"].items()
            ),
        ),
        table(
            ("coverage pay of an attack, in honest stations'", *SYSTEMS),
            ((name, *(figure(one[system], 2) for system in SYSTEMS)) for name, one in pay.items()),
        ),
        table(
            ("part of the pool that is taken by", *SYSTEMS),
            [("1,000 keys in empty cells", *(figure(shares[system]) for system in SYSTEMS))],
        ),
        table(
            ("harm done to others", "worth that a victim loses"),
            ((name, figure(one)) for name, one in document["harm"].items()),
        ),
    ]
    if document.get("real_radio"):
        columns = tuple(document["real_radio"][0])
        rows = (tuple(str(one[column]) for column in columns) for one in document["real_radio"])
        parts.append(table(columns, rows))
    return "\n".join(parts)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first cell of a row is code if it is one word."""
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, *cells in rows:
        shown = name if " " in name else f"`{name}`"
        lines.append(f"| {' | '.join([shown, *cells])} |")
    return "\n".join(lines) + "\n"


def figure(one: Tree, digits: int = 3) -> str:
    """A figure with its interval."""
    if one["value"] is None:
        return "-"
    low, high = one["interval_95"]
    return f"{one['value']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


if __name__ == "__main__":
    main()
