"""What an instruction reads and writes: granules of every on-chip memory, bytes of external memory."""

import numpy as np

from gemmary.config import Config
from gemmary.emulator.nest import Walk, blocks, column, in_bounds, iterations
from gemmary.isa import DType, Instruction, Opcode, Space
from verif.golden import tensor

EXTERNAL = "external"

Accesses = dict[Space | str, np.ndarray]


def accesses(instruction: Instruction, config: Config) -> tuple[Accesses, Accesses]:
    """(reads, writes). An accumulated row counts as written only."""
    return {
        Opcode.LOAD: _load,
        Opcode.MATMUL: _matmul,
        Opcode.VECTOR: _vector,
        Opcode.STORE: _store,
    }[instruction.opcode](instruction, config)


def vector_rows(instruction: Instruction) -> tuple[list[np.ndarray], np.ndarray]:
    """Of a vector instruction the row written by each result, and arrays [result, …] of the rows it reads from the memory
    that it writes; −1 where it reads none."""
    results = _all(instruction, ("n", "y", "x"))
    window = _all(instruction, ("ky", "kx"))
    read = []
    if instruction.source_dtype == instruction.result_dtype:
        inside = in_bounds(instruction, column(results), window)
        rows = Walk(instruction, "source")(column(results), window).astype(np.int64)
        read.append(np.where(inside, rows, -1))
    if instruction.residual and instruction.result_dtype == DType.INT8:
        read.append(Walk(instruction, "residual")(results).astype(np.int64)[:, None])
    return read, Walk(instruction, "result")(results).astype(np.int64)


def _all(instruction, loops):
    (indices,) = blocks(instruction, loops, iterations(instruction, loops))
    return indices


def _granules(words: np.ndarray, word_bytes: int, config: Config) -> np.ndarray:
    count = word_bytes // config.bus_bytes
    return _span(np.unique(words).astype(np.int64) * count, count)


def _span(first: np.ndarray, count: int) -> np.ndarray:
    return np.unique(first.astype(np.int64)[:, None] + np.arange(count))


def _external(instruction, config) -> np.ndarray:
    runs = Walk(instruction, "external", config.address_bits)(_all(instruction, ("z", "y", "x")))
    return _span(np.unique(runs), instruction.length)


def _load(instruction, config):
    indices = _all(instruction, ("z", "y", "x"))
    if instruction.transpose and not instruction.fill_only:
        across = np.arange(instruction.length)[:, None] * instruction.onchip_step_x
        first = Walk(instruction, "onchip", still=("x",))({k: v for k, v in indices.items() if k != "x"})
        written = np.unique(first.astype(np.int64) + across & 0xFFFF)
    else:
        written = _span(Walk(instruction, "onchip")(indices), -(-instruction.length // config.bus_bytes))
    reads = {} if instruction.fill_only else {EXTERNAL: _external(instruction, config)}
    return reads, {Space(instruction.space): written}


def _store(instruction, config):
    first = Walk(instruction, "onchip")(_all(instruction, ("z", "y", "x")))
    read = _span(first, -(-instruction.length // config.bus_bytes))
    return {Space(instruction.space): read}, {EXTERNAL: _external(instruction, config)}


def _matmul(instruction, config):
    outer = column(_all(instruction, ("n", "k", "ky", "kx")))
    positions = _all(instruction, ("y", "x"))
    inside = np.broadcast_to(
        in_bounds(instruction, outer, positions), (len(outer["n"]), iterations(instruction, ("y", "x")))
    )
    activations = Walk(instruction, "activation")(outer, positions)[inside]
    tiles = Walk(instruction, "weight")(outer)
    if instruction.window:
        accumulator = np.array([row for row in tensor.accumulator_rows(instruction) if row is not None], np.int64)
    else:
        accumulator = Walk(instruction, "accumulator")(outer, positions)
    reads = {
        Space.ACTIVATION: _granules(activations, config.rows, config),
        Space.WEIGHT: _granules(_span(tiles.ravel(), config.rows), config.columns, config),
    }
    return reads, {Space.ACCUMULATOR: _granules(accumulator, config.accumulator_row_bytes, config)}


def _vector(instruction, config):
    results = _all(instruction, ("n", "y", "x"))
    window = _all(instruction, ("ky", "kx"))
    wide_source, wide_result = instruction.source_dtype == DType.INT32, instruction.result_dtype == DType.INT32
    reads: Accesses = {}

    def read(space, words, word_bytes):
        granules = _granules(words, word_bytes, config)
        reads[space] = np.union1d(reads[space], granules) if space in reads else granules

    inside = in_bounds(instruction, column(results), window)
    source = Walk(instruction, "source")(column(results), window)[inside]
    if wide_source:
        read(Space.ACCUMULATOR, source, config.accumulator_row_bytes)
    else:
        read(Space.ACTIVATION, source, config.columns)
    if instruction.residual and not wide_result:
        read(Space.ACTIVATION, Walk(instruction, "residual")(results), config.columns)
    if instruction.per_channel:
        read(Space.PARAMETER, Walk(instruction, "parameter")({"n": results["n"]}), config.parameter_row_bytes)
    if instruction.table and not wide_result:
        first = 256 // config.bus_bytes * instruction.table_index
        reads[Space.TABLE] = np.arange(first, first + 256 // config.bus_bytes)
    space, size = (
        (Space.ACCUMULATOR, config.accumulator_row_bytes) if wide_result else (Space.ACTIVATION, config.columns)
    )
    return reads, {space: _granules(Walk(instruction, "result")(results), size, config)}
