"""Write trig.csv: sine and cosine as integers of scale 10**18, for distance in whole metres.

Run `python spec/tables/make_tables.py`; it takes no arguments and writes beside itself. Only
Decimal arithmetic at a fixed precision is used, so every machine writes the same bytes.
"""

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path

SCALE = Decimal(10) ** 18
# Working digits: 18 are kept, so the rounded last digit is never in doubt.
DIGITS = 60
# (step in 1e-6 degree, number of rows): whole degrees, thousandths, millionths.
STEPS = ((1_000_000, 91), (1_000, 1_000), (1, 1_000))
HEADER = """\
# Sine and cosine times 10^18, rounded half to even, of index * step_e6 millionths of a degree.
# Made by spec/tables/make_tables.py; spec/rewards.md section 3.1 says how it is used.
step_e6,index,sin_e18,cos_e18
"""


def arctan_inverse(n: int) -> Decimal:
    """arctan(1/n) by its alternating series, at the current precision."""
    total, power, k = Decimal(0), Decimal(1) / n, 1
    while total + power / k != total:
        total += power / k if k % 4 == 1 else -power / k
        power /= n * n
        k += 2
    return total


def series(x: Decimal, first: int) -> Decimal:
    """Taylor series of sine (first=1) or cosine (first=0) at x radians."""
    total, term, k = Decimal(0), x if first else Decimal(1), first
    while total + term != total:
        total += term
        term *= -x * x / ((k + 1) * (k + 2))
        k += 2
    return total


def scaled(value: Decimal) -> int:
    """Return value * 10**18 rounded half to even."""
    return int((value * SCALE).to_integral_value(rounding=ROUND_HALF_EVEN))


def rows() -> Iterator[str]:
    """Yield the table's lines, without the header."""
    # Machin 1706: pi / 4 = 4 arctan(1/5) - arctan(1/239).
    pi = 4 * (4 * arctan_inverse(5) - arctan_inverse(239))
    for step_e6, count in STEPS:
        for index in range(count):
            x = pi * index * step_e6 / 180_000_000
            yield f"{step_e6},{index},{scaled(series(x, 1))},{scaled(series(x, 0))}\n"


def trig_csv() -> str:
    """Return the whole file as text."""
    with localcontext() as context:
        context.prec = DIGITS
        return HEADER + "".join(rows())


if __name__ == "__main__":
    Path(__file__).with_name("trig.csv").write_text(trig_csv(), encoding="ascii", newline="\n")
