"""From the accumulator to external memory: requantize a block of outputs and store it."""

from dataclasses import replace

from ..config import TABLE_ENTRIES
from ..isa import DType, Opcode, Space, walk_fields
from .builder import Builder, Region
from .product import Job
from .regions import load_bytes, move_outputs
from .tiled import Tiled
from .window import INSIDE, Block


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
        self.share = operation.share
        self.table_loaded = False

    def halves(self, job: Job, tile_cycles: float) -> list[tuple[int, int]]:
        """(start, count) of one or two parts of the tiles of ``job``, the last one, so that the last of them leaves soonest.

        The first part leaves while the second is summed, at ``tile_cycles`` a tile, in the other bank: of the bank that is
        summed into, nobody can read. Each part is requantized, then stored.
        """
        block, tiles = job.block, job.tiles
        row_bytes = self.operation.result.word_bytes / self.tiles_a_word
        vector = 0 if self.requantization.is_plain else block.positions * self.config.lane_groups
        store = block.positions * row_bytes / self.config.bus_bytes

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
            self._vector(block, (rows, rows, 0, self._parameters(job) + start), count, [region], [region])
        self._store(block, job.tile + start, count, Space.ACCUMULATOR, rows, region)

    def _int8(self, job: Job, tiles: tuple[int, int], rows: int, index: int) -> None:
        (start, count), block, positions = (n // self.share for n in tiles), job.block, job.block.positions * self.share
        words, offset = -(-count // self.parts), start // self.parts
        first_word, size = job.tile // self.share // self.parts + offset, words * positions
        parameter = self._parameters(job) + start
        result = self.results.get(index)[0] + offset * positions
        residual = self._residual(block, (first_word, words), offset, index) if self.requantization.residual else None
        self._load_table()
        for part in range(self.parts):
            mine = len(range(part, count, self.parts))
            source = rows + part * positions
            places = source, result * self.parts + part, (residual or 0) * self.parts + part, parameter + part
            reads = [] if residual is None else [self._rows(residual, size, part)]
            if mine:
                last = source + ((mine - 1) * self.parts + 1) * positions
                reads.append(Region(Space.ACCUMULATOR, source, last))
                self._vector(block, places, mine, reads, [self._rows(result, size, part)])
            if mine < words:
                self._clear(positions, rows, result + (words - 1) * positions, part)
        self._store(block, first_word, words, Space.ACTIVATION, result, self._rows(result, size))

    def _rows(self, word: int, words: int, part: int | None = None) -> Region:
        """Rows of activation words: every one, or ``part`` of each."""
        start, stop = word * self.parts, (word + words) * self.parts
        first, step = (start, 1) if part is None else (start + part, self.parts)
        return Region(Space.ACTIVATION, first, stop, step)

    def _vector(self, block: Block, places: tuple[int, int, int, int], count: int, reads, writes) -> None:
        source, result, residual, parameter = places
        int8 = self.operation.result.dtype == DType.INT8
        step = self.parts if int8 else 1
        counts = {"n": count, "y": self.share, "x": block.positions, "ky": 1, "kx": 1}
        plane = step * block.positions * self.share
        fields = (
            {f"count_{loop}": n for loop, n in counts.items()}
            | {"source_dtype": DType.INT32}
            | INSIDE
            | self.requantization.fields()
            | (self.requantization.scalar_fields() if self.requantization.scalar else {"per_channel": 1})
            | walk_fields(Opcode.VECTOR, "source", source, counts, n=plane, y=block.positions, x=1)
            | walk_fields(Opcode.VECTOR, "result", result, counts, n=plane, y=step, x=step * self.share)
        )
        if not self.requantization.scalar:
            fields |= walk_fields(Opcode.VECTOR, "parameter", parameter, counts, n=step)
            reads = [*reads, Region(Space.PARAMETER, parameter, parameter + (count - 1) * step + 1)]
        if self.requantization.residual:
            fields |= walk_fields(Opcode.VECTOR, "residual", residual, counts, n=plane, x=step)
        if self.requantization.table is not None:
            reads.append(Region(Space.TABLE, 0, 1))
        self.builder.emit(Opcode.VECTOR, fields, reads, writes)

    def _clear(self, positions: int, rows: int, word: int, part: int) -> None:
        """Zeros for the part of the last word that no tile fills: what is stored must not depend on what was there."""
        counts = {"n": 1, "y": 1, "x": positions, "ky": 1, "kx": 1}
        fields = (
            {f"count_{loop}": n for loop, n in counts.items()}
            | {"source_dtype": DType.INT32, "result_dtype": DType.INT8}
            | INSIDE
            | walk_fields(Opcode.VECTOR, "source", rows, counts, x=1)
            | walk_fields(Opcode.VECTOR, "result", word * self.parts + part, counts, x=self.parts)
        )
        reads = [Region(Space.ACCUMULATOR, rows, rows + positions)]
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
        window = self.operation.window
        if self.share > 1:
            window = replace(window, width=window.width * self.share)
            block = replace(block, column=block.column * self.share, columns=block.columns * self.share)
        place = self.operation.result, window, block, (first_word, words), space, address
        for fields in move_outputs(Opcode.STORE, self.config, *place):
            self.builder.emit(Opcode.STORE, fields, [region], [])
