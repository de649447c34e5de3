"""The parts of the pair array, written from docs/decisions/0009-pair-array.md."""

import numpy as np

from . import array


def own_term(vector) -> int:
    """Sum over pairs of the product of their two numbers."""
    pairs = np.asarray(vector, np.int64).reshape(-1, 2)
    return int(pairs.prod(axis=1).sum())


class Cell(array.Cell):
    """The plain cell, whose sum has the terms of activations and weights added."""

    def step(self, activations, swap: bool, load: bool, weight: int) -> int | None:
        product = super().step(activations, swap, load, weight)
        return None if product is None else product + own_term(activations) + own_term(self.active)
