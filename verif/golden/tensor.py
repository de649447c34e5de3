"""The tensor engine, an instruction at a time, written from docs/isa.md, docs/isa-semantics.md and docs/numerics.md."""

from collections.abc import Iterator

import numpy as np

from gemmary.isa import Instruction
from verif.golden import address
from verif.golden.array import tile_product
from verif.golden.memories import Memories
from verif.golden.numerics import wrap
from verif.golden.vector import bounded, inside, steps


def execute(instruction: Instruction, memories: Memories) -> None:
    """Carries out a matmul instruction. What comes before an AddressError is done."""
    for row, sums, overwrite in accumulations(instruction, memories):
        accumulate(memories.accumulator, row, sums, overwrite)


def accumulate(accumulator: np.ndarray, row: int, sums, overwrite: bool) -> None:
    accumulator[row] = wrap(np.asarray(sums, np.int64) + (0 if overwrite else accumulator[row]))


def accumulations(instruction: Instruction, memories: Memories) -> Iterator[tuple[int, list[int], bool]]:
    """(row, exact sums, overwrite) of each iteration, in order. Raises AddressError."""
    counts, rows = instruction.counts, memories.config.rows
    tiles = {loop: counts[loop] for loop in ("n", "k", "ky", "kx")}
    weights = address.addresses(tiles, instruction.weight_address, steps(instruction, "weight"))
    walks = [
        address.addresses(counts, getattr(instruction, f"{walk}_address"), steps(instruction, walk))
        for walk in ("activation", "accumulator")
    ]
    tile = None
    for index, activation, row in zip(address.iterations(counts), *walks):
        if index["y"] == index["x"] == 0:
            tile = next(weights)
        words = [inside((tile + k) % 2**16, memories.weights) for k in range(rows)]
        if bounded(instruction, index):
            word = memories.activation_words[inside(activation, memories.activation_words)]
        else:
            word = np.full(rows, instruction.constant)
        inside(row, memories.accumulator)
        overwrite = not instruction.accumulate and index["k"] == index["ky"] == index["kx"] == 0
        yield row, tile_product([word], memories.weights[words])[0].tolist(), overwrite
