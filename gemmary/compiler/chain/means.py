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
    """Whether an image of ``shape`` whose mean is taken is large enough to come in parts."""
    return prod(shape[:2]) >= 3 * config.rows


class Means:
    """Takes means of channel words. One that comes in parts is summed part by part, in rows at the end of accumulator bank 0, so that
    little is left when the last part comes. ``emit`` when the tensor engine adds to bank 1, or to none."""

    def __init__(self, chain):
        self.chain, self.waiting = chain, []
        words = [
            -(-step.operation.shape[-1] // chain.config.rows)
            for step in chain.network.steps
            if isinstance(step.operation, Mean) and in_parts(chain.config, step.operation.shape)
        ]
        self.rows = PARTS * max(words, default=0)
        self.sums: dict[tuple[str, int], int] = {}  # how many there are of a word

    def add(self, step, word: int, positions: tuple[int, int]) -> None:
        """``positions`` (first, count), whole lines, of a word of what ``step`` takes the mean of are there."""
        self.waiting.append((step, word, positions))

    def emit(self) -> None:
        waiting, self.waiting = self.waiting, []
        for step, word, positions in waiting:
            self._part(step, word, positions)

    def _part(self, step, word: int, positions: tuple[int, int]) -> None:
        chain, mean = self.chain, step.operation
        width = mean.shape[1]
        source, result = chain.tensors[step.input], chain.tensors[step.name]
        first, end = positions[0] // width, min(sum(positions) // width, mean.height)
        row = chain.config.accumulator_rows - self.rows + word * PARTS
        number = self.sums.get((step.name, word), 0)
        target = [result.region(word, 0, 1)]
        requantization = chain.values.mean(step)
        if end > first:
            fields = sum_fields(end - first, mean.width, width, source.word(word) + first * width, row + number)
            reads = [source.region(word, first * width, (end - first - 1) * width + mean.width)]
            if end - first == mean.height:
                fields = mean_fields(requantization, DType.INT8, fields, result.word(word))
                self._vector(fields, (end - first) * mean.width, reads, target)
            else:
                self._vector(fields, (end - first) * mean.width, reads, [self._row(row + number, 1)])
                number += 1
            self.sums[step.name, word] = number
        if sum(positions) < prod(mean.shape[:2]):
            return
        if number:
            fields = mean_fields(requantization, DType.INT32, sum_fields(number, 1, 1, row, 0), result.word(word))
            self._vector(fields, number, [self._row(row, number)], target)
        chain.made(step, (word, 1), (0, 1))

    def _row(self, row: int, count: int) -> Region:
        return Region(Space.ACCUMULATOR, row, row + count)

    def _vector(self, fields: dict[str, int], rows: int, reads: list[Region], writes: list[Region]) -> None:
        self.chain.builder.emit(Opcode.VECTOR, fields, reads, writes)
        self.chain.clock.reduce(rows, [region for region in writes if region.space == Space.ACTIVATION])
