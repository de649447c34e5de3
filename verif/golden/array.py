"""Tile products, written from docs/numerics.md ("Matrix product") and docs/architecture.md ("Systolic array"); the window of
depthwise matmuls from docs/isa-semantics.md ("The window of a depthwise matmul")."""

import numpy as np


def tile_product(activations, weights) -> np.ndarray:
    """Exact sums of words `[m, rows]` by a tile `[rows, columns]`, both int8: int64 `[m, columns]`."""
    return np.asarray(activations, np.int64) @ np.asarray(weights, np.int64)


class Window:
    """The two line memories, of ``length`` words each, and the columns that the words of this line took.

    A word that nothing has written since the reset is None.
    """

    def __init__(self, length: int):
        self.upper: list[np.ndarray | None] = [None] * length
        self.lower: list[np.ndarray | None] = [None] * length
        self.columns: list[tuple] = []

    def copy(self) -> "Window":
        other = Window(0)
        other.upper, other.lower, other.columns = list(self.upper), list(self.lower), list(self.columns)
        return other

    def take(self, x: int, word) -> None:
        """The word that came at position ``x``; a line begins at position 0."""
        word = np.array(word, np.int64)
        if x == 0:
            self.columns = []
        self.columns.append((self.upper[x], self.lower[x], word))
        self.upper[x], self.lower[x] = self.lower[x], word

    def sums(self, weights) -> list[int] | None:
        """Of the three columns taken last with a tile `[rows, columns]`; None if they are undefined."""
        columns = self.columns[-3:]
        if len(columns) < 3 or any(word is None for column in columns for word in column):
            return None
        taps = np.asarray(weights, np.int64)
        return sum(taps[3 * i + j] * columns[j][i] for i in range(3) for j in range(3)).tolist()

    def lines(self) -> list[int]:
        """How many words of each position are defined: 0, 1 or 2."""
        return [(low is not None) + (up is not None) for low, up in zip(self.lower, self.upper)]


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
