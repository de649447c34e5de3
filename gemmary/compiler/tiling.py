"""How a contraction is cut to fit the on-chip memories, chosen by an estimate of its cycles."""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nsmallest

from ..config import Config
from ..errors import InputError
from ..isa import INSTRUCTION_BYTES, DType
from ..performance.model import Timing
from .contraction import Contraction
from .operands import Operand
from .pooled import blocks_of
from .strips import Strips
from .window import Split

LATENCY = 100
"""Cycles that a transfer waits for memory, where nothing else is known."""

OVERHEAD = 16
"""Cycles to allow for each instruction beside its work."""


HANDOVER = 80
"""Cycles from the last row into the array to the start of the vector engine, and from its last row to the tensor engine's."""

RAMP = 16
"""The first chunk comes in parts: the first part is so small a fraction of it, and each next one twice as long."""


MAX_SLOTS = 16
"""Slots of an operand, at most: loads run ahead by so many, and a semaphore can count them all."""


RESULT_SLOTS = 4
"""Slots for results, if there is room: enough to cover the latency of memory."""


@dataclass(frozen=True)
class Tiling:
    """Sizes of jobs, chunks and slots.

    A job has ``split`` positions and ``tiles`` column tiles. Its sum is taken in chunks of ``words`` channel words and
    ``tap_rows`` x ``tap_columns`` taps. Slots are in words of their memory: activations and results (and residuals) in the
    activation scratchpad, in that order. With ``positions_outer`` a block of positions meets all tiles before the next block.
    """

    split: Split
    tiles: int
    words: int
    tap_rows: int
    tap_columns: int
    positions_outer: bool
    activation_slot: int
    activation_slots: int
    weight_slot: int
    weight_slots: int
    result_slot: int
    result_slots: int
    residual_slots: int


@dataclass(frozen=True)
class Blocks:
    """What one split makes of a window: number of blocks, largest sums, results and inputs of one, and sums over all."""

    split: Split
    count: int
    positions: int
    results: int
    in_positions: int
    total_in: int
    tile_cycles: int


def estimated_cycles(timing: Timing, operation: Contraction) -> float | None:
    """Of the best tiling; None where the memories are too small for any."""
    return min((cost[0] for cost, _ in _costs(timing, operation, 1)), default=None)


def _costs(timing: Timing, operation: Contraction, heads: int) -> Iterator[tuple[tuple[float, int], Tiling]]:
    """((estimated cycles, bytes loaded), tiling) of all that fit."""
    for blocks, tiling in _tilings(timing.config, operation, heads):
        yield _cost(timing, operation, blocks, tiling, heads), tiling


def choose_tilings(operation: Contraction, heads: int, timing: Timing, count: int) -> list[Tiling]:
    """The ``count`` tilings of least estimated cycles for ``heads`` contractions like this one, best first. InputError if the
    memories are too small for any."""
    best = nsmallest(count, _costs(timing, operation, heads), key=lambda candidate: candidate[0])
    if not best:
        (kh, kw), config = operation.window.kernel, timing.config
        raise InputError(
            f"config {config.name!r} is too small for {operation.result.name!r}: its memories do not hold one output's inputs "
            f"({kh} x {kw} words of {config.rows} bytes), weights and result"
        )
    return [tiling for _, tiling in best]


def _tilings(config: Config, operation: Contraction, heads: int) -> Iterator[tuple[Blocks, Tiling]]:
    (kh, kw), all_tiles = operation.window.kernel, operation.weights.tiles[1]
    parts = config.rows // config.columns
    for blocks in _blocks(config, operation):
        for tiles in _tile_counts(config, operation, blocks.positions):
            for words in [-(-tiles // parts)] if operation.diagonal else _word_counts(operation):
                for taps in [(kh, kw)] if operation.diagonal else sorted({(kh, kw), (1, kw), (1, 1)}, reverse=True):
                    for outer in (True, False) if tiles < all_tiles else (True,):
                        tiling = _fit(config, operation, blocks, tiles, words, taps, outer, heads)
                        if tiling is not None:
                            yield blocks, tiling


def _blocks(config: Config, operation: Contraction) -> Iterator[Blocks]:
    areas = operation.outlet.areas(config.accumulator_rows) if operation.pool else ()
    for split in (*operation.outlet.splits(config.accumulator_rows), *areas):
        blocks = list(blocks_of(operation.window, operation.pool, split))
        positions = max(b.positions for b in blocks)
        if positions > config.accumulator_rows:
            continue
        yield Blocks(
            split,
            len(blocks),
            positions,
            split.images * split.rows * split.columns,
            max(b.in_positions for b in blocks),
            sum(b.in_positions for b in blocks),
            sum(b.images * max(b.rows * b.columns, config.rows) for b in blocks),
        )


def _tile_counts(config: Config, operation: Contraction, positions: int) -> list[int]:
    """Column tiles a job can have: whole activation words of results, or all there are."""
    total = operation.weights.tiles[1]
    parts = (config.rows // config.columns if operation.result.dtype == DType.INT8 else 1) * operation.share
    most = min(config.accumulator_rows // positions, config.parameter_rows * operation.share)
    rounded = {-(-n // parts) * parts for n in halvings(total)}
    return [n for n in sorted({min(n, total) for n in rounded}) if n <= most]


def _word_counts(operation: Contraction) -> list[int]:
    """Channel words that a chunk can have: runs of several windows come whole."""
    return halvings(operation.source.words) if operation.share == 1 else [operation.source.words]


def stream_cycles(jobs: int, slots: int, load: float, vector: float, store: float) -> float:
    """Cycles of ``jobs`` that are loaded, computed and stored, if each operand has ``slots`` slots."""
    load, vector, store = load + OVERHEAD, vector + OVERHEAD, store + OVERHEAD
    each = max(load, vector, store, (load + LATENCY + vector) / slots, (vector + store + LATENCY) / slots)
    return (jobs - 1) * each + load + vector + store


def halvings(total: int) -> list[int]:
    """``total`` and balanced parts of it: a half, a quarter …, 1."""
    sizes, parts = set(), 1
    while parts < 2 * total:
        sizes.add(-(-total // parts))
        parts *= 2
    return sorted(sizes)


def _fit(config, operation, blocks: Blocks, tiles, words, taps, outer, heads) -> Tiling | None:
    """The tiling with as many slots as fit, two for each operand if possible; None where not even one does."""
    int8 = operation.result.dtype == DType.INT8
    residual = operation.requantization.residual is not None
    result_slot = -(-tiles * config.columns // config.rows) * blocks.results if int8 else 0
    result_slot //= operation.pool.stride if operation.pool else 1
    activation_slot = (words if operation.share == 1 else operation.source.span) * blocks.in_positions
    weight_slot = _words_a_tile(operation, words) * tiles * taps[0] * taps[1] * config.rows
    weight_slots = config.weight_words // weight_slot
    parts, chunks = -(-operation.weights.tiles[1] // tiles), -(-operation.weights.tiles[0] // words)
    wanted = min(heads * blocks.count * (parts if operation.diagonal else chunks), MAX_SLOTS)
    for slots, least in ((RESULT_SLOTS, min(wanted, RESULT_SLOTS)), (2, 2), (1, 1)):
        free = config.activation_words - slots * result_slot * (1 + residual)
        activation_slots = min(free // activation_slot, wanted)
        if activation_slots >= least:
            break
    if min(activation_slots, weight_slots) < 1:
        return None
    return Tiling(
        split=blocks.split,
        tiles=tiles,
        words=words,
        tap_rows=taps[0],
        tap_columns=taps[1],
        positions_outer=outer,
        activation_slot=activation_slot,
        activation_slots=activation_slots,
        weight_slot=weight_slot,
        weight_slots=min(weight_slots, heads * parts * chunks * _tap_chunks(operation, taps), MAX_SLOTS),
        result_slot=result_slot,
        result_slots=slots,
        residual_slots=slots if residual else 0,
    )


def sums_at_once(config: Config, operation: Contraction, rows: int) -> int:
    """Jobs of ``rows`` sums that the accumulator holds: one in each bank, as a bank that is added to cannot be read; where every sum
    is written once, as many as there is room for."""
    once = operation.weights.tiles[0] * operation.window.taps == 1
    return min(MAX_SLOTS, config.accumulator_words // rows) if once else 2


def _words_a_tile(operation: Contraction, words: int) -> int:
    """Words of k that meet a tile, of the ``words`` of a chunk."""
    return 1 if operation.diagonal else words


def _tap_chunks(operation: Contraction, taps: tuple[int, int]) -> int:
    (kh, kw), (rows, columns) = operation.window.kernel, taps
    return -(-kh // rows) * -(-kw // columns)


def _cost(timing: Timing, operation: Contraction, blocks: Blocks, tiling: Tiling, heads: int) -> tuple[float, int]:
    """(estimated cycles, bytes loaded)."""
    config, source, weights, window = timing.config, operation.source, operation.weights, operation.window
    bus_rate, latency = config.bus_bytes / timing.beat_cycles, timing.latency
    parts, word_chunks = -(-weights.tiles[1] // tiling.tiles), -(-weights.tiles[0] // tiling.words)
    chunks = word_chunks * _tap_chunks(operation, (tiling.tap_rows, tiling.tap_columns))
    jobs = blocks.count * parts

    # How often each operand is loaded: once if it stays until its last use.
    kept = tiling.activation_slots >= (word_chunks if tiling.positions_outer else blocks.count * word_chunks)
    activation_times = 1 if kept or operation.diagonal else parts
    kept = tiling.weight_slots >= (parts * chunks if tiling.positions_outer else chunks)
    weight_times = 1 if kept else blocks.count

    activation_bytes = blocks.total_in * source.words * config.rows * activation_times
    weight_bytes = weights.size * weight_times
    residual_bytes = operation.result.size if tiling.residual_slots else 0
    loaded = activation_bytes + weight_bytes + residual_bytes
    loads = blocks.count * word_chunks * activation_times + parts * chunks * weight_times + jobs * bool(residual_bytes)
    load = loaded / bus_rate + loads * OVERHEAD
    if isinstance(source, Strips):
        load += source.load_cycles(config, blocks.total_in, latency) * activation_times - activation_bytes / bus_rate
    if isinstance(weights, Operand):
        load += weights.load_cycles(config, latency) * weight_times - weight_bytes / bus_rate

    matmuls = jobs * chunks * min(tiling.split.images, tiling.tiles)
    instructions = loads + matmuls + 3 * jobs
    load += instructions * INSTRUCTION_BYTES / bus_rate
    tensor = blocks.tile_cycles * weights.tiles[0] * weights.tiles[1] * window.taps + matmuls * OVERHEAD
    windows = operation.pool.taps if operation.pool else 1
    vector = operation.outlet.positions * windows * weights.tiles[1] * config.lane_groups + jobs * OVERHEAD
    store = operation.result.size / bus_rate + jobs * OVERHEAD
    # What is loaded into a slot waits until what was there has been used.
    activation_chunks = blocks.count * (parts if operation.diagonal else word_chunks)
    for chunk_bytes, times, count, slots in (
        (activation_bytes, activation_times, activation_chunks, tiling.activation_slots),
        (weight_bytes, weight_times, parts * chunks, tiling.weight_slots),
    ):
        if slots < count * times * heads:
            turns = count * times * (latency + HANDOVER)
            tensor = max(tensor, (chunk_bytes / bus_rate + turns + tensor) / slots)
    if tiling.result_slots < 2 <= jobs:
        store += vector
    first = max(1, tiling.words // RAMP)
    begin = first * (blocks.in_positions * config.rows + tiling.tiles * window.taps * weights.tile_bytes)
    # A last chunk is summed when all is loaded.
    behind = min(load, tensor) / (jobs * chunks)
    leaving = windows * config.lane_groups + config.rows / config.bus_bytes
    end = behind / 2 + blocks.results * leaving * -(-tiling.tiles // 8)
    # The slots for sums and for results bound how many jobs are under way.
    summed = (tensor + vector + jobs * HANDOVER) / sums_at_once(config, operation, blocks.positions * tiling.tiles)
    stored = (vector + store + jobs * latency) / tiling.result_slots
    return heads * max(tensor, load, vector, store, summed, stored) + begin / bus_rate + end, heads * loaded
