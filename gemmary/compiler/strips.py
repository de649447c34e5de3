"""First convolutions: few channels, so what a whole window reads is one piece of external memory.

A word of one pixel with 1 to 3 channels would leave most rows of the array idle. Here the input lies in *strips*: for each row of
outputs, its ``kh`` input rows interleaved, column by column. The ``kw`` columns of a window are then neighbours: its
kh · kw · channels bytes are one run, as full words as can be, and the convolution is a matrix product over them. Windows overlap in
external memory, so the loads do, and on the chip the words of a position follow each other.

Where memory answers late, a run a window is slow. Then ``share`` neighbouring windows come in one run. Each begins somewhere
within a word, and has weights of its own, moved down by as much: column tile t · share + p is channel tile t of window p.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..config import Config
from ..isa import DType, Opcode, Space
from .tensor import check_array
from .transfer import Loop, transfer_fields
from .window import Block, Window


@dataclass(frozen=True)
class Strips:
    """int8 images NHWC of ``shape`` for ``window``, as ``[image, output row, column, ky, channel]`` with ``outside`` for padding."""

    name: str
    shape: tuple[int, int, int, int]
    window: Window
    outside: int
    address: int
    word: int
    share: int = 1

    interleaved = True
    """On the chip, the words of one position are neighbours."""

    @classmethod
    def worth(cls, config: Config, window: Window, channels: int) -> bool:
        """Whether a window has fewer words as a piece than tap by tap."""
        words = -(-window.taps * channels // config.rows)
        return words < window.taps * -(-channels // config.rows) and window.dilation[1] == 1

    @property
    def channels(self) -> int:
        """Bytes of a window."""
        return self.window.taps * self.shape[3]

    @property
    def words(self) -> int:
        """That the window which begins farthest within its first word touches."""
        return -(-(max(map(self.start, range(self.share))) + self.channels) // self.word)

    def start(self, p: int) -> int:
        """The byte of its first word with which window ``p`` of a run begins."""
        return p * self.step_bytes % self.word

    def fits(self) -> bool:
        """Whether whole runs make a row of outputs."""
        return self.window.out_width % self.share == 0

    @property
    def step_bytes(self) -> int:
        """From a window to the next."""
        return self.window.stride[1] * self.column_bytes

    @property
    def span(self) -> int:
        """Words of a run."""
        return self.first_word(self.share - 1) + self.words

    def first_word(self, p: int) -> int:
        """Of the words of a run, the first of window ``p``."""
        return p * self.step_bytes // self.word

    @property
    def column_bytes(self) -> int:
        return self.window.kernel[0] * self.shape[3]

    @cached_property
    def row_bytes(self) -> int:
        """One strip."""
        return (self.shape[2] + sum(self.window.padding[1])) * self.column_bytes

    @cached_property
    def size(self) -> int:
        """The last words may reach beyond the last column."""
        return self.shape[0] * self.window.out_height * self.row_bytes + self.words * self.word

    @property
    def outputs(self) -> Window:
        """The window of the matrix product: every run, alone."""
        return Window(self.window.images, self.window.out_height, self.window.out_width // self.share)

    def pack(self, array: np.ndarray) -> bytes:
        """The bytes at ``address``. InputError for another shape or dtype."""
        check_array(self.name, array, self.shape, np.dtype(np.int8))
        window = self.window
        padded = np.pad(array, ((0, 0), *window.padding, (0, 0)), constant_values=self.outside)
        tops = window.stride[0] * np.arange(window.out_height)
        rows = tops[:, None] + window.dilation[0] * np.arange(window.kernel[0])
        return padded[:, rows].swapaxes(2, 3).tobytes() + bytes(self.words * self.word)

    def weights(self, weights: np.ndarray, columns: int) -> np.ndarray:
        """``[kh, kw, cin, cout]`` as ``[channels, cout]`` of the matrix product, for ``columns`` columns of the array."""
        flat = np.ascontiguousarray(weights.swapaxes(0, 1)).reshape(self.channels, -1)
        if self.share == 1:
            return flat
        outputs = -(-flat.shape[1] // self.word) * self.word
        result = np.zeros((self.words * self.word, outputs // columns, self.share, columns), np.int8)
        padded = np.pad(flat, ((0, 0), (0, outputs - flat.shape[1]))).reshape(self.channels, -1, columns)
        for p in range(self.share):
            result[self.start(p) : self.start(p) + self.channels, :, p] = padded
        return result.reshape(self.words * self.word, -1)

    def loads(self, config: Config, block: Block, words: tuple[int, int], of: int, address: int) -> Iterator[dict]:
        """Fields that load ``words`` (first, count), counted from the first of the chunk of ``of`` words at activation word
        ``address``, for the positions of ``block``; with several windows a run, whole runs."""
        first, count = words
        if self.share > 1:
            of = count = self.span
        granules = self.word // config.bus_bytes
        step = self.share * self.step_bytes
        strips, across = self.window.out_height, of * granules
        loops = [
            Loop(block.images, strips * self.row_bytes, block.in_image * across),
            Loop(block.in_rows, self.row_bytes, block.in_columns * across),
            Loop(block.in_columns, step, across),
        ]
        start = (block.image * strips + block.in_row) * self.row_bytes + block.in_column * step
        place = self.address + start + first * self.word, address * granules, loops, count * self.word
        for fields in transfer_fields(Opcode.LOAD, config.bus_bytes, *place):
            yield fields | {"dtype": DType.INT8, "space": Space.ACTIVATION}

    def load_cycles(self, config: Config, positions: int, latency: int) -> float:
        """Of all words of ``positions``: a run each, rarely aligned."""
        beats = self.span * self.word / config.bus_bytes + 1
        return positions * max(beats, latency / config.outstanding)
