"""The tensor engine: a loop nest of weight tiles and activation words, summed in the accumulator."""

import numpy as np

from ..config import Config
from ..isa import Instruction
from .depthwise import depthwise
from .memories import OnchipMemories, check_addresses, read_bounded
from .nest import Indices, Walk, blocks, column, in_bounds, iterations

TILE_LOOPS, POSITION_LOOPS = ("k", "ky", "kx"), ("y", "x")

EXACT_PRODUCTS = 1024
"""So many products of int8, each at most 2**14, sum to at most 2**24: exact in float32, in whatever order BLAS adds."""

POSITIONS = 2048
"""Activation words taken at a time: with EXACT_PRODUCTS bytes each, a few MB."""

ONE_THREAD = 1 << 18
"""OpenBLAS takes several threads for more products than this."""


def matmul(instruction: Instruction, config: Config, memories: OnchipMemories) -> None:
    if instruction.window:
        return depthwise(instruction, config, memories)
    operands = _Operands(instruction, config, memories)
    rows_of = Walk(instruction, "accumulator")
    in_one_sum = not rows_of.moves_with(instruction, TILE_LOOPS) and _positions_differ(instruction, rows_of, config)
    for n in range(instruction.count_n):
        at_n = {"n": np.array([n])}
        if in_one_sum:
            _sum_tiles(instruction, config, memories.accumulator, operands, rows_of, at_n)
        else:
            _tile_by_tile(instruction, memories.accumulator, operands, rows_of, at_n)


def _product(a: np.ndarray, w: np.ndarray) -> np.ndarray:
    """a @ w as int32, in pieces for one thread: more gain nothing here, and on a busy machine they cost tenfold."""
    rows = max(1, ONE_THREAD // w.size)
    whole = len(a) // rows * rows
    pieces = a[:whole].reshape(-1, rows, a.shape[1]) @ w
    return np.concatenate([pieces.reshape(whole, w.shape[1]), a[whole:] @ w]).astype(np.int32)


class _Operands:
    """Reads activations and weights, as float32, for BLAS."""

    def __init__(self, instruction: Instruction, config: Config, memories: OnchipMemories):
        self.instruction, self.memories = instruction, memories
        self.activation, self.weight = Walk(instruction, "activation"), Walk(instruction, "weight")
        self.tile_rows = np.arange(config.rows, dtype=np.uint64)

    def weights(self, at_n: Indices, tiles: Indices) -> np.ndarray:
        """The tiles on top of each other: [tiles · rows, columns]."""
        words = self.memories.weight_words
        addresses = self.weight(at_n, tiles)[:, None] + self.tile_rows & self.weight.mask
        tile = words[check_addresses(addresses, words)]
        return tile.reshape(-1, tile.shape[-1]).astype(np.float32)

    def activations(self, at_n: Indices, tiles: Indices, positions: Indices) -> np.ndarray:
        """For each position the word of each tile: [positions, tiles · rows]."""
        positions = column(positions)
        inside = in_bounds(self.instruction, tiles, positions)
        addresses = self.activation(at_n, tiles, positions)
        words = read_bounded(self.memories.activation_words, addresses, inside, self.instruction.constant)
        return words.reshape(len(words), -1).astype(np.float32)


def _positions_differ(instruction: Instruction, rows_of: Walk, config: Config) -> bool:
    """Whether every position of a tile has an accumulator row of its own."""
    total = iterations(instruction, POSITION_LOOPS)
    if total > config.accumulator_words:
        return False
    (positions,) = blocks(instruction, POSITION_LOOPS, total)
    return len(np.unique(rows_of(positions))) == total


def _sum_tiles(instruction, config, accumulator, operands, rows_of, at_n) -> None:
    """One matrix product over all tiles: right where every row is visited once a tile."""
    total = np.zeros((iterations(instruction, POSITION_LOOPS), config.columns), np.int32)
    for tiles in blocks(instruction, TILE_LOOPS, EXACT_PRODUCTS // config.rows):
        weights = operands.weights(at_n, tiles)
        for start, positions in _numbered(blocks(instruction, POSITION_LOOPS, POSITIONS)):
            product = _product(operands.activations(at_n, tiles, positions), weights)
            total[start : start + len(product)] += product
    (positions,) = blocks(instruction, POSITION_LOOPS, len(total))
    rows = check_addresses(rows_of(at_n, positions), accumulator)
    if instruction.accumulate:
        accumulator[rows] += total
    else:
        accumulator[rows] = total


def _numbered(position_blocks):
    return ((i * POSITIONS, positions) for i, positions in enumerate(position_blocks))


def _tile_by_tile(instruction, accumulator, operands, rows_of, at_n) -> None:
    """In program order, for rows that come again within a tile or move from tile to tile.

    Each visit in the first tile overwrites, so there the last one counts: NumPy assigns repeated indices in order.
    """
    for t, tile in enumerate(blocks(instruction, TILE_LOOPS, 1)):
        weights = operands.weights(at_n, tile)
        for positions in blocks(instruction, POSITION_LOOPS, POSITIONS):
            product = _product(operands.activations(at_n, tile, positions), weights)
            rows = check_addresses(rows_of(at_n, tile, positions), accumulator)
            if t == 0 and not instruction.accumulate:
                accumulator[rows] = product
            else:
                np.add.at(accumulator, rows, product)
