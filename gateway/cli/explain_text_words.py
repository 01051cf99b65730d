"""Words that every part of the page of `cairn explain` uses."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from gateway.cli.output import heading, print_facts, print_table
from gateway.core.explain import decimal

Tree = Mapping[str, Any]

ID_DIGITS = 16
_PERCENT_EXPONENT = -4


def section(title: str) -> None:
    """Print the title of a part, after an empty line."""
    click.echo()
    heading(title)


def percent(ppm: int) -> str:
    """Parts per million as percent, exactly, without idle zeros."""
    return f"{trimmed(decimal(ppm, _PERCENT_EXPONENT))} %"


def aligned(ppm: int) -> str:
    """As in a column: all four decimals."""
    return f"{decimal(ppm, _PERCENT_EXPONENT)} %"


def trimmed(text: str) -> str:
    """A decimal without idle zeros."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def utc(ms: int) -> str:
    """The time in UTC, with milliseconds if there are any."""
    text = datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{ms % 1000:03d}" if ms % 1000 else text


def print_findings(findings: list[Tree]) -> None:
    """Print findings, each with its first messages, and what to do about each."""
    print_table(
        ["finding", "count", "messages"],
        [
            [
                one["verdict"],
                str(one["count"]),
                " ".join(message[:ID_DIGITS] for message in one["examples"]),
            ]
            for one in findings
        ],
        right=["count"],
    )
    click.echo()
    print_facts([(one["verdict"], f"{one['what']} {one['do']}".rstrip()) for one in findings])
