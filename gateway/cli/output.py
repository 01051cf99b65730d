"""What a verb shows: one JSON object, or a table; and how it fails.

stdout carries results only. Progress, advice and faults go to stderr.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from gateway.shell.errors import OperatorFault

OK = 0
FOUND = 1
USAGE = 2
UNREACHABLE = 3

Progress = Callable[[int, int], None]


def emit_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on one line: amounts as decimal strings, bytes as hex."""
    click.echo(json.dumps(value, ensure_ascii=False))


def plain_terminal() -> bool:
    """Whether stdout is not a person's terminal."""
    return not sys.stdout.isatty()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings: with rules on a terminal, in plain columns elsewhere."""
    if plain_terminal():
        _plain(columns, rows)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    # rich itself obeys NO_COLOR.
    Console().print(table)


def _plain(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [
        max([len(column), *(len(row[place]) for row in rows)])
        for place, column in enumerate(columns)
    ]
    for row in [columns, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line, values aligned."""
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        click.echo(f"{name.ljust(width)}  {value}")


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Give a function (done, total) that draws a bar on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _silent(_done: int, _total: int) -> None:
    """Draw nothing."""


def print_fault(fault: OperatorFault) -> None:
    """Print what happened, why, what to do, and the stable code, to stderr."""
    label = click.style("error:", fg="red", bold=True) if colour() else "error:"
    click.echo(f"{label} {fault.what}", err=True)
    for name, text in (("why", fault.why), ("do", fault.do), ("code", str(fault.code))):
        click.echo(f"  {name + ':':<6}{text}", err=True)


def colour() -> bool:
    """Whether stderr takes colour: a terminal, and NO_COLOR unset (no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
