"""The vector engine, an instruction at a time, written from docs/numerics.md and docs/isa-semantics.md."""

import numpy as np

from gemmary.isa import DType, Instruction, Reduction
from verif.golden import address, numerics
from verif.golden.memories import Memories


class AddressError(Exception):
    """An instruction leaves its memory: the error ADDRESS."""


def execute(instruction: Instruction, memories: Memories) -> None:
    """Carries out a vector instruction, row by row. What was written before an AddressError stays."""
    for write in rows(instruction, memories):
        write()


def rows(instruction: Instruction, memories: Memories):
    """Yields, for each row of the result in order, the function that writes it."""
    counts = instruction.counts
    outer = {loop: counts[loop] for loop in ("n", "y", "x")}
    wide = instruction.result_dtype == DType.INT32
    target = memories.accumulator if wide else memories.activation_rows
    sources = address.addresses(counts, instruction.source_address, steps(instruction, "source"))
    others = (
        address.addresses(outer, getattr(instruction, f"{walk}_address"), steps(instruction, walk))
        for walk in ("residual", "result")
    )
    parameters = list(
        address.addresses({"n": counts["n"]}, instruction.parameter_address, steps(instruction, "parameter"))
    )
    window = counts["ky"] * counts["kx"]
    indices = address.iterations(counts)
    for index, residual, result in zip(address.iterations(outer), *others):
        operands = [operand(instruction, memories, next(indices), next(sources)) for _ in range(window)]
        value = row(instruction, memories, operands, residual, parameters[index["n"]])
        yield lambda value=value, result=result: target.__setitem__(inside(result, target), value)


def steps(instruction: Instruction, walk: str) -> dict[str, int]:
    return {loop: getattr(instruction, f"{walk}_step_{loop}") for loop in instruction.format.walk(walk).loops}


def inside(place: int, memory: np.ndarray) -> int:
    if place >= len(memory):
        raise AddressError(place)
    return place


def bounded(instruction: Instruction, index: dict[str, int]) -> bool:
    """Whether both coordinates of an iteration are in bounds."""
    return all(
        address.inside(
            address.coordinate(
                getattr(instruction, f"{axis}_start"),
                index[axis],
                getattr(instruction, f"{axis}_stride"),
                index[f"k{axis}"],
                getattr(instruction, f"{axis}_dilation"),
            ),
            getattr(instruction, f"{axis}_limit"),
        )
        for axis in "yx"
    )


def operand(instruction, memories, index, place) -> np.ndarray:
    """Step 1: a row of int32 (as int64)."""
    memory = memories.accumulator if instruction.source_dtype == DType.INT32 else memories.activation_rows
    if not bounded(instruction, index):
        return np.full(memories.config.columns, instruction.constant, np.int64)
    return memory[inside(place, memory)].astype(np.int64)


def row(instruction, memories, operands, residual, parameter) -> np.ndarray:
    """Steps 2 to 9."""
    if instruction.reduction == Reduction.MAX:
        reduced = np.max(operands, axis=0)
    else:
        reduced = numerics.wrap(np.sum(operands, axis=0))
    if instruction.per_channel:
        inside(parameter, np.empty(memories.config.parameter_rows))
        bias, mantissa, shift = memories.parameters(parameter)
    else:
        bias, mantissa, shift = instruction.bias, instruction.mantissa, instruction.shift
    t = numerics.add_bias(reduced, bias)
    if instruction.result_dtype == DType.INT32:
        return t
    added = {}
    if instruction.residual:
        added = {
            "residual": memories.activation_rows[inside(residual, memories.activation_rows)],
            "residual_zero_point": instruction.residual_zero_point,
            "residual_mantissa": instruction.residual_mantissa,
            "residual_shift": instruction.residual_shift,
        }
    y = numerics.requantize(t, mantissa, shift, instruction.zero_point, instruction.low, instruction.high, **added)
    return numerics.table(y, memories.tables[instruction.table_index]) if instruction.table else y
