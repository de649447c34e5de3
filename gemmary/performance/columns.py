"""What the cycle model reads of a program: one number a field and instruction, without decoding whole instructions."""

from collections.abc import Iterable
from math import prod

import numpy as np

from ..isa import FORMATS, INSTRUCTION_BYTES, Engine, Instruction, Opcode

TILE_LOOPS, ROW_LOOPS = ("n", "k", "ky", "kx"), ("y", "x")


def columns(program: Iterable[Instruction] | bytes) -> list[tuple]:
    """For each instruction (engine, wait mask, signal mask, a, b, c, d):

    load, store: runs, bytes of a run, external address modulo 4096, space (negative with ``fill_only``, see ``load_space``).
    tensor: weight tiles, rows of each, 0, 0. vector: iterations, those with a result, whether the source is the accumulator,
    whether there is a residual.
    """
    if not isinstance(program, bytes):
        program = b"".join(instruction.encode() for instruction in program)
    words = np.frombuffer(program, np.uint8).reshape(-1, INSTRUCTION_BYTES)
    opcodes = words[:, 0]
    result = np.zeros((len(words), 7), np.int64)
    result[:, 1], result[:, 2] = _field(words, Opcode.LOAD, "wait"), _field(words, Opcode.LOAD, "signal")
    for opcode, describe in _DESCRIBE.items():
        chosen = opcodes == opcode
        if chosen.any():
            result[chosen, 0] = Engine[_ENGINE[opcode]]
            for i, values in enumerate(describe(words[chosen])):
                result[chosen, 3 + i] = values
    return [tuple(row) for row in result.tolist()]


_ENGINE = {Opcode.LOAD: "LOAD", Opcode.MATMUL: "TENSOR", Opcode.VECTOR: "VECTOR", Opcode.STORE: "STORE"}

TRANSPOSED, FILLED = 8, 16
"""Flags beside the space of a load."""


def _field(words: np.ndarray, opcode: Opcode, name: str) -> np.ndarray:
    """The field, its lowest 32 bits at most."""
    field = FORMATS[opcode][name]
    first, last = field.offset // 8, min((field.offset + field.width - 1) // 8, field.offset // 8 + 3)
    value = sum(words[:, i].astype(np.int64) << 8 * (i - first) for i in range(first, last + 1))
    return value >> field.offset % 8 & (1 << min(field.width, 32)) - 1


def _product(words: np.ndarray, opcode: Opcode, loops: Iterable[str]) -> np.ndarray:
    return prod(_field(words, opcode, f"count_{loop}") for loop in loops)


def _load(words):
    op = Opcode.LOAD
    flags = TRANSPOSED * _field(words, op, "transpose"), FILLED * _field(words, op, "fill_only")
    return *_move(words, op)[:3], _field(words, op, "space") + sum(flags)


def _move(words, op=Opcode.STORE):
    runs = _product(words, op, FORMATS[op].loops)
    address = _field(words, op, "external_address") % 4096
    return runs, _field(words, op, "length"), address, _field(words, op, "space")


def _matmul(words):
    return _product(words, Opcode.MATMUL, TILE_LOOPS), _product(words, Opcode.MATMUL, ROW_LOOPS)


def _vector(words):
    op = Opcode.VECTOR
    results = _product(words, op, ("n", "y", "x"))
    wide = _field(words, op, "source_dtype") == 2
    return results * _product(words, op, ("ky", "kx")), results, wide, _field(words, op, "residual")


_DESCRIBE = {Opcode.LOAD: _load, Opcode.MATMUL: _matmul, Opcode.VECTOR: _vector, Opcode.STORE: _move}
