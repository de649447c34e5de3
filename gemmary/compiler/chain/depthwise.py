"""A depthwise convolution of a chain, on the array's window."""

from dataclasses import replace
from itertools import pairwise

from ...isa import WINDOW, Opcode, Space
from ..builder import Region
from ..depthwise import TAPS, Piece, piece_of, window_fields, window_weights
from ..window import Block
from .product import weight_tiles

PIECE = 144
"""Sums of a piece of a large image, about."""

SMALL = 48
"""Sums that are worth an instruction of their own."""


class DepthwiseStep:
    """Emits one step: channel word after channel word, in pieces of lines if it is large.

    The window keeps the last two lines. Where the last one of a channel word is padding, it is the padding above the next word.
    """

    def __init__(self, chain, step, number: int):
        self.chain, self.step, self.config = chain, step, chain.config
        self.source, self.window = chain.tensors[step.input], chain.window(step)
        self.constant = chain.values.outside(step)
        tiles = weight_tiles(chain.config, window_weights(chain.values.weights(step))).reshape(
            -1, self.config.rows, self.config.columns
        )
        self.external = chain.layout.memory.constant(tiles[:, :TAPS].tobytes())
        self.requantization = chain.values.requantization(step)
        self.parameters = chain.place_parameters(self.requantization, step.operation.output_shape[-1])

    def emit(self) -> None:
        words, chain = self.source.words, self.chain
        # Tiles lie TAPS words apart; the rest of one is the next, or whatever lies behind the last.
        place = chain.take_weights(self.step, words * TAPS + self.config.rows - TAPS)
        chain.load_weights(self.external, place, words * TAPS)
        parameter = chain.load_parameters(self.step, self.parameters, words)
        for word, count in self._groups():
            for piece in self._pieces(word, word + count == words):
                self._piece((word, count), piece, place + word * TAPS, parameter + word)

    def _groups(self) -> list[tuple[int, int]]:
        """(first, count) of the channel words of each instruction: several if they are small, but the first alone, above which
        no other leaves padding."""
        words, positions = self.source.words, self.window.positions
        count = max(1, SMALL // positions)
        return [(0, 1), *((word, min(count, words - word)) for word in range(1, words, count))]

    def _pieces(self, word: int, last: bool) -> list[Piece]:
        """Of a word, or several; of the ``last`` one little is left at the end, when the next step needs it."""
        window = self.window
        height, width = window.out_height, window.out_width
        count = -(-height * width // PIECE)
        if height * width <= self.config.accumulator_rows // 2:
            count = 1
        rows = [i * height // count for i in range(count + 1)]
        if last and count == 1 and height * width >= SMALL:
            rows.insert(1, height - height // 3)
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
        return top == 1 and (window.out_height - 1) * window.stride[0] + WINDOW - 1 - top >= window.height

    def _piece(self, words: tuple[int, int], piece: Piece, weight: int, parameter: int) -> None:
        window, source, block, (word, count) = self.window, self.source, piece.block, words
        positions = block.rows * block.columns
        row = self.chain.sums.take(count * positions, added=False)
        fields = window_fields(
            window, piece, tiles=count, constant=self.constant, activation=source.word(word),
            plane=source.positions, weight=weight, accumulator=row,
        )  # fmt: skip
        first, end = (min(max(line, 0), window.height) for line in (piece.start, piece.start + piece.lines))
        place = first * window.width, (end - first) * window.width
        inputs = [source.region(word + n, *place) for n in range(count)] if place[1] else []  # all of it padding
        self.chain.need_input(self.step.input, sum(place))
        reads = [*inputs, Region(Space.WEIGHT, weight, weight + count * TAPS)]
        writes = [Region(Space.ACCUMULATOR, row, row + count * positions)]
        self.chain.builder.emit(Opcode.MATMUL, fields, reads, writes)
        self.chain.clock.product(count, piece.lines * fields["count_x"], inputs)
        self.chain.drain(self.step, self.requantization, words, (block.row * block.columns, positions), row, parameter)
