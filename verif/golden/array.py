"""Tile products, written from docs/numerics.md ("Matrix product") and docs/architecture.md ("Systolic array")."""

import numpy as np


def tile_product(activations, weights) -> np.ndarray:
    """Exact sums of words `[m, rows]` by a tile `[rows, columns]`, both int8: int64 `[m, columns]`."""
    return np.asarray(activations, np.int64) @ np.asarray(weights, np.int64)


class Cell:
    """``dot`` rows of one column, one call a cycle.

    A weight arrives with ``load``; after ``dot`` of them the next weights are complete, and become active with the
    activations that carry ``swap``. A ``load`` in that very cycle belongs to the tile after.
    """

    def __init__(self, dot: int):
        self.dot = dot
        self.active: list[int] | None = None
        self.next: list[int] = []

    def step(self, activations, swap: bool, load: bool, weight: int) -> int | None:
        """The sum that the activations of this cycle add, None while the weights are unknown."""
        if swap:
            self.active, self.next = self.next, []
        if load:
            self.next.append(weight)
        if self.active is None or len(self.active) != self.dot:
            return None
        return int(tile_product([activations], np.array(self.active)[:, None])[0, 0])
