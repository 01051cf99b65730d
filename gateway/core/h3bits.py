"""H3 cell indexes as plain integers: validity, resolution and parent, without the H3 library.

Pay needs nothing else of H3, and a library's next version must not change a payout. Layout of the
64 bits: https://h3geo.org/docs/core-library/h3Indexing (1 reserved, 4 mode, 3 reserved,
4 resolution, 7 base cell, 15 digits of 3 bits).
"""

from __future__ import annotations

RESOLUTION_MAX = 15
_MODE_CELL = 1
_BASE_CELLS = 122
_DIGIT_UNUSED = 7
_DIGIT_DELETED = 1
_PENTAGONS = frozenset({4, 14, 24, 38, 49, 58, 63, 72, 83, 97, 107, 117})


def resolution(cell: int) -> int:
    """Return the resolution, 0 to 15, that the index states."""
    return cell >> 52 & 0xF


def parent(cell: int, parent_resolution: int) -> int:
    """Return the ancestor of `cell` at `parent_resolution`; the cell itself at its own.

    A resolution finer than the cell's, or below 0, is a caller's bug: ValueError.
    """
    if not 0 <= parent_resolution <= resolution(cell):
        raise ValueError(f"cell {cell:x} has no parent of resolution {parent_resolution}")
    unused = (1 << 3 * (RESOLUTION_MAX - parent_resolution)) - 1
    return cell & ~(0xF << 52) | parent_resolution << 52 | unused


def is_valid_shape(cell: int) -> bool:
    """Say whether `cell` is the index of an existing cell."""
    # 0000 1000: the reserved top bit, the four mode bits, the three reserved bits.
    if cell < 0 or cell >> 56 != _MODE_CELL << 3:
        return False
    base_cell = cell >> 45 & 0x7F
    if base_cell >= _BASE_CELLS:
        return False
    used = resolution(cell)
    digits = [cell >> 3 * (RESOLUTION_MAX - level) & 7 for level in range(1, RESOLUTION_MAX + 1)]
    if any(digit == _DIGIT_UNUSED for digit in digits[:used]):
        return False
    if any(digit != _DIGIT_UNUSED for digit in digits[used:]):
        return False
    # A pentagon lacks one of the seven children, at every resolution.
    leading = next((digit for digit in digits[:used] if digit), 0)
    return not (base_cell in _PENTAGONS and leading == _DIGIT_DELETED)
