"""Means over the positions of tensors on the chip."""

from math import prod

from ...config import Config
from ...isa import DType, Opcode, Space
from ...workloads import Mean
from ..builder import Region
from .requantizer import mean_fields, sum_fields

PARTS = 4
"""Parts in which a tensor may come whose mean is taken."""


def in_parts(config: Config, shape: tuple[int, int, int]) -> bool:
    """Whether an image of ``shape`` whose mean is taken is large enough to come in parts, and their sums have room."""
    tiles = -(-shape[-1] // config.columns)
    return prod(shape[:2]) >= 3 * config.rows and tiles * PARTS <= config.accumulator_rows // 4


class Means:
    """Takes means of column tiles. One that comes in parts is summed part by part, in rows at the end of accumulator bank 0, so that
    little is left when the last part comes. ``emit`` when the tensor engine adds to bank 1, or to none."""

    def __init__(self, chain):
        self.chain, self.waiting = chain, []
        tiles = [
            -(-step.operation.shape[-1] // chain.config.columns)
            for step in chain.network.steps
            if isinstance(step.operation, Mean) and in_parts(chain.config, step.operation.shape)
        ]
        self.rows = PARTS * max(tiles, default=0)
        self.sums: dict[tuple[str, int], int] = {}  # how many there are of a tile

    def add(self, step, tile: int, positions: tuple[int, int]) -> None:
        """``positions`` (first, count), whole lines, of a column tile of what ``step`` takes the mean of are there."""
        mean = step.operation
        width, complete = mean.shape[1], sum(positions) == prod(mean.shape[:2])
        if in_parts(self.chain.config, mean.shape):
            self.waiting.append((step, tile, positions[0] // width, sum(positions) // width, complete))
        elif complete:
            self.waiting.append((step, tile, 0, mean.height, True))

    def emit(self) -> None:
        waiting, self.waiting = self.waiting, []
        for part in waiting:
            self._part(*part)

    def _part(self, step, tile: int, first: int, end: int, complete: bool) -> None:
        """Lines ``first`` to ``end`` of a column tile, the last ones if it is ``complete``."""
        chain, mean = self.chain, step.operation
        source, result, width = chain.tensors[step.input], chain.tensors[step.name], mean.shape[1]
        row, number = chain.config.accumulator_rows - self.rows + tile * PARTS, self.sums.get((step.name, tile), 0)
        target, requantization, lines = (
            [result.tile(tile, 0, 1)],
            chain.values.requantization(step),
            min(end, mean.height) - first,
        )
        if lines > 0:
            reads = [source.tile(tile, first * width, (lines - 1) * width + mean.width)]
            place = lines, mean.width, width, source.row(tile, first * width)
            if lines == mean.height:
                fields = mean_fields(requantization, DType.INT8, sum_fields(*place, 0, source.parts), result.row(tile))
                self._vector(fields, lines * mean.width, reads, target)
            else:
                if number == PARTS:
                    number = self._merge(row)
                self._vector(
                    sum_fields(*place, row + number, source.parts),
                    lines * mean.width,
                    reads,
                    [self._row(row + number, 1)],
                )
                number += 1
            self.sums[step.name, tile] = number
        if complete and number:
            fields = mean_fields(requantization, DType.INT32, sum_fields(number, 1, 1, row, 0), result.row(tile))
            self._vector(fields, number, [self._row(row, number)], target)
        if complete:
            chain.made(step, (tile, 1), (0, 1))

    def _merge(self, row: int) -> int:
        """All sums of a column tile become one."""
        fields = sum_fields(PARTS, 1, 1, row, row) | {"source_dtype": DType.INT32}
        self._vector(fields, PARTS, [self._row(row, PARTS)], [self._row(row, 1)])
        return 1

    def _row(self, row: int, count: int) -> Region:
        return Region(Space.ACCUMULATOR, row, row + count)

    def _vector(self, fields: dict[str, int], rows: int, reads: list[Region], writes: list[Region]) -> None:
        self.chain.builder.emit(Opcode.VECTOR, fields, reads, writes)
        self.chain.clock.reduce(rows, [region for region in writes if region.space == Space.ACTIVATION])
