"""From the accumulator to external memory: requantize a block of outputs, or of what a max pool leaves of them, and store it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..config import TABLE_ENTRIES
from ..isa import DType, Opcode, Reduction, Space, walk_fields
from .builder import Builder, Region
from .pooled import joined
from .product import Job
from .regions import load_bytes, move_outputs
from .tiled import Tiled
from .window import INSIDE, Block


@dataclass(frozen=True)
class Places:
    """Rows where an instruction begins: of the sums, the result, the residual and the parameters."""

    source: int
    result: int
    residual: int
    parameter: int


class Drain:
    """The second half of a contraction's jobs. Results, residuals and parameters have slots of their own."""

    def __init__(self, builder: Builder, tiled: Tiled):
        operations, operation = tiled.operations, tiled.operations[0]
        self.builder, self.operations, self.operation, self.config = builder, operations, operation, builder.config
        self.requantization = operation.requantization
        # Rows of `columns` bytes that make one activation word.
        self.parts = self.config.rows // self.config.columns
        self.tiles_a_word = self.parts if operation.result.dtype == DType.INT8 else 1
        self.results, self.residuals, self.parameters = (
            tiled.buffers[name].slots() if name in tiled.buffers else None
            for name in ("result", "residual", "parameters")
        )
        self.share, self.pool = operation.share, operation.pool
        # Results of a position.
        self.leaving = self.share // self.pool.stride if self.pool else self.share
        self.table_loaded = False

    def halves(self, job: Job, tile_cycles: float) -> list[tuple[int, int]]:
        """(start, count) of one or two parts of the tiles of ``job``, the last one, so that the last of them leaves soonest.

        The first part leaves while the second is summed, at ``tile_cycles`` a tile, in the other bank: of the bank that is
        summed into, nobody can read. Each part is requantized, then stored.
        """
        positions, tiles = job.results.positions, job.tiles
        row_bytes = self.operation.result.word_bytes / self.tiles_a_word
        windows = self.pool.taps if self.pool else 1
        vector = 0 if self.requantization.is_plain else positions * windows * self.config.lane_groups
        store = positions * self.leaving / self.share * row_bytes / self.config.bus_bytes

        def end(first):
            second = tiles - first
            requantized = max(first * (tile_cycles + vector), tiles * tile_cycles) + second * vector
            stored = first * (tile_cycles + vector + store)
            return max(requantized, stored) + second * store

        first = min(range(0, tiles, self.tiles_a_word * self.share), key=end)
        return [(0, first), (first, tiles - first)] if first else [(0, tiles)]

    def emit(self, job: Job, tiles: tuple[int, int], bank: int, index: int) -> None:
        """``tiles`` (start, count) of ``job``, number ``index``, whose sums begin at ``bank``."""
        (start, count), block = tiles, job.block
        self.operation = self.operations[job.head]
        rows = bank + start * block.positions
        if self.operation.result.dtype == DType.INT8:
            self._int8(job, tiles, rows, index)
            return
        region = Region(Space.ACCUMULATOR, rows, rows + count * block.positions)
        if not self.requantization.is_plain:
            self._vector(job, Places(rows, rows, 0, self._parameters(job) + start), count, [region], [region])
        self._store(block, job.tile + start, count, Space.ACCUMULATOR, rows, region)

    def _int8(self, job: Job, tiles: tuple[int, int], rows: int, index: int) -> None:
        (start, count), block = (n // self.share for n in tiles), job.results
        sums, positions = job.block.positions * self.share, block.positions * self.leaving
        words, offset = -(-count // self.parts), start // self.parts
        first_word, size = job.tile // self.share // self.parts + offset, words * positions
        parameter = self._parameters(job) + start
        result = self.results.get(index)[0] + offset * positions
        residual = self._residual(block, (first_word, words), offset, index) if self.requantization.residual else None
        self._load_table()
        for part in range(self.parts):
            mine = len(range(part, count, self.parts))
            source = rows + part * sums
            rest = result * self.parts + part, (residual or 0) * self.parts + part, parameter + part
            reads = [] if residual is None else [self._rows(residual, size, part)]
            if mine:
                last = source + ((mine - 1) * self.parts + 1) * sums
                reads.append(Region(Space.ACCUMULATOR, source, last))
                self._vector(job, Places(source, *rest), mine, reads, [self._rows(result, size, part)])
            if mine < words:
                self._clear(positions, rows, result + (words - 1) * positions, part)
        self._store(block, first_word, words, Space.ACTIVATION, result, self._rows(result, size))

    def _rows(self, word: int, words: int, part: int | None = None) -> Region:
        """Rows of activation words: every one, or ``part`` of each."""
        start, stop = word * self.parts, (word + words) * self.parts
        first, step = (start, 1) if part is None else (start + part, self.parts)
        return Region(Space.ACTIVATION, first, stop, step)

    def _vector(self, job: Job, places: Places, count: int, reads: list[Region], writes: list[Region]) -> None:
        """``count`` column tiles: as many as there are, or, of an int8 result, every ``parts``-th."""
        step = self.parts if self.operation.result.dtype == DType.INT8 else 1
        common = {"source_dtype": DType.INT32} | INSIDE | self.requantization.fields()
        common |= self.requantization.scalar_fields() if self.requantization.scalar else {"per_channel": 1}
        if not self.requantization.scalar:
            last = places.parameter + (count - 1) * step
            reads = [*reads, Region(Space.PARAMETER, places.parameter, last + 1)]
        if self.requantization.table is not None:
            reads = [*reads, Region(Space.TABLE, 0, 1)]
        emitted = self._pooled(job, places, count, step) if job.pooled else [self._whole(job, places, count, step)]
        for fields in emitted:
            self.builder.emit(Opcode.VECTOR, common | fields, reads, writes)

    def _whole(self, job: Job, places: Places, count: int, step: int) -> dict[str, int]:
        """Counts and walks: every sum is a result."""
        positions = job.block.positions
        counts = {"n": count, "y": self.share, "x": positions, "ky": 1, "kx": 1}
        plane = step * positions * self.share
        fields = (
            {f"count_{loop}": n for loop, n in counts.items()}
            | walk_fields(Opcode.VECTOR, "source", places.source, counts, n=plane, y=positions, x=1)
            | walk_fields(Opcode.VECTOR, "result", places.result, counts, n=plane, y=step, x=step * self.share)
        )
        if not self.requantization.scalar:
            fields |= walk_fields(Opcode.VECTOR, "parameter", places.parameter, counts, n=step)
        if self.requantization.residual:
            fields |= walk_fields(Opcode.VECTOR, "residual", places.residual, counts, n=plane, x=step)
        return fields

    def _pooled(self, job: Job, places: Places, count: int, step: int) -> Iterator[dict[str, int]]:
        """Counts and walks of a max pool: windows that stick out of the image are cut off, as no constant is less than every sum. So
        the edges are instructions of their own. Loop n runs over all images of a tile or all tiles of an image."""
        sums, results, window = joined(job.block, job.pooled, self.pool.window)
        rows, columns = window.pieces(0, results.row, results.rows), window.pieces(1, results.column, results.columns)
        over_images = sums.images > count
        for outer in range(count if over_images else sums.images):
            tile, image = (outer * step, 0) if over_images else (0, outer)
            n = sums.images if over_images else count
            for y in rows:
                for x in columns:
                    for p in range(self.leaving):
                        yield self._windows((sums, results), places, (tile, image, y, x, p), n, over_images, step)

    def _windows(
        self, blocks: tuple[Block, Block], places: Places, first: tuple, n: int, over_images: bool, step: int
    ) -> dict:
        """``first`` is tile, image, rows, columns, and the place among the results of a position."""
        (sums, results), (tile, image, y, x, p), (sy, sx) = blocks, first, self.pool.window.stride
        line, across = results.columns * self.leaving, sums.positions * self.share
        sums_image, image_results, tile_results = (
            sums.rows * sums.columns,
            results.rows * line,
            results.positions * self.leaving,
        )
        kx, tap = (x.taps, 1) if self.share == 1 else (self.pool.kernel, sums.positions)
        counts = {"n": n, "y": y.count, "x": x.count, "ky": y.taps, "kx": kx}
        source = (
            tile * across
            + image * sums_image
            + y.start * sums.columns
            + x.start
            + p * self.pool.stride * sums.positions
        )
        result = tile * tile_results + (image * image_results + y.first * line + x.first * self.leaving + p) * step
        fields = (
            {f"count_{loop}": number for loop, number in counts.items()}
            | {"reduction": Reduction.MAX}
            | walk_fields(
                Opcode.VECTOR, "source", places.source + source, counts,
                n=sums_image if over_images else step * across, y=sy * sums.columns, x=sx, ky=sums.columns, kx=tap,
            )
            | walk_fields(
                Opcode.VECTOR, "result", places.result + result, counts,
                n=(image_results if over_images else tile_results) * step, y=line * step, x=self.leaving * step,
            )
        )  # fmt: skip
        if not self.requantization.scalar:
            each = 0 if over_images else step
            fields |= walk_fields(Opcode.VECTOR, "parameter", places.parameter + tile, counts, n=each)
        return fields

    def _clear(self, positions: int, rows: int, word: int, part: int) -> None:
        """Zeros for the part of the last word that no tile fills: what is stored must not depend on what was there."""
        counts = {"n": 1, "y": 1, "x": positions, "ky": 1, "kx": 1}
        fields = (
            {f"count_{loop}": n for loop, n in counts.items()}
            | {"source_dtype": DType.INT32, "result_dtype": DType.INT8}
            | INSIDE
            | walk_fields(Opcode.VECTOR, "source", rows, counts)
            | walk_fields(Opcode.VECTOR, "result", word * self.parts + part, counts, x=self.parts)
        )
        reads = [Region(Space.ACCUMULATOR, rows, rows + 1)]
        self.builder.emit(Opcode.VECTOR, fields, reads, [self._rows(word, positions, part)])

    def _parameters(self, job: Job) -> int:
        """The parameter row of the job's first tile; the parameters of all its tiles are loaded there."""
        if self.requantization.scalar:
            return 0
        tile, all_tiles = job.tile // self.share, self.operation.weights.tiles[1] // self.share
        tiles = min(self.parameters.size, all_tiles - tile)
        slot, here = self.parameters.get((job.head, tile))
        if not here:
            row = self.config.parameter_row_bytes
            external = self.operation.parameters + tile * row
            region = Region(Space.PARAMETER, slot, slot + tiles)
            load_bytes(self.builder, region, external, slot * row, tiles * row)
        return slot

    def _load_table(self) -> None:
        if self.operation.table is not None and not self.table_loaded:
            load_bytes(self.builder, Region(Space.TABLE, 0, 1), self.operation.table, 0, TABLE_ENTRIES)
            self.table_loaded = True

    def _residual(self, block: Block, words: tuple[int, int], offset: int, index: int) -> int:
        """The activation word of the residual's first word, which lies ``offset`` words into the slot of job ``index``."""
        address = self.residuals.get(index)[0] + offset * block.positions
        place = (
            self.operation.requantization.residual.tensor,
            self.operation.window,
            block,
            words,
            Space.ACTIVATION,
            address,
        )
        for fields in move_outputs(Opcode.LOAD, self.config, *place):
            self.builder.emit(Opcode.LOAD, fields, [], [self._rows(address, words[1] * block.positions)])
        return address

    def _store(self, block: Block, first_word: int, words: int, space: Space, address: int, region: Region) -> None:
        window = self.operation.outlet
        if self.leaving > 1:
            window = replace(window, width=window.width * self.leaving)
            block = replace(block, column=block.column * self.leaving, columns=block.columns * self.leaving)
        place = self.operation.result, window, block, (first_word, words), space, address
        for fields in move_outputs(Opcode.STORE, self.config, *place):
            self.builder.emit(Opcode.STORE, fields, [region], [])
