"""Loop nests as arrays: the addresses and the bounds of many iterations at once."""

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

from .. import isa
from ..isa import Instruction

Indices = Mapping[str, np.ndarray]
"""For each loop its index in each iteration."""


def blocks(instruction: Instruction, loops: tuple[str, ...], size: int) -> Iterator[Indices]:
    """The indices of ``loops``, an inner part of a nest, in program order and ``size`` iterations at a time."""
    counts = [getattr(instruction, f"count_{loop}") for loop in loops]
    total = prod(counts)
    for start in range(0, total, size):
        yield dict(zip(loops, np.unravel_index(np.arange(start, min(start + size, total)), counts)))


def iterations(instruction: Instruction, loops: tuple[str, ...]) -> int:
    return prod(getattr(instruction, f"count_{loop}") for loop in loops)


def column(indices: Indices) -> Indices:
    """The same iterations along axis 0, to be broadcast against inner ones along axis 1."""
    return {loop: index[:, None] for loop, index in indices.items()}


class Walk:
    """The addresses of one operand: base + sum of index · stride, modulo 2**bits.

    Strides come from the steps without cutting anything off, so that the sum is what hardware reaches by adding
    sign-extended steps. Loops in ``still`` do not move the walk.
    """

    def __init__(self, instruction: Instruction, name: str, bits: int = 16, still: tuple[str, ...] = ()):
        loops = [loop for loop in instruction.format.walk(name).loops if loop not in still]
        by_loop = {loop: getattr(instruction, f"{name}_step_{loop}") for loop in loops}
        self.strides = isa.strides(instruction.counts, by_loop, 64)
        self.base = np.uint64(getattr(instruction, f"{name}_address"))
        self.mask = np.uint64((1 << bits) - 1)

    def moves_with(self, instruction: Instruction, loops: tuple[str, ...]) -> bool:
        """Whether any of ``loops`` changes the address."""
        return any(self.strides[loop] & int(self.mask) and instruction.counts[loop] > 1 for loop in loops)

    def __call__(self, *indices: Indices) -> np.ndarray:
        """Addresses, with the shape that ``indices`` broadcast to (loops in none of them are at index 0)."""
        shape = np.broadcast_shapes(*(index.shape for part in indices for index in part.values()))
        address = np.full(shape, self.base)
        for part in indices:
            for loop, index in part.items():
                if stride := self.strides[loop]:
                    address += index.astype(np.uint64) * np.uint64(stride & (1 << 64) - 1)
        return address & self.mask


def in_bounds(instruction: Instruction, *indices: Indices) -> np.ndarray:
    """Where 0 <= y < y_limit and 0 <= x < x_limit, with exact coordinates."""
    every = {loop: index for part in indices for loop, index in part.items()}
    inside = np.True_
    for axis in "yx":
        start, stride, dilation, limit = (
            getattr(instruction, f"{axis}_{part}") for part in ("start", "stride", "dilation", "limit")
        )
        coordinate = start + every[axis] * stride + every[f"k{axis}"] * dilation
        inside = inside & (coordinate >= 0) & (coordinate < limit)
    return inside
