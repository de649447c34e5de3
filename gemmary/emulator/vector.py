"""The vector engine: reduce, bias, scale, residual, round, clip, table (docs/numerics.md)."""

import numpy as np

from ..config import Config
from ..isa import DType, Instruction, Reduction
from .memories import OnchipMemories, check_addresses, read_bounded
from .nest import Indices, Walk, blocks, column, in_bounds

RESULT_LOOPS, WINDOW_LOOPS = ("n", "y", "x"), ("ky", "kx")
BLOCK_ELEMENTS = 1 << 20


def vector(instruction: Instruction, config: Config, memories: OnchipMemories) -> None:
    wide = instruction.result_dtype == DType.INT32
    target = memories.accumulator if wide else memories.activation_rows
    rows_of = Walk(instruction, "result")
    for results in blocks(instruction, RESULT_LOOPS, BLOCK_ELEMENTS // config.columns // 8):
        rows = check_addresses(rows_of(results), target)
        bias, mantissa, shift = _parameters(instruction, memories, results)
        total = _reduce(instruction, config, memories, results) + bias
        if wide:
            target[rows] = total
        else:
            target[rows] = _requantize(instruction, memories, results, total, mantissa, shift)


def _parameters(instruction: Instruction, memories: OnchipMemories, results: Indices):
    """Bias (int32), mantissa and shift (int64), of shape [results, columns] or for all at once."""
    if not instruction.per_channel:
        return np.int32(instruction.bias), np.int64(instruction.mantissa), np.int64(instruction.shift)
    addresses = Walk(instruction, "parameter")({"n": results["n"]})
    bias, scale = np.moveaxis(memories.parameters[check_addresses(addresses, memories.parameters)], -1, 0)
    scale = scale.astype(np.int64)
    return bias, scale & 0xFFFFFF, scale >> 24 & 0x3F


def _reduce(instruction: Instruction, config: Config, memories: OnchipMemories, results: Indices) -> np.ndarray:
    """The sum modulo 2**32 or the maximum over the window: int32 [results, columns]."""
    wide = instruction.source_dtype == DType.INT32
    source = memories.accumulator if wide else memories.activation_rows
    rows_of = Walk(instruction, "source")
    results = column(results)
    combine = np.add if instruction.reduction == Reduction.SUM else np.maximum
    reduced = None
    for window in blocks(instruction, WINDOW_LOOPS, max(1, BLOCK_ELEMENTS // config.columns // len(results["n"]))):
        inside = in_bounds(instruction, results, window)
        operands = read_bounded(source, rows_of(results, window), inside, instruction.constant)
        part = combine.reduce(operands.astype(np.int32), axis=1, dtype=np.int32)
        reduced = part if reduced is None else combine(reduced, part)
    return reduced


def _requantize(instruction, memories, results: Indices, total, mantissa, shift) -> np.ndarray:
    """int8 from int32. int64 holds every sum: 2**31 · (2**24 − 1) · (1 + 255) is below 2**63."""
    product = total * mantissa
    if instruction.residual:
        addresses = Walk(instruction, "residual")(results)
        residual = memories.activation_rows[check_addresses(addresses, memories.activation_rows)].astype(np.int64)
        residual = (residual - instruction.residual_zero_point) * instruction.residual_mantissa
        product = product + (residual << (shift - instruction.residual_shift & 31))
    # Beyond 9 bits everything is clipped alike; without this the zero point could overflow.
    rounded = np.clip(_round_half_even(product, shift), -512, 511) + instruction.zero_point
    clipped = np.minimum(np.maximum(rounded, instruction.low), instruction.high)
    if instruction.table:
        return memories.tables[instruction.table_index][clipped + 128]
    return clipped.astype(np.int8)


def _round_half_even(value: np.ndarray, shift: np.ndarray) -> np.ndarray:
    floor = value >> shift
    twice_rest = (value - (floor << shift)).astype(np.uint64) << np.uint64(1)
    one = np.uint64(1) << shift.astype(np.uint64)
    return floor + ((twice_rest > one) | ((twice_rest == one) & (floor & 1 == 1)))
