"""Parsing of the committed integer tables in spec/tables; the caller brings the bytes."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.faults import CoreFault

TRIG_SCALE = 10**18
_TRIG_HEADER = b"step_e6,index,sin_e18,cos_e18"
_TRIG_STEPS = ((1_000_000, 91), (1_000, 1_000), (1, 1_000))

SinCos = tuple[int, int]


class TableError(CoreFault):
    """A table file is not the one that this software can use."""


@dataclass(frozen=True, slots=True)
class TrigTable:
    """(sine, cosine) times 10**18 of whole degrees, thousandths and millionths of a degree."""

    degrees: tuple[SinCos, ...]
    thousandths: tuple[SinCos, ...]
    millionths: tuple[SinCos, ...]


def parse_trig(text: bytes) -> TrigTable:
    """Return the table in `text`, the bytes of spec/tables/trig.csv, or raise TableError.

    Rows must be exactly those that the generator writes, in its order; values in 0..10**18.
    """
    lines = [line for line in text.split(b"\n") if line and not line.startswith(b"#")]
    expected = [(step, index) for step, count in _TRIG_STEPS for index in range(count)]
    if lines[:1] != [_TRIG_HEADER] or len(lines) != len(expected) + 1:
        raise _bad_trig("the header or the number of rows is wrong")
    values = [
        _row(line, step, index) for line, (step, index) in zip(lines[1:], expected, strict=True)
    ]
    degrees, thousandths = _TRIG_STEPS[0][1], _TRIG_STEPS[1][1]
    return TrigTable(
        tuple(values[:degrees]),
        tuple(values[degrees : degrees + thousandths]),
        tuple(values[degrees + thousandths :]),
    )


def _row(line: bytes, step: int, index: int) -> SinCos:
    cells = line.split(b",")
    if len(cells) != 4 or not all(cell.isdigit() for cell in cells):
        raise _bad_trig(f"row {line[:80]!r} is not four unsigned integers")
    row_step, row_index, sine, cosine = map(int, cells)
    if (row_step, row_index) != (step, index) or max(sine, cosine) > TRIG_SCALE:
        raise _bad_trig(f"row {line[:80]!r} stands where {step},{index} belongs")
    return sine, cosine


def _bad_trig(why: str) -> TableError:
    do = "Take spec/tables/trig.csv of the release again, or run spec/tables/make_tables.py"
    return TableError("The trigonometric table cannot be used", why, do, "bad_table")
