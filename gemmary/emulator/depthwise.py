"""The tensor engine with a window: every column convolves a channel of its own (docs/isa-semantics.md)."""

from itertools import product

import numpy as np

from ..config import Config
from ..isa import WINDOW, Cause, Instruction
from .memories import Fault, OnchipMemories, check_addresses, read_bounded
from .nest import Walk, in_bounds

TILE_LOOPS = ("n", "k", "ky", "kx")


def depthwise(instruction: Instruction, config: Config, memories: OnchipMemories) -> None:
    """Executes a matmul with ``window``. Fault(ADDRESS) for a line that the line memories cannot take."""
    if not WINDOW <= instruction.count_x <= config.window_line:
        raise Fault(Cause.ADDRESS)
    tiles = list(product(*(range(instruction.counts[loop]) for loop in TILE_LOOPS)))
    written = _written(instruction)
    inner = _inner_addresses(instruction, written)
    inner, total = inner[:-1], inner[-1]
    address = instruction.accumulator_address
    for number, tile in enumerate(tiles):
        index = {loop: np.array(i) for loop, i in zip(TILE_LOOPS, tile)}
        sums = _convolve(memories.window, _words(instruction, memories, index), _taps(instruction, memories, index))
        rows = check_addresses((address + inner).astype(np.uint64) & np.uint64(0xFFFF), memories.accumulator)
        if instruction.accumulate or any(tile[1:]):
            np.add.at(memories.accumulator, rows, sums[written])
        else:
            memories.accumulator[rows] = sums[written]  # of several in one row the last one stays
        if number + 1 < len(tiles):
            address += total
            if written[-1, -1]:
                address += getattr(instruction, f"accumulator_step_{_advancing(tile, tiles[number + 1])}")


def _advancing(tile: tuple[int, ...], following: tuple[int, ...]) -> str:
    """The loop that goes on from one tile to the next: the outermost one that changes."""
    return next(loop for loop, before, after in zip(TILE_LOOPS, tile, following) if before != after)


def _written(instruction: Instruction) -> np.ndarray:
    """[y, x]: which iterations of a tile write a row."""
    y = np.arange(instruction.count_y)[:, None] - instruction.window_lead
    x = np.arange(instruction.count_x)[None]
    lines = (y >= 0) & ~(y & instruction.window_skip_y).astype(bool)
    return lines & (x >= WINDOW - 1) & ~(x & instruction.window_skip_x).astype(bool)


def _inner_addresses(instruction: Instruction, written: np.ndarray) -> np.ndarray:
    """Of each written iteration of a tile, how far its row is from where the walk stands at the tile's first iteration; and of
    where the walk stands at its end."""
    steps = np.full(written.shape, instruction.accumulator_step_x, np.int64)
    steps[:, -1] = instruction.accumulator_step_y
    steps[-1, -1] = 0  # that of an outer loop
    return np.concatenate([[0], np.cumsum(steps[written])])


def _words(instruction: Instruction, memories: OnchipMemories, tile: dict) -> np.ndarray:
    """The activation words of a tile: [y, x, channel]."""
    positions = {"y": np.arange(instruction.count_y)[:, None], "x": np.arange(instruction.count_x)[None]}
    addresses = Walk(instruction, "activation")(tile, positions)
    inside = np.broadcast_to(in_bounds(instruction, tile, positions), addresses.shape)
    return read_bounded(memories.activation_words, addresses, inside, instruction.constant)


def _taps(instruction: Instruction, memories: OnchipMemories, tile: dict) -> np.ndarray:
    """[line, position, channel]: the first rows of the weight tile, all of which must be inside."""
    walk, words = Walk(instruction, "weight"), memories.weight_words
    rows = np.arange(memories.activation_words.shape[1], dtype=np.uint64)
    addresses = check_addresses(walk(tile) + rows & walk.mask, words)
    return words[addresses[: WINDOW * WINDOW]].reshape(WINDOW, WINDOW, -1).astype(np.int32)


def _convolve(lines: np.ndarray, words: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Sums [y, x, channel] of ``words``, behind what ``lines`` [upper and lower, x, channel] hold, which becomes the last
    two lines. Those of positions without a whole window are 0."""
    height, width, _ = words.shape
    image = np.concatenate([lines[:, :width], words]).astype(np.int32)
    sums = np.zeros(words.shape, np.int32)
    for i, j in product(range(WINDOW), repeat=2):
        sums[:, WINDOW - 1 :] += taps[i, j] * image[i : i + height, j : j + width - WINDOW + 1]
    lines[:, :width] = image[-(WINDOW - 1) :]
    return sums
