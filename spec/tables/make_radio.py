"""Write radio.csv: the logarithms, normal tail and cosines of the coverage proofs, as integers.

Run `python spec/tables/make_radio.py`; it takes no arguments and writes beside itself. Only
Decimal arithmetic at a fixed precision is used, so every machine writes the same bytes.
"""

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path

# Working digits: at most 10 are kept, and the far tail of the normal loses 21 by cancellation.
DIGITS = 80
HEADER = """\
# log: 10^6 * log10(index / 1024), thousandths of a centi-dB; its last row (2048) is log10(2).
# tail: 1000 * ln Phi(index / 100), milli-nats. exp: 10^9 * e^(-index / 100).
# cos: 10^6 * cos(index / 10 degrees). All rounded half to even.
# Made by spec/tables/make_radio.py; spec/place.md says how they are used.
table,index,value
"""
LOG_INDEXES = range(1024, 2049)
TAIL_INDEXES = range(-900, 501)
EXP_INDEXES = range(2101)
COS_INDEXES = range(901)


def arctan_inverse(n: int) -> Decimal:
    """arctan(1/n) by its alternating series, at the current precision."""
    total, power, k = Decimal(0), Decimal(1) / n, 1
    while total + power / k != total:
        total += power / k if k % 4 == 1 else -power / k
        power /= n * n
        k += 2
    return total


def circle() -> Decimal:
    """pi, by Machin 1706: pi / 4 = 4 arctan(1/5) - arctan(1/239)."""
    return 4 * (4 * arctan_inverse(5) - arctan_inverse(239))


def cosine(x: Decimal) -> Decimal:
    """Taylor series of the cosine at x radians."""
    total, term, k = Decimal(0), Decimal(1), 0
    while total + term != total:
        total += term
        term *= -x * x / ((k + 1) * (k + 2))
        k += 2
    return total


def normal(z: Decimal, pi: Decimal) -> Decimal:
    """Phi(z), by the Taylor series of the error function: 1/2 + sum of z^(2k+1) terms."""
    total, term, k = Decimal(0), z, 0
    while total + term != total or k == 0:
        total += term / (2 * k + 1)
        k += 1
        term *= -z * z / (2 * k)
        if not term:
            break
    return Decimal("0.5") + total / (2 * pi).sqrt()


def rounded(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_HALF_EVEN))


def rows() -> Iterator[str]:
    """Yield the table's lines, without the header."""
    pi = circle()
    for index in LOG_INDEXES:
        yield f"log,{index},{rounded((Decimal(index) / 1024).log10() * 10**6)}\n"
    for index in TAIL_INDEXES:
        yield f"tail,{index},{rounded(normal(Decimal(index) / 100, pi).ln() * 1000)}\n"
    for index in EXP_INDEXES:
        yield f"exp,{index},{rounded((Decimal(-index) / 100).exp() * 10**9)}\n"
    for index in COS_INDEXES:
        yield f"cos,{index},{rounded(cosine(pi * index / 1800) * 10**6)}\n"


def radio_csv() -> str:
    """Return the whole file as text."""
    with localcontext() as context:
        context.prec = DIGITS
        return HEADER + "".join(rows())


if __name__ == "__main__":
    Path(__file__).with_name("radio.csv").write_text(radio_csv(), encoding="ascii", newline="\n")
