"""A depthwise convolution of a chain, on the array's window."""

from dataclasses import replace
from itertools import pairwise

from ...isa import WINDOW, Opcode, Space
from ..builder import Region
from ..depthwise import Piece, piece_of, window_fields, window_weights
from ..window import Block
from .product import ROWS, weight_tiles


class DepthwiseStep:
    """Emits one step: channel word after channel word, in pieces of lines if it is large.

    The window keeps the last two lines. Where the last one of a channel word is padding, it is the padding above the next word.
    """

    def __init__(self, chain, step, number: int):
        self.chain, self.step, self.config = chain, step, chain.config
        self.source, self.window = chain.tensors[step.input], chain.window(step)
        values = chain.values.layers[step.name]
        self.constant = values.input_zero_point
        self.external = chain.layout.memory.constant(
            weight_tiles(chain.config, window_weights(values.weights)).tobytes()
        )
        self.requantization = chain.requantization(step)
        self.parameters = chain.place_parameters(self.requantization, step.operation.output_shape[-1])

    def emit(self) -> None:
        words, chain, size = self.source.words, self.chain, self.config.rows
        place = chain.weights.take(words * size)
        chain.load_weights(self.external, place, words * size)
        parameter = chain.load_parameters(self.parameters, words)
        for word in range(words):
            for piece in self._pieces(word):
                self._piece(word, piece, place + word * size, parameter + word)

    def _pieces(self, word: int) -> list[Piece]:
        window = self.window
        height, width = window.out_height, window.out_width
        count = 1 if height * width <= self.config.accumulator_rows // 2 else -(-height * width // ROWS)
        rows = [i * height // count for i in range(count + 1)]
        pieces = []
        for first, end in pairwise(rows):
            piece = piece_of(window, Block(0, 1, first, end - first, 0, width, 0, window.height, 0, window.width, 0, 0))
            begin = piece.in_row + piece.start
            pieces.append(replace(piece, start=begin, in_row=0, in_rows=window.height))
        if word and self._shared:
            first = pieces[0]
            pieces[0] = replace(first, lead=first.lead - 1, lines=first.lines - 1, start=first.start + 1)
        return pieces

    @property
    def _shared(self) -> bool:
        """Whether the last line of a word is the padding above the next one."""
        window, (top, _) = self.window, self.window.padding[0]
        return window.stride[0] == 1 and top == 1 and window.out_height + WINDOW - 1 - top > window.height

    def _piece(self, word: int, piece: Piece, weight: int, parameter: int) -> None:
        window, source, block = self.window, self.source, piece.block
        positions = block.rows * block.columns
        row = self.chain.sums.take(positions, added=False)
        fields = window_fields(
            window, piece, tiles=1, constant=self.constant, activation=source.word(word),
            plane=0, weight=weight, accumulator=row, width=window.width,
        )  # fmt: skip
        first, end = (min(max(line, 0), window.height) for line in (piece.start, piece.start + piece.lines))
        inputs = source.region(word, first * window.width, (end - first) * window.width)
        reads = [inputs, Region(Space.WEIGHT, weight, weight + self.config.rows)]
        self.chain.builder.emit(Opcode.MATMUL, fields, reads, [Region(Space.ACCUMULATOR, row, row + positions)])
        self.chain.clock.product(1, piece.lines * fields["count_x"], [inputs])
        place = (block.row * block.columns, positions), row, parameter
        self.chain.drain(self.step, self.requantization, (word, 1), *place)
