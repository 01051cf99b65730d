"""Writes docs/cli.md from the commands: `python -m gateway.cli.reference > docs/cli.md`."""

import sys
from collections.abc import Iterator
from inspect import cleandoc

import click

from gateway.cli.app import main

_HEAD = """\
# Command line

This page is generated from the commands: `python -m gateway.cli.reference > docs/cli.md`.

Results go to stdout, progress and advice to stderr. With `--json` stdout holds one JSON object
and nothing else: amounts are decimal strings of base units (10^-18 token), hashes and ids are hex.
On a terminal there are tables and progress bars; `NO_COLOR` is respected.

| exit code | meaning |
|---|---|
| 0 | all well |
| 1 | a problem was found |
| 2 | wrong use: an unknown verb, option or setting, or something that does not exist |
| 3 | something cannot be reached: a file, a database, another program |
| 130 | interrupted with Ctrl-C; everything that was committed is kept |

A failure says what happened, why, what to do, and a stable code:
[troubleshooting](troubleshooting.md). Settings: [configuration](configuration.md).
"""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, groups before what they hold."""
    return _walk("cairn", main)


def reference() -> str:
    """The text of docs/cli.md."""
    return "\n".join([_HEAD, *(_section(name, command) for name, command in commands())])


def _walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for verb in sorted(command.commands):
            yield from _walk(f"{name} {verb}", command.commands[verb])


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name)
    pieces = command.collect_usage_pieces(context)
    lines = [
        f"## {name}",
        "",
        "```text",
        " ".join([name, *pieces]),
        "```",
        "",
        cleandoc(command.help or ""),
        "",
    ]
    rows = [_row(option, context) for option in _options(command)]
    if rows:
        lines += ["| option | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _options(command: click.Command) -> list[click.Option]:
    """Those for people; hidden ones are for our own programs."""
    options = [one for one in command.params if isinstance(one, click.Option)]
    return [one for one in options if not one.hidden]


def _row(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None
    flag, meaning = record
    return f"| `{flag}` | {' '.join(meaning.split())} |"


if __name__ == "__main__":
    sys.stdout.write(reference())
