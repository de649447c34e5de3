"""A convolution, or a dense layer, of a chain: matrix products of tensors on the chip."""

from collections.abc import Iterator

import numpy as np

from ...config import Config
from ...isa import DType, Opcode, Space, walk_fields
from ...workloads import INPUT, Mean, is_depthwise
from ..builder import Region
from .blocks import covering_lines, even_lines, growing_lines, shrinking_lines
from .fit import fit
from .means import in_parts
from .pools import pool_of
from .windows import WindowTensor

ROWS, WHOLE = 256, 160
"""Sums of a column tile that are taken at a time, about; and of an image that is taken as a whole."""

TILE_BYTES = 8 << 10
"""Weights that are taken at a time where there are fewer positions than the array is deep."""


def weight_tiles(config: Config, weights: np.ndarray) -> np.ndarray:
    """``[kh, kw, cin, cout]`` as ``[n, k, kh, kw, rows, columns]``."""
    rows, columns = config.rows, config.columns
    kh, kw, cin, cout = weights.shape
    padded = np.pad(weights, ((0, 0), (0, 0), (0, -cin % rows), (0, -cout % columns)))
    return padded.reshape(kh, kw, -(-cin // rows), rows, -1, columns).transpose(4, 2, 0, 1, 3, 5)


class ProductStep:
    """Emits one step: for blocks of lines and column tiles a product, then its way back into the scratchpad.

    All column tiles of a block come before the next block, so that a step which reads all channels of a few lines can begin; but where
    depthwise steps follow, all blocks of a column tile, which is what they read first.
    """

    def __init__(self, chain, step, number: int):
        self.chain, self.step, self.number, self.builder = chain, step, number, chain.builder
        config = self.config = chain.config
        operation, rows = step.operation, self.config.rows
        self.source, self.window = chain.tensors[step.input], chain.window(step)
        self.first = chain.input if step.input == INPUT else None
        self.constant = chain.values.outside(step)
        weights = self._of_array(chain.values.weights(step))
        if isinstance(self.first, WindowTensor):
            first, self.kernel = self.first, (1, 1)
            self.share, self.pitch, self.words = first.share, first.pitch, first.words
            tiles = np.stack([weight_tiles(config, each[None, None]) for each in first.weights(weights)], axis=1)
        else:
            self.share, self.pitch, self.kernel = 1, 0, self.window.kernel
            tiles = weight_tiles(config, weights)[:, None]
            self.words = tiles.shape[2]
        self.tiles = len(tiles)
        self.word_size = self.kernel[0] * self.kernel[1] * rows  # weight words of a tile and a channel word
        self.tile_size = self.share * self.words * self.word_size
        self.external = chain.layout.memory.constant(tiles.tobytes())
        self.requantization = chain.values.requantization(step)
        self.parameters = chain.place_parameters(self.requantization, operation.output_shape[-1])
        self.parameter = None
        self.pool, room = pool_of(step), config.accumulator_rows // 2
        # Lines of sums that make one of results.
        self.lines = self.pool.stride[0] if self.pool else 1
        sums = self.lines * self.window.out_width
        fit(step, f"a line of {sums} sums", sums, "half of accumulator_rows", room)
        self.most = min(ROWS, room)

    def _of_array(self, weights: np.ndarray) -> np.ndarray:
        """``[kh, kw, cin / groups, cout]`` as what the columns of the array are to sum."""
        return weights

    def _word(self, tile: int) -> int:
        """The first channel word of the source that a column tile reads."""
        return 0

    def emit(self) -> None:
        blocks, tiles = self._blocks(), self._tile_groups()
        by_words = all(is_depthwise(step.operation) for step in self.chain.readers(self.step.name))
        whole = self.tiles * self.tile_size <= self.config.weight_words
        outer = len(blocks) > 1 and (self.number == 0 or not by_words) and whole
        if outer:
            start = self.chain.take_weights(self.step, self.tiles * self.tile_size)
            places = {group: start + group[0] * self.tile_size for group in tiles}
            atoms = [(block, group) for block in blocks for group in tiles]
        else:
            places = {}
            atoms = [(block, group) for group in tiles for block in blocks]
        loaded = set()
        if outer and self.number == 0 and self._begins_with(blocks[0]):
            self._begin(blocks[0], start)
            loaded, atoms = set(tiles), [atom for atom in atoms if atom[0] != blocks[0]]
        for i, (block, group) in enumerate(atoms):
            if group not in places:
                places[group] = self.chain.take_weights(self.step, group[1] * self.tile_size)
            self._atom(block, group, places[group], load=group not in loaded, begin=i == 0)
            loaded.add(group)

    def _begins_with(self, block) -> bool:
        """Whether the sums of all column tiles are taken at once for the first block."""
        rows = self.tiles * block[1] * self.window.out_width
        return self.tiles > 1 and self.share == 1 and self.words > 1 and rows <= self.config.accumulator_rows // 2

    def _begin(self, block, place: int) -> None:
        """The first block of the network: each channel word meets all column tiles before the next is loaded, so that the array
        begins with the first tile and has work for as long as the next one takes to load."""
        chain, positions = self.chain, (block[0] * self.window.out_width, block[1] * self.window.out_width)
        row = chain.sums.take(self.tiles * positions[1], added=True)
        for word in range(self.words):
            self._need_input(block, (word, 1), 0)
            half = 1 if word == 0 else -(-self.tiles // 2)
            for tile, count in ((0, half), (half, self.tiles - half)):
                self._load_weights((tile, count), (word, 1), place + tile * self.tile_size)
                self._matmul(block, (tile, count), (word, 1), place + tile * self.tile_size, row + tile * positions[1])
        self.parameter = chain.load_parameters(self.step, self.parameters, self.tiles)
        for tile in range(self.tiles):
            at = row + tile * positions[1], self.parameter + tile
            chain.drain(self.step, self.requantization, (tile, 1), positions, *at, self.pool)

    def _blocks(self) -> list[tuple[int, int]]:
        """(first, count) of the lines of sums of each block."""
        height = self.pool.out_height if self.pool else self.window.out_height
        width = self.lines * self.window.out_width
        if self.number == 0 and height > 1 and self.tiles > 1 and self.share == 1:
            sizes = covering_lines(self.config, height, width, self.most)
        elif self.number == 0 and height > 1:
            sizes = growing_lines(self.config, height, width, self.share, self.most)
        elif self._averaged and in_parts(self.config, self.step.operation.output_shape):
            sizes = shrinking_lines(self.config, height, width, self.most)
        elif height * width <= min(WHOLE, self.most):
            sizes = [height]
        else:
            # The more products a sum has, the smaller are the blocks that cover the way back of the one before.
            sizes = even_lines(height, width, self.most if self._products < 4 else self.most // 2)
        starts = np.cumsum([0, *sizes])
        return [(start * self.lines, size * self.lines) for start, size in zip(starts.tolist(), sizes)]

    @property
    def _products(self) -> int:
        """Weight tiles that meet a position for one sum."""
        return self.words * self.kernel[0] * self.kernel[1]

    @property
    def _averaged(self) -> bool:
        """Whether nothing but a mean comes behind: the last part is to be small."""
        readers = self.chain.readers(self.step.name)
        return bool(readers) and all(isinstance(step.operation, Mean) for step in readers)

    def _tile_groups(self) -> list[tuple[int, int]]:
        """(first, count) of the column tiles that are taken at a time."""
        if self.share > 1 or self.window.positions >= self.config.rows:
            return [(tile, 1) for tile in range(self.tiles)]
        size = max(1, min(TILE_BYTES // self.tile_size // self.config.columns, self.most // self.window.positions))
        return [(tile, min(size, self.tiles - tile)) for tile in range(0, self.tiles, size)]

    def _atom(self, block, group, place: int, *, load: bool, begin: bool) -> None:
        positions = block[0] * self.window.out_width, block[1] * self.window.out_width
        row = self.chain.sums.take(group[1] * positions[1], added=self._products > 1)
        for number, words in enumerate(self._parts(block, begin)):
            if group[0] == 0:
                self._need_input(block, words, number)
            if load:
                self._load_weights(group, words, place)
            self._matmul(block, group, words, place, row)
            if self.parameter is None:
                self.parameter = self.chain.load_parameters(self.step, self.parameters, self.tiles)
        at = row, self.parameter + group[0]
        self.chain.drain(self.step, self.requantization, group, positions, *at, self.pool)

    def _parts(self, block, begin: bool) -> Iterator[tuple[int, int]]:
        """(first, count) of the channel words that are taken by an instruction of their own: those which come late."""
        if not begin:
            yield 0, self.words
            return
        if self.number == 0:
            start, size = 0, 1
            while start < self.words:
                yield start, min(size, self.words - start)
                start, size = start + size, 2 * size if self.words > 4 else 1
            return
        cycles = max(self._rows(block), self.config.rows) * self.kernel[0] * self.kernel[1]
        yield from self.chain.clock.parts([self._reads(block, 0, (word, 1))[:1] for word in range(self.words)], cycles)

    def _rows(self, block) -> int:
        return block[1] * self.window.out_width // self.share

    def _reads(self, block, tile: int, words: tuple[int, int]) -> list[Region]:
        """What the channel words (first, count) of a block are, for a column tile."""
        first = self._word(tile) + words[0]
        last = first + words[1] + (self.share - 1) * self.pitch
        return [self.source.region(word, *self._positions(block)) for word in range(first, last)]

    def _positions(self, block) -> tuple[int, int]:
        """(first, count) of the positions of the source that a block reads."""
        if isinstance(self.first, WindowTensor):
            width = self.window.out_width // self.share
            return block[0] * width, block[1] * width
        (kh, _), sy, top = self.kernel, self.window.stride[0], self.window.padding[0][0]
        begin = min(max(0, block[0] * sy - top), self.window.height - 1)
        end = max(min(self.window.height, (block[0] + block[1] - 1) * sy - top + kh), begin + 1)
        return begin * self.window.width, (end - begin) * self.window.width

    def _need_input(self, block, words: tuple[int, int], number: int) -> None:
        """Loads what part ``number`` of a block reads of the network's input."""
        positions = self._positions(block)
        if isinstance(self.first, WindowTensor):
            first = words[0] + (0 if number == 0 else (self.share - 1) * self.pitch)
            count = words[0] + words[1] + (self.share - 1) * self.pitch - first
            self.chain.load_input((first, count), positions)
        else:
            self.chain.need_input(self.step.input, sum(positions))

    def _weights(self, group, words: tuple[int, int]) -> list[tuple[int, int]]:
        """(first, count) of the weight words of some channel words of a group, counted from its first."""
        if words[1] == self.words:
            return [(0, group[1] * self.tile_size)]
        window, first, size = self.words * self.word_size, words[0] * self.word_size, words[1] * self.word_size
        return [(first + n * window, size) for n in range(group[1] * self.share)]

    def _load_weights(self, group, words: tuple[int, int], place: int) -> None:
        pieces = self._weights(group, words)
        (first, size), stride = pieces[0], self.words * self.word_size
        external = self.external + (group[0] * self.tile_size + first) * self.config.columns
        self.chain.load_weights(external, place + first, size, len(pieces), (stride, stride))

    def _matmul(self, block, group, words: tuple[int, int], place: int, row: int) -> None:
        config, window, source = self.config, self.window, self.source
        (line, lines), (kh, kw), share = block, self.kernel, self.share
        assert share == 1 or group[1] == 1
        counts = {"n": group[1] * share, "k": words[1], "ky": kh, "kx": kw, "y": lines, "x": window.out_width // share}
        if isinstance(self.first, WindowTensor):
            width = window.out_width // share
            y_start, x_start, (sy, sx), (height, span) = line, 0, (1, 1), (window.out_height, width)
        else:
            width = window.width
            (top, _), (left, _) = window.padding
            sy, sx = window.stride
            y_start, x_start, height, span = line * sy - top, -left, window.height, width
        word = source.word(self._word(group[0]) + words[0]) + y_start * width + x_start
        weight = place + words[0] * self.word_size
        positions = lines * window.out_width
        fields = (
            {f"count_{loop}": n for loop, n in counts.items()}
            | {"accumulate": int(words[0] > 0), "constant": self.constant}
            | {"activation_dtype": DType.INT8, "weight_dtype": DType.INT8, "accumulator_dtype": DType.INT32}
            | {"y_start": y_start, "y_stride": sy, "y_dilation": 1, "y_limit": height}
            | {"x_start": x_start, "x_stride": sx, "x_dilation": 1, "x_limit": span}
            | walk_fields(
                Opcode.MATMUL, "activation", word & 0xFFFF, counts,
                n=self.pitch * source.positions, k=source.positions, ky=width, kx=1, y=sy * width, x=sx,
            )
            | walk_fields(
                Opcode.MATMUL, "weight", weight, counts,
                n=self.words * self.word_size, k=self.word_size, ky=kw * config.rows, kx=config.rows,
            )
            | walk_fields(
                Opcode.MATMUL, "accumulator", row, counts,
                n=1 if share > 1 else positions, y=window.out_width, x=share,
            )
        )  # fmt: skip
        reads = self._reads(block, group[0], words)
        weights = [
            Region(Space.WEIGHT, place + first, place + first + count) for first, count in self._weights(group, words)
        ]
        writes = [Region(Space.ACCUMULATOR, row, row + group[1] * positions)]
        self.builder.emit(Opcode.MATMUL, fields, [*reads, *weights], writes)
        tiles = counts["n"] * words[1] * kh * kw
        self.chain.clock.product(tiles, self._rows(block), reads)
