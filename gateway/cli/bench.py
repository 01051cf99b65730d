"""`cairn bench`: the two measured claims, with their bars."""

from typing import Any

import click

from gateway.cli.options import json_option
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
