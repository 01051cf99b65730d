"""`cairn bench`: the measured claims, with their bars."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gateway.cli.options import PATH, json_option
from gateway.cli.output import emit_json, print_facts, print_table, progress


@click.group()
def bench() -> None:
    """Benchmarks. Each names its bar and says whether it was met.

    A missed bar is a result like any other: the exit code is 0 whenever something was measured.
    """


@bench.command()
@click.option(
    "--rounds", type=click.IntRange(1), default=9, show_default=True, help="Samples taken."
)
@json_option
def sign(rounds: int, as_json: bool) -> None:
    """Count a signature's instructions as ESP32 machine code, and time it against a naive one."""
    from gateway.cli.bench_sign import measure_sign

    _report(measure_sign(rounds), as_json)


@bench.command()
@click.option(
    "--node-modules",
    type=PATH,
    default=Path("tests/npm/node_modules"),
    show_default=True,
    help="Where @openzeppelin/merkle-tree is installed.",
)
@click.option(
    "--leaves",
    type=click.IntRange(1),
    default=100_000,
    show_default=True,
    help="Owners in the tree that both libraries build.",
)
@click.option(
    "--stations",
    type=click.IntRange(1),
    default=1_000_000,
    show_default=True,
    help="Stations of the run of ours alone.",
)
@json_option
def rewards(node_modules: Path, leaves: int, stations: int, as_json: bool) -> None:
    """Time claim trees against OpenZeppelin's library, and a million stations of ours."""
    from gateway.cli.bench_rewards import BenchError, measure_rewards
    from gateway.shell.errors import Code, OperatorFault
    from gateway.shell.spec_files import spec_path

    spec = spec_path("rules/0001.toml").parents[1]
    try:
        result = measure_rewards(spec, node_modules, leaves=leaves, stations=stations)
    except BenchError as error:
        raise OperatorFault(
            f"{error.what}.", f"{error.why}.", f"{error.do}.", Code.BENCH_IMPOSSIBLE
        ) from error
    _report(result, as_json)


@bench.command()
@click.option(
    "--data",
    type=PATH,
    default=None,
    help="Folder with netatmo/*.npz; default ../shared/data beside the project, if it is there.",
)
@click.option(
    "--seeds", type=click.IntRange(1), default=20, show_default=True, help="Random weeks."
)
@click.option("--plot", type=PATH, default=None, help="Draw the detectors into this file.")
@json_option
def quality(data: Path | None, seeds: int, plot: Path | None, as_json: bool) -> None:
    """Tell honest thermometers from made-up ones, by every detector; takes some minutes."""
    from gateway.cli.bench_quality import default_data, measure_quality
    from gateway.cli.bench_quality_text import plot_quality, print_quality, require_plotting

    if plot is not None:
        require_plotting()
    with progress("quality") as show:
        result = measure_quality(data or default_data(), seeds, show)
    if plot is not None:
        plot_quality(result, plot)
    if as_json:
        emit_json(result)
        return
    _print_bars(result)
    print_quality(result)


@bench.command()
@click.option(
    "--seeds", type=click.IntRange(1), default=20, show_default=True, help="Towns, one by seed."
)
@click.option(
    "--stations",
    type=click.IntRange(20),
    default=100,
    show_default=True,
    help="Honest stations of a town; its area grows with them.",
)
@click.option("--plot", type=PATH, help="Draw the lies that were caught: .png, .svg or .pdf.")
@click.option(
    "--data",
    "data_dir",
    type=PATH,
    help="Folder with campusiot/. Default: ../shared/data, if it is there.",
)
@json_option
def coverage(
    seeds: int, stations: int, plot: Path | None, data_dir: Path | None, as_json: bool
) -> None:
    """Set liars, rings, forgers and griefers against the coverage rules, and measure.

    Beside them stand `none`, which believes every claim, and `helium_2026`, Helium's last rules.
    """
    from gateway.cli.bench_coverage import measure_coverage
    from gateway.cli.bench_coverage_real import real_radio
    from gateway.cli.bench_coverage_text import print_coverage, write_plot
    from gateway.cli.bench_quality_text import require_plotting

    if plot is not None:
        require_plotting()
    real = real_radio(data_dir)
    with progress("towns") as told:
        result = measure_coverage(seeds, stations, told) | real
    if plot is not None:
        write_plot(result, plot)
    if as_json:
        emit_json(result)
        return
    print_coverage(result)


@bench.command()
@click.option(
    "--node-modules",
    type=PATH,
    help="Where the interpreter is installed. Default: tests/device/node_modules.",
)
@click.option(
    "--minutes",
    type=click.IntRange(1),
    default=130,
    show_default=True,
    help="How long the station works, from 23:30 on.",
)
@click.option("--plain", is_flag=True, help="Measure the program as written, not as in images.")
@json_option
def heap(node_modules: Path | None, minutes: int, plain: bool, as_json: bool) -> None:
    """Count what a station at work takes of a board's heap, on MicroPython."""
    from gateway.cli.bench_heap import measure_heap

    with progress("minutes") as told:
        result = measure_heap(node_modules, minutes, told, minified=not plain)
    _report(result, as_json)


def _report(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_json(result)
        return
    _print_bars(result)
    print_facts([fact for name, value in result.items() for fact in _figures(name, value)])


def _print_bars(result: dict[str, Any]) -> None:
    print_table(
        ["measured", "value", "bar", "met"],
        [
            [bar["name"], str(bar["value"]), f"{bar['op']} {bar['bar']}", _word(bar["met"])]
            for bar in result["bars"]
        ],
        right=["value", "bar"],
    )
    click.echo()


def _figures(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A measured value, or those of a group, under names that say the group."""
    if isinstance(value, dict):
        for part, inner in value.items():
            yield from _figures(f"{name}.{part}", inner)
    elif name != "bars":
        yield name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _word(met: bool) -> str:
    return "yes" if met else "no"
