"""Writes firmware/cairn/ed25519_tables.py: `python firmware/tools/make_comb_tables.py`.

The entry at index i of block b is the affine sum over teeth t of +-2^(26t + 130b) * B, tooth 4
always +, tooth t < 4 + where bit t of i is set. It is computed here with textbook affine
formulas that share nothing with the firmware's, and a test compares the file with this output.
"""

from pathlib import Path

COLUMNS, TEETH, BLOCKS = 26, 5, 2
ELEMENT_BYTES = 33
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
TARGET = Path(__file__).resolve().parents[1] / "cairn" / "ed25519_tables.py"
HEADER = '''"""Comb table of the Ed25519 base point; made by firmware/tools/make_comb_tables.py.

2 blocks of 16 entries of ((y-x)/2, (y+x)/2, dxy), 33 bytes each, little endian, so that native
code may read past 255 bits. A bytes literal is one object; integers made at import would be
scattered over the board's heap for good.
"""

'''

Affine = tuple[int, int]


def base_point() -> Affine:
    """y = 4/5 and the even x (RFC 8032 section 5.1)."""
    y = 4 * pow(5, -1, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x if x % 2 == 0 else P - x), y


def add(a: Affine, b: Affine) -> Affine:
    """Affine addition on -x^2 + y^2 = 1 + d x^2 y^2."""
    product = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P) % P
    return x, y


def power_of_two_multiples(count: int) -> list[Affine]:
    """2^i * B for i below count."""
    points = [base_point()]
    while len(points) < count:
        points.append(add(points[-1], points[-1]))
    return points


def entry(powers: list[Affine], block: int, index: int) -> bytes:
    """The 99 bytes of one table entry."""
    first = block * TEETH * COLUMNS
    x, y = powers[first + (TEETH - 1) * COLUMNS]
    for tooth in range(TEETH - 1):
        px, py = powers[first + tooth * COLUMNS]
        x, y = add((x, y), (px if index >> tooth & 1 else -px % P, py))
    half = (P + 1) // 2
    values = ((y - x) * half % P, (y + x) * half % P, D * x * y % P)
    return b"".join(value.to_bytes(ELEMENT_BYTES, "little") for value in values)


def module_text() -> str:
    """The whole text of ed25519_tables.py."""
    powers = power_of_two_multiples(COLUMNS * TEETH * BLOCKS)
    blocks, size = range(BLOCKS), range(1 << (TEETH - 1))
    table = b"".join(entry(powers, block, index) for block in blocks for index in size)
    lines = []
    for start in range(0, len(table), 16):
        escaped = "".join(f"\\x{byte:02x}" for byte in table[start : start + 16])
        lines.append(f'    b"{escaped}"\n')
    return f"{HEADER}COMB = (\n{''.join(lines)})\n"


if __name__ == "__main__":
    TARGET.write_text(module_text(), encoding="ascii")
