"""What a verb shows: one JSON object, or a table; and how it fails.

stdout carries results only. Progress, advice and faults go to stderr.
"""

import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from gateway.shell.errors import OperatorFault
from gateway.shell.printable import printable

OK = 0
FOUND = 1
USAGE = 2
UNREACHABLE = 3

# Columns that rich spends on a column besides its text.
_RULES = 3

Progress = Callable[[int, int], None]


def emit_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on one line: amounts as decimal strings, bytes as hex."""
    click.echo(json.dumps(value, ensure_ascii=False))


def plain_terminal() -> bool:
    """Whether stdout is not a person's terminal."""
    return not sys.stdout.isatty()


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()
) -> None:
    """Print rows under headings: with rules on a terminal, in plain columns elsewhere.

    right: the columns of numbers, which end at one edge.
    """
    if plain_terminal() or not _drawn(columns, rows, right):
        _plain(columns, rows, right)


def _drawn(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str]) -> bool:
    """Draw the table if it fits with only its last column wrapped: ids are there to be copied."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for place, name in enumerate(columns, 1):
        table.add_column(
            name, justify="right" if name in right else "left", no_wrap=place < len(columns)
        )
    for row in rows:
        # As Text, since a bundle's words are a stranger's: rich reads markup out of a str.
        table.add_row(*(Text(printable(cell)) for cell in row))
    # rich itself obeys NO_COLOR.
    console = Console()
    *firm, last = _widths(columns, rows)
    words = [word for line in [columns, *rows] for word in line[-1].split()]
    narrowest = max(map(len, words), default=0)
    if sum(firm) + min(last, narrowest) + _RULES * len(columns) > console.width:
        return False
    console.print(table)
    return True


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]


def _plain(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str]) -> None:
    widths = _widths(columns, rows)
    for line in [columns, *rows]:
        cells = (
            printable(cell).rjust(width) if column in right else printable(cell).ljust(width)
            for column, cell, width in zip(columns, line, widths, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def heading(text: str) -> None:
    """Print a line that stands out: bold on a terminal, unless NO_COLOR is set."""
    plain = plain_terminal() or os.environ.get("NO_COLOR")
    click.echo(text if plain else click.style(text, bold=True))


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
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn("{task.percentage:3.0f} %"),
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
    click.echo(f"{label} {_lines(fault.what)}", err=True)
    for name, text in (("why", fault.why), ("do", fault.do), ("code", str(fault.code))):
        click.echo(f"  {name + ':':<6}{_lines(text)}", err=True)


def _lines(text: str) -> str:
    # A fault may quote a stranger: a board, a gateway, a file. A traceback has several lines.
    return "\n".join(map(printable, text.split("\n")))


def colour() -> bool:
    """Whether stderr takes colour: a terminal, and NO_COLOR unset (no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
