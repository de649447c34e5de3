"""The tensor engine, an instruction at a time, written from docs/isa.md, docs/isa-semantics.md and docs/numerics.md."""

from collections.abc import Iterator

import numpy as np

from gemmary.isa import Instruction
from verif.golden import address
from verif.golden.array import tile_product
from verif.golden.memories import Memories
from verif.golden.numerics import wrap
from verif.golden.vector import AddressError, bounded, inside, steps


class UndefinedError(Exception):
    """A result depends on a line memory that nothing has written."""


def execute(instruction: Instruction, memories: Memories) -> None:
    """Carries out a matmul instruction. What comes before an AddressError is done."""
    for row, sums, overwrite in accumulations(instruction, memories):
        accumulate(memories.accumulator, row, sums, overwrite)


def accumulate(accumulator: np.ndarray, row: int, sums, overwrite: bool) -> None:
    accumulator[row] = wrap(np.asarray(sums, np.int64) + (0 if overwrite else accumulator[row]))


def writes(instruction: Instruction, index: dict[str, int]) -> bool:
    """Whether an iteration writes its accumulator row."""
    if not instruction.window:
        return True
    x, y = index["x"], index["y"] - instruction.window_lead
    skipped = (instruction.window_skip_x and x % 2) or (instruction.window_skip_y and y % 2)
    return x >= 2 and y >= 0 and not skipped


def accumulator_rows(instruction: Instruction) -> Iterator[int | None]:
    """The accumulator row of each iteration, None where none is written: the walk then stands still."""
    counts, step = instruction.counts, steps(instruction, "accumulator")
    row = instruction.accumulator_address
    for index, advancing in zip(address.iterations(counts), address.advances(counts)):
        if writes(instruction, index):
            yield row % 2**16
            row += step.get(advancing, 0)
        else:
            yield None


def accumulations(instruction: Instruction, memories: Memories) -> Iterator[tuple[int, list[int], bool]]:
    """(row, exact sums, overwrite) of each iteration that writes, in order. Raises AddressError and UndefinedError."""
    counts, rows, window = instruction.counts, memories.config.rows, memories.window
    if instruction.window and not 3 <= counts["x"] <= memories.config.window_line:
        raise AddressError(counts["x"])
    tiles = {loop: counts[loop] for loop in ("n", "k", "ky", "kx")}
    weights = address.addresses(tiles, instruction.weight_address, steps(instruction, "weight"))
    activations = address.addresses(counts, instruction.activation_address, steps(instruction, "activation"))
    tile = None
    for index, activation, row in zip(address.iterations(counts), activations, accumulator_rows(instruction)):
        if index["y"] == index["x"] == 0:
            tile = next(weights)
        words = [inside((tile + k) % 2**16, memories.weights) for k in range(rows)]
        if bounded(instruction, index):
            word = memories.activation_words[inside(activation, memories.activation_words)]
        else:
            word = np.full(rows, instruction.constant)
        if instruction.window:
            window.take(index["x"], word)
        if row is None:
            continue
        inside(row, memories.accumulator)
        overwrite = not instruction.accumulate and index["k"] == index["ky"] == index["kx"] == 0
        if instruction.window:
            sums = window.sums(memories.weights[words])
            if sums is None:
                raise UndefinedError(index)
        else:
            sums = tile_product([word], memories.weights[words])[0].tolist()
        yield row, sums, overwrite
