"""`cairn bench`: the two measured claims, with their bars."""

from pathlib import Path
from typing import Any

import click

from gateway.cli.options import PATH, json_option
from gateway.cli.output import FOUND, emit_json, print_facts, print_table


@click.group()
def bench() -> None:
    """Benchmarks. Each names its bar, and exit code 1 says that one was missed."""


@bench.command()
@click.option("--rounds", type=click.IntRange(1), default=9, show_default=True, help="Samples.")
@json_option
@click.pass_context
def sign(ctx: click.Context, rounds: int, as_json: bool) -> None:
    """Time the board's signer against a naive big-integer one."""
    from gateway.cli.bench_sign import measure_sign

    _report(ctx, measure_sign(rounds), as_json)


@bench.command()
@click.option(
    "--node-modules",
    type=PATH,
    default=Path("tests/npm/node_modules"),
    show_default=True,
    help="Where @openzeppelin/merkle-tree is installed.",
)
@click.option("--leaves", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--stations", type=click.IntRange(1), default=1_000_000, show_default=True)
@json_option
@click.pass_context
def rewards(
    ctx: click.Context, node_modules: Path, leaves: int, stations: int, as_json: bool
) -> None:
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
    _report(ctx, result, as_json)


def _report(ctx: click.Context, result: dict[str, Any], as_json: bool) -> None:
    bars = result["bars"]
    if as_json:
        emit_json(result)
    else:
        print_table(
            ["measured", "value", "bar", "met"],
            [
                [bar["name"], str(bar["value"]), f"{bar['op']} {bar['bar']}", _word(bar["met"])]
                for bar in bars
            ],
        )
        print_facts(
            [
                (name, str(value))
                for name, value in result.items()
                if not isinstance(value, list | dict)
            ]
        )
    ctx.exit(0 if all(bar["met"] for bar in bars) else FOUND)


def _word(met: bool) -> str:
    return "yes" if met else "no"
