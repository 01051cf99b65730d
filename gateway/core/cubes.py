"""Space cut into cubes: a place's region is the 27 cubes about its own.

Cubes and not hexagons, since regions must come from integers alone, everywhere on Earth. Positions
are those of Sphere.position_cm.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from gateway.core.buddy import Ints

_AROUND = tuple(product((-1, 0, 1), repeat=3))


class Cubes:
    """Rows of positions by cube. cube: of every row its cube's number."""

    def __init__(self, positions: Ints, edge_m: int) -> None:
        cells = positions // (100 * edge_m)
        unique, cube = np.unique(cells, axis=0, return_inverse=True)
        self.cube: Ints = cube.reshape(-1)
        self._cells = [tuple(cell) for cell in unique.tolist()]
        self._number = {cell: number for number, cell in enumerate(self._cells)}
        order = np.argsort(self.cube, kind="stable")
        self.members: Sequence[Ints] = np.split(
            order, np.cumsum(np.bincount(self.cube, minlength=len(self._cells)))[:-1]
        )

    def __len__(self) -> int:
        return len(self._cells)

    def around(self, number: int) -> list[int]:
        """Return the numbers of the cubes of a cube's region that hold anybody, itself too."""
        x, y, z = self._cells[number]
        cells = ((x + east, y + north, z + up) for east, north, up in _AROUND)
        return [self._number[cell] for cell in cells if cell in self._number]
