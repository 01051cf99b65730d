"""The coverage bench as plain tables, and as a picture where matplotlib is at hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gateway.cli.output import heading, print_facts, print_table
from gateway.shell.errors import Code, OperatorFault

Document = Mapping[str, Any]

_NOT_MEASURED = "-"
_LIE_COLUMNS = (
    ("caught, rules' limits", "tpr_at_rule_limits"),
    ("false alarms", "fpr_at_rule_limits"),
    ("caught at 1 % FPR", "tpr_at_1pct_fpr"),
    ("passed as proven", "passed_as_proven"),
    ("pay", "pay_ratio"),
    ("helium_2026 at 1 % FPR", "helium_2026_tpr_at_1pct_fpr"),
)


def print_coverage(document: Document) -> None:
    """Print bars, then what they are taken from; every figure with its 95 % interval."""
    print_table(["measured", "value", "95 %", "bar", "met"], _bars(document), right=["value"])
    _section("Coverage pay of all keys of an attack, in honest stations' pay")
    _by_system(document["pay_against_an_honest_station"])
    _section("Share of the whole pool that 1,000 keys in empty cells take")
    _by_system({"1,000 keys": document["pool_share_of_1000_unproven"]})
    _section("Lies about a place, with the liar's best power")
    _figures(document["lies"], _LIE_COLUMNS)
    _section("Liars with accomplices among the five nearest listeners, 3 km")
    _figures(document["colluders"], _LIE_COLUMNS[:1] + _LIE_COLUMNS[2:3])
    _section("What one station can take from another")
    rows = [[name, figure_words(figure)] for name, figure in document["harm"].items()]
    print_table(["harm", "lost"], rows, right=["lost"])
    if "real_radio" in document:
        _section("Real radio: CampusIoT, transmitters that were not calibrated on")
        print_real(document["real_radio"])
    click.echo()
    print_facts(
        [
            *((name, str(document[name])) for name in ("seeds", "stations", "rules")),
            (
                "odds limits",
                ", ".join(f"{k} {v}" for k, v in document["odds_limit_milli"].items()),
            ),
        ]
    )


def print_real(table: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of one form, whatever their columns are."""
    columns = list(table[0]) if table else []
    rows = [[_cell(row[column]) for column in columns] for row in table]
    print_table(columns, rows, right=columns[1:])


def figure_words(figure: Mapping[str, Any]) -> str:
    """A figure with its interval: 0.953 [0.940, 0.966]."""
    if figure["value"] is None:
        return _NOT_MEASURED
    low, high = figure["interval_95"]
    return f"{figure['value']:.3f} [{low:.3f}, {high:.3f}]"


def write_plot(document: Document, path: Path) -> None:
    """Draw how many lies are caught at 1 % false alarms, by distance and system.

    matplotlib must be there: bench_quality_text.require_plotting says what to do if it is not.
    """
    from matplotlib.figure import Figure

    lies = document["lies"]
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    systems = (("cairn", "tpr_at_1pct_fpr"), ("helium_2026", "helium_2026_tpr_at_1pct_fpr"))
    for offset, (system, key) in enumerate(systems):
        drawn = [(i, one[key]) for i, one in enumerate(lies.values())]
        shown = [(i, one) for i, one in drawn if one["value"] is not None]
        values = [one["value"] for _, one in shown]
        low = [max(one["value"] - one["interval_95"][0], 0.0) for _, one in shown]
        high = [max(one["interval_95"][1] - one["value"], 0.0) for _, one in shown]
        places = [i + 0.4 * offset for i, _ in shown]
        axes.bar(places, values, 0.38, yerr=[low, high], capsize=3, label=system)
    axes.set_xticks([i + 0.2 for i in range(len(lies))], [name.replace("_", " ") for name in lies])
    axes.tick_params(axis="x", rotation=20)
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("lies caught at 1 % false alarms")
    axes.set_title(f"{document['seeds']} seeds, {document['stations']} stations, 95 % intervals")
    axes.legend()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise OperatorFault(
            f"The picture {path} cannot be written.",
            f"{error}.",
            "Name a file that ends in .png, .svg or .pdf, in a folder that exists.",
            Code.FILE_UNWRITABLE,
        ) from error


def _bars(document: Document) -> list[list[str]]:
    return [
        [
            one["name"],
            _NOT_MEASURED if one["value"] is None else f"{one['value']:.4f}",
            _NOT_MEASURED if one["value"] is None else "{:.4f}-{:.4f}".format(*one["interval_95"]),
            f"{one['op']} {one['bar']}",
            "yes" if one["met"] else "no",
        ]
        for one in document["bars"]
    ]


def _by_system(figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    systems = list(next(iter(figures.values())))
    rows = [
        [name, *(figure_words(one[system]) for system in systems)] for name, one in figures.items()
    ]
    print_table(["attack", *systems], rows, right=systems)


def _figures(figures: Mapping[str, Mapping[str, Any]], columns: Sequence[tuple[str, str]]) -> None:
    rows = [
        [name, *(figure_words(one[key]) for _, key in columns)] for name, one in figures.items()
    ]
    titles = [title for title, _ in columns]
    print_table(["attack", *titles], rows, right=titles)


def _section(title: str) -> None:
    click.echo()
    heading(title)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
