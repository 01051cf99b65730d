"""Station rows of a closed epoch as a table."""

from collections import Counter
from collections.abc import Sequence

import click

from gateway.cli.output import print_table
from gateway.core.epoch_inputs import StationRow
from gateway.core.ids import device_name
from gateway.core.station_json import class_name, slot
from gateway.core.verdicts import ADVICE

REASON_COLUMNS = ("main reason", "stations", "meaning")
COLUMNS = ("station", "cell", "class", "quality", "verifiability", "slot", "pay", "main reason")
NUMBERS = ("quality", "verifiability", "pay")
DECIMALS = 18
_SHOWN_DECIMALS = 4
_PPM_PER_PERCENT = 10_000


def station_cells(row: StationRow) -> list[str]:
    """One line of the table of stations."""
    return [
        device_name(row.device),
        f"{row.scoring_cell:x}",
        class_name(row),
        percent(row.quality_ppm),
        percent(row.v_ppm),
        slot(row),
        tokens(row.paid),
        row.reason.name.lower(),
    ]


def print_stations(rows: Sequence[StationRow]) -> None:
    """Print the stations, best paid first, and how many have each main reason."""
    ordered = sorted(rows, key=lambda row: (-row.paid, row.device))
    print_table(COLUMNS, [station_cells(row) for row in ordered], right=NUMBERS)
    click.echo()
    print_table(REASON_COLUMNS, reasons_of(rows), right=["stations"])
    click.echo()


def reasons_of(rows: Sequence[StationRow]) -> list[list[str]]:
    """Every main reason of the table: how many stations have it, and what it means."""
    counts = Counter(row.reason for row in rows)
    return [
        [reason.name.lower(), str(number), ADVICE[reason].what]
        for reason, number in sorted(counts.items())
    ]


def percent(ppm: int) -> str:
    """Parts per million as percent with one decimal, cut off."""
    return f"{ppm // _PPM_PER_PERCENT}.{ppm % _PPM_PER_PERCENT // 1_000} %"


def tokens(amount: int) -> str:
    """Base units as tokens with four decimals, cut off: never more than there is."""
    scale = 10**DECIMALS
    fraction = amount % scale // 10 ** (DECIMALS - _SHOWN_DECIMALS)
    return f"{amount // scale}.{fraction:0{_SHOWN_DECIMALS}d}"
