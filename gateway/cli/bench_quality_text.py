"""What `cairn bench quality` found, as tables and as a picture."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from gateway.cli.bench_quality_seed import DETECTORS
from gateway.cli.output import heading, print_facts, print_table
from gateway.shell.errors import Code, OperatorFault

_RATES = (("auc", "AUC"), ("tpr_at_fpr_1", "at 1 %"), ("tpr_at_fpr_5", "at 5 %"))
_SHARES = (
    ("pay_over_honest", "pay"),
    ("pay_over_honest_by_peers", "pay by peers"),
    ("peers_agree", "peers agree"),
    ("peers_disagree", "disagree"),
)


def print_quality(result: dict[str, Any]) -> None:
    """Print how well each detector finds each attack, and what the attack earns."""
    heading(f"Found over {result['seeds']} random weeks of {result['carriers']}")
    click.echo("AUC, and the share found at 1 and 5 % false alarms; 95 % intervals in --json.")
    names = [name for _, name in _RATES]
    print_table(
        ["attack", "detector", *names],
        [
            [attack, detector, *(_number(rows[detector][rate]) for rate, _ in _RATES)]
            for attack, rows in result["attacks"].items()
            for detector in DETECTORS
        ],
        right=names,
    )
    click.echo()
    heading("Earned, over what an honest station earns, and whom peers agree with")
    shares = [name for _, name in _SHARES]
    print_table(
        ["attack", *shares],
        [
            [attack, *(_number(result[share][attack]) for share, _ in _SHARES)]
            for attack in result["attacks"]
        ],
        right=shares,
    )
    click.echo()
    taken = result["honest_extremes_taken"].items()
    print_facts(
        [
            ("taken from honest stations", _number(result["honest_taken"])),
            *((f"taken in a {name.replace('_', ' ')}", _number(one)) for name, one in taken),
            ("honest that peers agree with", _number(result["peers_agree"]["honest"])),
            ("honest that they disagree with", _number(result["peers_disagree"]["honest"])),
            *((f"titanlib {name}", str(value)) for name, value in _timings(result)),
        ]
    )


def require_plotting() -> None:
    """Raise OperatorFault unless matplotlib is installed."""
    if find_spec("matplotlib") is None:
        raise OperatorFault(
            "The picture cannot be drawn.",
            "matplotlib is not installed: it is a developer's dependency.",
            "Install the extra `dev`, or leave out --plot.",
            Code.BENCH_IMPOSSIBLE,
        )


def plot_quality(result: dict[str, Any], path: Path) -> None:
    """Draw the AUC of every detector, by attack, with its interval."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    attacks = list(result["attacks"])
    for place, detector in enumerate(DETECTORS):
        found = [result["attacks"][attack][detector]["auc"] for attack in attacks]
        values = [one["value"] for one in found]
        low = [one["value"] - one["interval_95"][0] for one in found]
        high = [one["interval_95"][1] - one["value"] for one in found]
        at = [number + (place - 1.5) / 6 for number in range(len(attacks))]
        errors = [[max(end, 0.0) for end in ends] for ends in (low, high)]
        axes.errorbar(at, values, yerr=errors, fmt="o", capsize=3, label=detector)
    axes.set_xticks(range(len(attacks)), attacks, rotation=20)
    axes.set_ylabel("AUC")
    axes.set_ylim(0, 1.05)
    axes.axhline(0.5, color="0.7", linewidth=0.8)
    axes.legend(loc="lower left")
    axes.set_title(f"{result['seeds']} weeks of {result['carriers']}")
    figure.savefig(path)


def _timings(result: dict[str, Any]) -> list[tuple[str, Any]]:
    titan = result["titanlib"]
    if not titan:
        return [("", "not installed")]
    speeds = [(f"{name} ratio", speed["ratio"]) for name, speed in titan["timings"].items()]
    return [("flags compared", titan["judged"]), ("different", titan["different"]), *speeds]


def _number(figure: dict[str, Any]) -> str:
    value = figure["value"]
    return "-" if value is None else f"{value:.3f}"
