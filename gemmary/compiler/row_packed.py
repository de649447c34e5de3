"""Emits convolutions whose input is row-packed (row_packing)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..config import TABLE_ENTRIES, Config
from ..isa import MAX_COUNT, DType, Opcode, Reduction, Space, walk_fields
from .builder import Builder, Region
from .layout import Layout
from .loops import steps, walk
from .pooled import Pool, block_of, blocks_of
from .product import Job
from .regions import load_bytes, move_outputs
from .requantization import Requantization
from .row_packing import PaddedImages, RowPacking
from .tensor import Tensor
from .tiled import Tiled, buffers_in
from .tiling import LATENCY, MAX_SLOTS, OVERHEAD, halvings
from .transfer import Loop, transfer_fields
from .weights import WeightTensor
from .window import INSIDE, Block, Piece, Split, Window


@dataclass(frozen=True)
class PackedTiling:
    """A job has ``split`` words (of what ``pool`` leaves of them) and ``tiles`` of the ``all_tiles`` channel tiles of each of their
    outputs."""

    packing: RowPacking
    pool: Pool | None
    all_tiles: int
    split: Split
    tiles: int
    source_slot: int
    source_slots: int
    result_slot: int
    result_slots: int


def plan_packed(
    config: Config, window: Window, cin: int, cout: int, pool: Window | None = None
) -> tuple[float, PackedTiling] | None:
    """Estimated cycles, and how a convolution ``[kh, kw, cin, cout]`` is packed, with ``pool`` in its drain; None where that gains
    nothing or does not fit."""
    packing = RowPacking.of(config, window, cin, pool.stride[1] if pool else 1)
    drained = pool and packing and Pool.of(pool, packing.outputs)
    if packing is None or (pool and not drained):
        return None
    tiles = -(-cout // config.rows) * config.rows // config.columns
    return min(_tilings(config, packing, tiles, drained), key=lambda candidate: candidate[0], default=None)


def _tilings(
    config: Config, packing: RowPacking, all_tiles: int, pool: Pool | None
) -> Iterator[tuple[float, PackedTiling]]:
    """(estimated cycles, tiling) of all that fit."""
    parts, kh, outputs = config.rows // config.columns, packing.packed.kernel[0], packing.outputs
    if kh * outputs * all_tiles * config.rows > config.weight_words or all_tiles > config.parameter_rows:
        return
    outlet, leaving, taps = (pool.window, outputs // pool.stride, pool.taps) if pool else (packing.packed, outputs, 1)
    splits = outlet.splits(config.accumulator_rows // outputs)
    for split in (split for split in splits if split.columns == packing.pieces):  # whole rows
        blocks = list(blocks_of(packing.packed, pool, split))
        inputs, positions = max(b.in_positions for b in blocks), max(b.positions for b in blocks)
        for tiles in {n * parts for n in halvings(all_tiles // parts)}:
            result_slot = tiles // parts * split.images * split.rows * split.columns * leaving
            slots = 2 if 2 * (inputs + result_slot) <= config.activation_words else 1
            free = (config.activation_words - slots * result_slot) // inputs
            counts = (tiles * outputs, split.images * packing.pieces, split.rows)
            if free < 1 or positions * outputs * tiles > config.accumulator_rows or max(counts) > MAX_COUNT:
                continue
            jobs = len(blocks) * all_tiles // tiles
            tensor = sum(max(b.positions, config.rows) for b in blocks) * kh * outputs * all_tiles + jobs * OVERHEAD
            vector = (
                outlet.positions * outputs * taps * all_tiles * config.lane_groups + jobs * leaving * tiles * OVERHEAD
            )
            load = sum(b.in_positions for b in blocks) * max(2, LATENCY // config.outstanding)
            end = result_slot * (config.lane_groups * parts + config.rows / config.bus_bytes)
            cycles = max(tensor, load, vector) + end + (tensor if slots < 2 else 0)
            yield (
                cycles,
                PackedTiling(
                    packing,
                    pool,
                    all_tiles,
                    split,
                    tiles,
                    inputs,
                    min(free, len(blocks), MAX_SLOTS),
                    result_slot,
                    slots,
                ),
            )


@dataclass(frozen=True)
class PackedConvolution:
    """``result = requantize(convolution of source)``, or its max pool. ``weights`` are those of the packing; ``constant`` lies above
    and below."""

    packing: RowPacking
    source: PaddedImages
    weights: WeightTensor
    result: Tensor
    requantization: Requantization
    parameters: int
    table: int | None
    constant: int
    pool: Pool | None = None

    @property
    def outlet(self) -> Window:
        """Over words: what jobs are blocks of."""
        return self.pool.window if self.pool else self.packing.packed


def compile_packed(
    config: Config,
    layout: Layout,
    plan: PackedTiling,
    source: str,
    window: Window,
    weights: np.ndarray,
    requantization: Requantization,
    result: Tensor,
    outside: int,
) -> tuple[Tiled, ...]:
    """Places input ``source`` of the program and the weights ``[kh, kw, cin, cout]``, and returns the layer, tiled.

    ``outside`` is what padding reads.
    """
    cin, cout = weights.shape[2:]
    shape = (window.images, window.height, window.width, cin)
    images = layout.padded_images(source, shape, window.padding[1], outside)
    packed = plan.packing.weights(config, weights)
    tiles = layout.weights("weights", packed.shape, packed)
    addresses = layout.requantization(requantization, cout)
    operation = PackedConvolution(plan.packing, images, tiles, result, requantization, *addresses, outside, plan.pool)
    return (tile_packed(config, operation, plan),)


def tile_packed(config: Config, operation: PackedConvolution, plan: PackedTiling) -> Tiled:
    """All kernel rows and weights stay on the chip."""
    buffers = buffers_in(
        Space.ACTIVATION,
        source=(plan.source_slot, plan.source_slots),
        result=(plan.result_slot, plan.result_slots),
    )
    buffers |= buffers_in(Space.WEIGHT, weights=(operation.weights.size // config.columns, 1))
    buffers |= buffers_in(Space.ACCUMULATOR, sums=(config.accumulator_rows, 2))
    buffers |= buffers_in(Space.PARAMETER, parameters=(plan.all_tiles, 1))
    loops = operation.outlet.loops(plan.split, ("tile", steps(plan.all_tiles, plan.tiles)))
    return Tiled(PackedLowering.kind, (operation,), loops, buffers)


class PackedLowering:
    """Job by job: words of a block, as ``[in_rows, images, pieces]``, all kernel rows, and the outputs one place at a time."""

    kind = "packed"

    def __init__(self, builder: Builder, tiled: Tiled):
        (self.operation,) = tiled.operations
        self.builder, self.loops, self.config = builder, tiled.loops, builder.config
        self.packing, self.pool = self.operation.packing, self.operation.pool
        # Results of a word, in each channel tile.
        self.leaving = self.packing.outputs // (self.pool.stride if self.pool else 1)
        self.parts = self.config.rows // self.config.columns
        self.sources, self.results = (tiled.buffers[name].slots() for name in ("source", "result"))
        self.sums, self.parameters = tiled.buffers["sums"], tiled.buffers["parameters"]

    def jobs(self) -> list[Job]:
        """Their tiles are channel tiles."""
        jobs = []
        for parts in walk(self.loops):
            outputs = parts["image"], parts["row"], parts["column"]
            block = block_of(self.packing.packed, self.pool, *outputs)
            jobs.append(Job(block, *parts["tile"], pooled=self.pool and self.pool.window.block(*outputs)))
        return jobs

    def emit(self, job: Job, index: int, last: bool) -> None:
        block, tile, tiles = job.block, job.tile, job.tiles
        source, here = self.sources.get(block)
        if not here:
            self._load(block, source)
        if index == 0:
            size = self.operation.weights.size
            region = Region(Space.WEIGHT, 0, size // self.config.columns)
            load_bytes(self.builder, region, self.operation.weights.address, 0, size)
        bank = index % self.sums.count * self.sums.size
        self._matmul(block, tile, tiles, source, bank)
        if index == 0:
            self._load_settings()
        self._drain(job, bank, index)

    def _load_settings(self) -> None:
        tiles = self.parameters.size
        size = tiles * self.config.parameter_row_bytes
        region = Region(Space.PARAMETER, 0, tiles)
        load_bytes(self.builder, region, self.operation.parameters, 0, size)
        if self.operation.table is not None:
            load_bytes(self.builder, Region(Space.TABLE, 0, 1), self.operation.table, 0, TABLE_ENTRIES)

    def _rows(self, word: int, words: int) -> Region:
        return Region(Space.ACTIVATION, word * self.parts, (word + words) * self.parts)

    def _load(self, block: Block, slot: int) -> None:
        """Whole words: what a piece does not need meets zero weights."""
        source, packing = self.operation.source, self.packing
        granules = self.config.rows // self.config.bus_bytes
        across = block.images * packing.pieces
        loops = [
            Loop(block.in_rows, packing.packed.row_step * source.row_bytes, across * granules),
            Loop(block.images, source.shape[1] * source.row_bytes, packing.pieces * granules),
            Loop(packing.pieces, packing.outputs * packing.window.stride[1] * packing.channels, granules),
        ]
        first = (block.image * source.shape[1] + block.in_row) * source.row_bytes
        place = source.address + first, slot * granules, loops, self.config.rows
        for fields in transfer_fields(Opcode.LOAD, self.config.bus_bytes, *place):
            fields |= {"dtype": DType.INT8, "space": Space.ACTIVATION}
            self.builder.emit(Opcode.LOAD, fields, [], [self._rows(slot, block.in_positions)])

    def _matmul(self, block: Block, tile: int, tiles: int, source: int, bank: int) -> None:
        """Loop x runs over images and pieces: neither has bounds."""
        packing, rows = self.packing, self.config.rows
        window, across = packing.packed, block.images * packing.pieces
        kh, all_tiles, count = window.kernel[0], self.operation.weights.tiles[1], tiles * packing.outputs
        counts = {"n": count, "k": 1, "ky": kh, "kx": 1, "y": block.rows, "x": across}
        bounds = {name: value for name, value in window.bounds(block).items() if name.startswith("y_")}
        fields = (
            {f"count_{loop}": n for loop, n in counts.items()}
            | INSIDE
            | bounds
            | {"constant": self.operation.constant}
            | {"activation_dtype": DType.INT8, "weight_dtype": DType.INT8, "accumulator_dtype": DType.INT32}
            | walk_fields(
                Opcode.MATMUL, "activation", (source + block.y_start * across) & 0xFFFF, counts,
                ky=window.dilation[0] * across, y=window.stride[0] // window.row_step * across, x=1,
            )
            | walk_fields(
                Opcode.MATMUL, "weight", tile * packing.outputs * kh * rows, counts, n=kh * rows, ky=rows
            )
            | walk_fields(Opcode.MATMUL, "accumulator", bank, counts, n=block.positions, y=across, x=1)
        )  # fmt: skip
        weights = Region(Space.WEIGHT, 0, all_tiles * kh * rows)
        writes = [Region(Space.ACCUMULATOR, bank, bank + count * block.positions)]
        self.builder.emit(Opcode.MATMUL, fields, [self._rows(source, block.in_positions), weights], writes)

    def _drain(self, job: Job, bank: int, index: int) -> None:
        packing, tile, tiles = self.packing, job.tile, job.tiles
        outputs = replace(job.results, column=0, columns=packing.pieces * self.leaving)
        slot, words = self.results.get(index)[0], tiles // self.parts
        result = self._rows(slot, words * outputs.positions)
        sums = Region(Space.ACCUMULATOR, bank, bank + tiles * packing.outputs * job.block.positions)
        reads = [sums, Region(Space.PARAMETER, tile, tile + tiles)]
        if self.operation.table is not None:
            reads.append(Region(Space.TABLE, 0, 1))
        window = job.pooled and self.pool.window
        lines = window.pieces(0, outputs.row, outputs.rows) if window else [Piece(0, outputs.rows, 0, 1)]
        for t in range(tiles):
            for p in range(self.leaving):
                row = bank + (t * packing.outputs + p * packing.outputs // self.leaving) * job.block.positions
                place = (slot + t // self.parts * outputs.positions + p) * self.parts + t % self.parts
                for piece in lines:
                    fields = self._vector(job, piece, row, place, tile + t)
                    self.builder.emit(Opcode.VECTOR, fields, reads, [result])
        whole = replace(self.operation.outlet, width=packing.pieces * self.leaving)
        place = self.operation.result, whole, outputs, (tile // self.parts, words), Space.ACTIVATION, slot
        for fields in move_outputs(Opcode.STORE, self.config, *place):
            self.builder.emit(Opcode.STORE, fields, [result], [])

    def _vector(self, job: Job, lines: Piece, source: int, result: int, parameter: int) -> dict[str, int]:
        """One output place of every word, from ``[rows, images, pieces]`` to ``[images, rows, columns]``; of a pool the largest of its
        window."""
        pieces, step, block, pool = self.packing.pieces, self.parts, job.block, self.pool
        width, line = pieces * self.leaving * step, block.images * pieces
        counts = {"n": block.images, "y": lines.count, "x": pieces, "ky": lines.taps, "kx": pool.kernel if pool else 1}
        return (
            {f"count_{loop}": n for loop, n in counts.items()}
            | {"source_dtype": DType.INT32, "per_channel": 1, "reduction": Reduction.MAX if pool else Reduction.SUM}
            | INSIDE
            | self.operation.requantization.fields()
            | walk_fields(
                Opcode.VECTOR, "source", source + lines.start * line, counts,
                n=pieces, y=(pool.window.stride[0] if pool else 1) * line, x=1, ky=line, kx=block.positions,
            )
            | walk_fields(
                Opcode.VECTOR, "result", result + lines.first * width, counts,
                n=job.results.rows * width, y=width, x=self.leaving * step,
            )
            | walk_fields(Opcode.VECTOR, "parameter", parameter, counts)
        )  # fmt: skip
