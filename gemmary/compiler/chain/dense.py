"""A dense layer of one row in a chain: as fast as its weights come."""

from collections.abc import Iterator
from dataclasses import replace
from math import isqrt

from ...isa import DType, Opcode, Space, walk_fields
from ...workloads import Matmul
from ..builder import Region
from ..regions import load_bytes
from ..window import INSIDE
from .fit import fit
from .product import weight_tiles

GROUP = 24
"""Rows of biases that come with one load, about."""

LEAST, GROWTH, MOST = 4, 5, 40
"""Weight tiles of the last load; how those of others grow with the square root of the cycles that are left; and their bound. The array
takes a tile as fast as it comes, so of the lag that a load leaves it catches up only what else the bus carries after it."""


def is_dense(operation) -> bool:
    """Whether it is a product of one row with constant weights."""
    return isinstance(operation, Matmul) and operation.m == operation.batch == 1 and operation.constant


class Biases:
    """The biases of dense layers come as the sums that their products are added to, since the scale is the same for all channels:
    half the bytes of parameters. They have rows at the end of accumulator bank 1; those of several layers come with one load."""

    def __init__(self, chain):
        self.chain, columns = chain, chain.config.columns
        steps = [step for step in chain.network.steps if is_dense(step.operation)]
        self.tiles = {step.name: -(-step.operation.n // columns) for step in steps}
        self.rows = min(sum(self.tiles.values()), chain.config.accumulator_rows // 2)
        self.first = 2 * chain.config.accumulator_rows - self.rows
        self.next, self.places = 0, {}
        self.groups: list[list] = []
        for step in steps:
            if len(self.groups) < 2 or sum(self.tiles[s.name] for s in [*self.groups[-1], step]) > GROUP:
                self.groups.append([])
            self.groups[-1].append(step)

    def load(self, step) -> int:
        """The accumulator row of the first column tile of ``step``."""
        if step.name not in self.places:
            group = next(group for group in self.groups if step in group)
            total = sum(self.tiles[s.name] for s in group)
            if self.next + total > self.rows:
                self.next = 0
            row = self.first + self.next
            self.next += total
            self._load(group, row, total)
            for each in group:
                self.places[each.name], row = row, row + self.tiles[each.name]
        return self.places[step.name]

    def _load(self, group: list, row: int, rows: int) -> None:
        chain, columns, data = self.chain, self.chain.config.columns, b""
        for step in group:
            bias = chain.values.requantization(step).bias
            data += bias.astype("<i4").tobytes().ljust(self.tiles[step.name] * 4 * columns, b"\0")
        size, region = chain.config.accumulator_row_bytes, Region(Space.ACCUMULATOR, row, row + rows)
        load_bytes(chain.builder, region, chain.layout.memory.constant(data), row * size, rows * size)
        chain.clock.load(len(data))


class DenseStep:
    """Emits one step: for some column tiles, or channel words of one, their weights and the product; the results at the end."""

    def __init__(self, chain, step, number: int):
        self.chain, self.step, self.number, self.config = chain, step, number, chain.config
        self.source = chain.tensors[step.input]
        tiles = weight_tiles(self.config, chain.values.weights(step))
        self.tiles, self.words = tiles.shape[:2]
        fit(
            step,
            f"{self.tiles} column tiles",
            self.tiles,
            "half of accumulator_rows",
            self.config.accumulator_rows // 2,
        )
        self.external = chain.layout.memory.constant(tiles.tobytes())
        self.requantization = replace(chain.values.requantization(step), bias=0)
        chain.need_input(step.input, 1)

    def emit(self) -> None:
        """The biases come as late as they can, so that the array catches up with the weights meanwhile."""
        row, drained = self.chain.biases.load(self.step), 0
        ahead = self.chain.dense_tiles(self.number + 1)
        for tiles, words in self._parts(ahead):
            self._product(tiles, words, row + tiles[0])
            complete = sum(tiles) if sum(words) == self.words else tiles[0]
            left = self.tiles - complete
            ending = self.step.name == self.chain.last and left * self.words <= 4 * LEAST
            if complete > drained and (not left or ending):
                place = (drained, complete - drained), (0, 1), row + drained, 0
                self.chain.drain(self.step, self.requantization, *place)
                drained = complete

    def _parts(self, ahead: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """(first, count) of column tiles, and of channel words, that are taken at a time; ``ahead``: weight tiles behind them."""
        tile, word = 0, 0
        while tile < self.tiles:
            left = ahead + (self.tiles - tile) * self.words - word
            size = min(MOST, LEAST + GROWTH * isqrt(left * self.config.rows) // self.config.rows)
            if self.number == 0 and tile == word == 0:
                size = LEAST * 2
            if word or size < 2 * self.words and (self.number == 0 or size < self.words):
                count = min(self.words - word, size)
                yield (tile, 1), (word, count)
                word += count
                tile, word = (tile + 1, 0) if word == self.words else (tile, word)
                continue
            count = min(self.tiles - tile, max(1, size // self.words))
            inputs = [[self.source.region(word, 0, 1)] for word in range(self.words)]
            parts = self.chain.clock.parts(inputs, count * self.config.rows) if tile == 0 else [(0, self.words)]
            yield from (((tile, count), words) for words in list(parts))
            tile += count

    def _product(self, tiles: tuple[int, int], words: tuple[int, int], row: int) -> None:
        config, chain, (tile, count), (word, some) = self.config, self.chain, tiles, words
        size = count * some * config.rows
        place = chain.take_weights(self.step, size)
        external = self.external + (tile * self.words + word) * config.rows * config.columns
        chain.load_weights(external, place, some * config.rows, count, (self.words * config.rows, some * config.rows))
        counts = {"n": count, "k": some, "ky": 1, "kx": 1, "y": 1, "x": 1}
        fields = (
            {f"count_{loop}": n for loop, n in counts.items()}
            | {"accumulate": 1}
            | {"activation_dtype": DType.INT8, "weight_dtype": DType.INT8, "accumulator_dtype": DType.INT32}
            | INSIDE
            | walk_fields(Opcode.MATMUL, "activation", self.source.word(word), counts, k=1)
            | walk_fields(Opcode.MATMUL, "weight", place, counts, n=some * config.rows, k=config.rows)
            | walk_fields(Opcode.MATMUL, "accumulator", row, counts, n=1)
        )
        inputs = [self.source.region(word + k, 0, 1) for k in range(some)]
        sums = [Region(Space.ACCUMULATOR, row, row + count)]
        chain.builder.emit(Opcode.MATMUL, fields, [*inputs, Region(Space.WEIGHT, place, place + size), *sums], sums)
        chain.clock.product(count * some, 1, inputs)
