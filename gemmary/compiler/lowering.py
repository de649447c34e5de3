"""Emits contractions: loads, matrix products and drains, job after job."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from math import inf

from ..config import Config
from ..isa import INSTRUCTION_BYTES, DType, Opcode, Space
from ..performance.model import Timing
from .builder import Builder, Region
from .contraction import Contraction
from .drain import Drain
from .loops import inside, largest, nest, steps, walk
from .pooled import block_of, blocks_of
from .product import Chunk, Job, Places, Product
from .regions import load_inputs
from .runs import Run, make_runs
from .strips import Strips
from .tiled import Tiled, buffers_in
from .tiling import OVERHEAD, RAMP, Tiling, choose_tilings, sums_at_once

MAX_PARTS = 12
"""Parts in which the first chunks come, at most: each signals of its own, and a semaphore counts to 63."""

CANDIDATES = 32
"""Tilings of least estimated cycles that are tried on the cycle model."""

EFFORT, SHORT_EFFORT, SHORT = 3_000, 12_000, 100_000
"""Instructions after which no further tiling is tried; and those for a layer of less than SHORT cycles, whose beginning and end,
which no estimate knows, are a larger part."""


JOB = frozenset({"head", "image", "row", "column", "tile"})
"""Dimensions along which jobs are cut; along the others, those of SUM, their sums are."""

SUM = frozenset({"k", "ky", "kx"})


class Lowering:
    """Emits contractions of one shape, job after job. Each job fills one accumulator bank while the vector engine drains
    the other, also across contractions.

    Activation and weight chunks stay in their slots until others need the place, so with the tiling's order of jobs one
    operand stays resident. Loads run ahead as far as there are slots.
    """

    kind = "contraction"

    def __init__(self, builder: Builder, tiled: Tiled):
        self.builder, self.loops, self.config = builder, tiled.loops, builder.config
        self.operations, self.operation = tiled.operations, tiled.operations[0]
        self.activations, self.weights = (tiled.buffers[name].slots() for name in ("source", "weights"))
        self.sums, self.words = tiled.buffers["sums"], largest(tiled.loops, "k")
        self.drain = Drain(builder, tiled)
        self.part: float | None = None
        self.parts_left = MAX_PARTS
        self.share = self.operation.share

    @classmethod
    def tiled(cls, config: Config, operations: Sequence[Contraction], tiling: Tiling) -> Tiled:
        """The contractions, cut as ``tiling`` says."""
        operation, share = operations[0], operations[0].share
        positions, tiles = (
            operation.outlet.cuts(tiling.split),
            [("tile", steps(operation.weights.tiles[1], tiling.tiles))],
        )
        outer = positions + tiles if tiling.positions_outer else tiles + positions
        loops = nest(("head", [1] * len(operations)), *outer, *cls.sum_loops(operation, tiling))
        most = max(block.positions for block in blocks_of(operation.window, operation.pool, tiling.split))
        sums = cls.sums_at_once(config, operation, tiling.tiles * most)
        channels = tiling.tiles // share
        buffers = buffers_in(
            Space.ACTIVATION,
            source=(tiling.activation_slot, tiling.activation_slots),
            result=(tiling.result_slot, tiling.result_slots),
            residual=(tiling.result_slot, tiling.residual_slots),
        )
        buffers |= buffers_in(Space.WEIGHT, weights=(tiling.weight_slot, tiling.weight_slots))
        buffers |= buffers_in(Space.ACCUMULATOR, sums=(config.accumulator_words // sums, sums))
        if not operation.requantization.scalar:
            buffers |= buffers_in(Space.PARAMETER, parameters=(channels, max(1, config.parameter_rows // channels)))
        return Tiled(cls.kind, tuple(operations), loops, buffers)

    @staticmethod
    def sum_loops(operation: Contraction, tiling: Tiling) -> list[tuple[str, list[int]]]:
        kh, kw = operation.window.kernel
        return [
            ("k", steps(operation.source.words, tiling.words)),
            ("ky", steps(kh, tiling.tap_rows)),
            ("kx", steps(kw, tiling.tap_columns)),
        ]

    sums_at_once = staticmethod(sums_at_once)

    def jobs(self) -> list[Job]:
        jobs, pool = [], self.operation.pool
        for parts in walk(self.loops, JOB):
            outputs = parts["image"], parts["row"], parts["column"]
            pooled = pool and pool.window.block(*outputs)
            jobs.append(Job(block_of(self.operation.window, pool, *outputs), *parts["tile"], parts["head"][0], pooled))
        return jobs

    @cached_property
    def chunks(self) -> list[Chunk]:
        """Of every job's sum."""
        return [Chunk(*parts["k"], parts["ky"], parts["kx"]) for parts in walk(inside(self.loops, SUM))]

    def emit(self, job: Job, index: int, last: bool) -> None:
        """Job number ``index``. The first one starts, and the last one leaves, in parts: little work is left alone then."""
        chunks = self.chunks
        banks = [number % self.sums.count * self.sums.size for number in (index, index + 1)]
        halves = [(0, job.tiles)]
        if last:
            summed, _, _ = self._rates(job, chunks[-1])
            halves = self.drain.halves(job, summed * chunks[-1].words / job.tiles)
        for i, chunk in enumerate(chunks):
            activation, here = self.activations.get((job.head, job.block, chunk.word))
            weight, there = self.weights.get((job.head, job.tile, chunk))
            for start, count in self._parts(job, chunk, index):
                words, first = (start, count), start == i == 0
                if not here:
                    self._load_activations(job, chunk, words, activation)
                if not there:
                    self._load_weights(job, chunk, words, weight)
                complete = i == len(chunks) - 1 and start + count == chunk.words
                for tiles, bank in zip(halves, banks):
                    self._matmuls(job, chunk, Places(activation, weight, bank), words, tiles, first)
                    if complete:
                        self.drain.emit(job, tiles, bank, index)

    def _parts(self, job: Job, chunk: Chunk, index: int) -> Iterator[tuple[int, int]]:
        """(start, count) of the words taken at a time: in the first job each part is loaded while the one before is summed."""
        if index or not self.config.dma or self.share > 1 or not self.parts_left:
            yield 0, chunk.words
            return
        summed, loaded, overhead = self._rates(job, chunk)
        if self.part is None:
            faster = summed > 1.2 * loaded
            least = overhead / (summed - loaded) if faster else self.words / 4
            self.part = max(1, self.words / RAMP, least)
        start = 0
        while start < chunk.words:
            self.parts_left = max(0, self.parts_left - 1)
            count = min(round(self.part), chunk.words - start) if self.parts_left else chunk.words - start
            yield start, count
            start, self.part = start + count, max(self.part, (0.9 * self.part * summed - overhead) / loaded)

    def _rates(self, job: Job, chunk: Chunk) -> tuple[float, float, int]:
        """Cycles to sum and to load one word of a chunk, and those that the instructions of one part take on the bus."""
        summed = max(job.block.positions, self.config.rows) * chunk.taps * job.tiles
        loaded = job.block.in_positions * self.config.rows + job.tiles * chunk.taps * self.operation.weights.tile_bytes
        return summed, loaded / self.config.bus_bytes, 3 * INSTRUCTION_BYTES // self.config.bus_bytes + OVERHEAD

    def _load_activations(self, job: Job, chunk: Chunk, words: tuple[int, int], slot: int) -> None:
        start, count = words
        block, source, positions = job.block, self.operations[job.head].source, job.block.in_positions
        if not self.operation.window.reads(block):
            return
        some = chunk.word + start, count
        if isinstance(source, Strips):
            fields_of_loads = source.loads(self.config, block, some, chunk.words, slot + start)
            first, size = slot, (source.span if self.share > 1 else chunk.words) * positions
        else:
            first, size = slot + start * positions, count * positions
            fields_of_loads = load_inputs(self.config, source, self.operation.window, block, some, first)
        parts = self.config.rows // self.config.columns
        writes = [Region(Space.ACTIVATION, first * parts, (first + size) * parts)]
        for fields in fields_of_loads:
            self.builder.emit(Opcode.LOAD, fields, [], writes)

    def _load_weights(self, job: Job, chunk: Chunk, words: tuple[int, int], slot: int) -> None:
        start, count = words
        plane = job.tiles * chunk.taps * self.config.rows  # weight words of a channel word
        address = slot + start * plane
        writes = [Region(Space.WEIGHT, address, address + count * plane)]
        place = (job.tile, job.tiles), (chunk.word + start, count), chunk.ky, chunk.kx, address
        for fields in self.operations[job.head].weights.loads(self.config.bus_bytes, *place):
            self.builder.emit(Opcode.LOAD, fields | {"dtype": DType.INT8, "space": Space.WEIGHT}, [], writes)

    def _matmuls(self, job: Job, chunk: Chunk, places: Places, words: tuple, tiles: tuple, first: bool) -> None:
        """One instruction for all images and one column tile, or for all tiles and one image: whichever needs fewer. Of strips
        with several windows a run, for each window."""
        share, strips = self.share, self.operation.source if isinstance(self.operation.source, Strips) else None
        if tiles[1] >= job.block.images * share:
            some = [(tiles[0] + p, tiles[1] // share) for p in range(share)]
            parts = [(each, (image, 1)) for each in some for image in range(job.block.images)]
        else:
            parts = [((tiles[0] + n, 1), (0, job.block.images)) for n in range(tiles[1])]
        for some, images in parts:
            product = Product(job, chunk, places, words, some, images, first, strips, some[0] % share)
            fields = product.fields(self.config, self.operation.window, self.operation.constant)
            self.builder.emit(Opcode.MATMUL, fields, product.reads(self.config), product.writes())


Known = dict[tuple, object]
"""What was chosen for forms of operators that were met before."""


def lower_contraction(
    config: Config, *operations: Contraction, timing: Timing | None = None, known: Known | None = None
) -> tuple[Tiled, ...]:
    """The layer, which is one contraction or several of one shape, tiled. InputError if the memories are too small.

    ``known`` remembers choices, so that layers of one form are searched once.
    """
    return lower_best(Lowering, operations, timing or Timing(config), known)


def lower_best(
    kind: type[Lowering], operations: Sequence[Contraction], timing: Timing, known: Known | None = None
) -> tuple[Tiled, ...]:
    """With the tiling that the cycle model likes best, of those with the best estimates."""
    known, key = {} if known is None else known, (kind.kind, len(operations), operations[0].form)
    if key not in known:
        known[key] = best_tiling(kind, operations, timing)
    return (kind.tiled(timing.config, operations, known[key]),)


def best_tiling(kind: type[Lowering], operations: Sequence[Contraction], timing: Timing) -> Tiling:
    """Of the tilings with the best estimates the one that the cycle model likes best. InputError if the memories are too small."""
    best, least, effort = None, inf, 0
    for tiling in choose_tilings(operations[0], len(operations), timing, CANDIDATES):
        tiled = kind.tiled(timing.config, operations, tiling)
        runs = make_runs(kind, tiled, timing)
        if total_cycles(runs) < least:
            best, least = tiling, total_cycles(runs)
        effort += sum(len(run.code) for run in runs) // INSTRUCTION_BYTES
        if effort > (SHORT_EFFORT if least < SHORT else EFFORT):
            break
    return best


def total_cycles(runs: Sequence[Run]) -> int:
    return sum(run.expected_cycles for run in runs)
