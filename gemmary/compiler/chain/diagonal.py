"""A grouped convolution of a chain, without the array's window: each column tile meets its own channel word."""

import numpy as np

from ...config import Config
from ...workloads import Conv
from ..diagonal import diagonal_weights
from .product import ProductStep


def fits_diagonal(config: Config, operation: Conv) -> bool:
    """Whether groups lie within a channel word, and channels stay where they are."""
    cin, cout = operation.cin // operation.groups, operation.cout // operation.groups
    return cin == cout and config.rows % cin == 0


class DiagonalStep(ProductStep):
    """Emits one step, as a product whose sums have one channel word each: its groups are the blocks on the diagonal of a tile, and a
    tile for every tap."""

    def _of_array(self, weights: np.ndarray) -> np.ndarray:
        return diagonal_weights(weights, self.step.operation.groups, self.config.rows)

    def _word(self, tile: int) -> int:
        return tile // self.source.parts

    def _tile_groups(self) -> list[tuple[int, int]]:
        """The tiles of a word, which its loop n reads again and again."""
        parts = self.source.parts
        if self.window.positions >= self.config.rows or parts * self.window.positions > self.most:
            return [(tile, 1) for tile in range(self.tiles)]
        return [(tile, min(parts, self.tiles - tile)) for tile in range(0, self.tiles, parts)]
