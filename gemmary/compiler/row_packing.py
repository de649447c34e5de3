"""First convolutions: few channels, so an activation word holds a piece of an image row.

A word of one pixel with 1 to 3 channels would leave most rows of the array idle. Here a word has ``span`` neighbouring columns
of all channels, which is what ``outputs`` neighbouring outputs of a row read. Each of them is a column tile with the kernel's
taps shifted (a Toeplitz matrix), so a word meets kh tiles an output instead of kh · kw. Words overlap in external memory:
a load reads the columns between two pieces twice, and nothing is copied on the host but the padding.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..config import Config
from .tensor import check_array
from .window import Window


@dataclass(frozen=True)
class PaddedImages:
    """int8 images NHWC as they are, with ``left`` and ``right`` columns of ``outside`` beside each row and ``slack`` bytes
    behind the last."""

    name: str
    shape: tuple[int, int, int, int]
    address: int
    left: int
    right: int
    outside: int
    slack: int

    @property
    def row_bytes(self) -> int:
        return (self.left + self.shape[2] + self.right) * self.shape[3]

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1] * self.row_bytes + self.slack

    def pack(self, array: np.ndarray) -> bytes:
        """The bytes at ``address``. InputError for another shape or dtype."""
        check_array(self.name, array, self.shape, np.dtype(np.int8))
        padding = ((0, 0), (0, 0), (self.left, self.right), (0, 0))
        return np.pad(array, padding, constant_values=self.outside).tobytes() + bytes(self.slack)


@dataclass(frozen=True)
class RowPacking:
    """How ``window`` (of a convolution, not folded) over ``channels`` channels is packed: ``outputs`` of a row a word."""

    window: Window
    channels: int
    outputs: int

    @classmethod
    def of(cls, config: Config, window: Window, channels: int, multiple: int = 1) -> "RowPacking | None":
        """The packing with the most outputs a word, a multiple of ``multiple``; None where there is nothing to gain."""
        if window.kernel[1] == 1:
            return None
        sizes = [n for n in range(2, window.out_width + 1) if window.out_width % n == n % multiple == 0]
        packings = [cls(window, channels, n) for n in sizes]
        return max((p for p in packings if p.span * channels <= config.rows), key=lambda p: p.outputs, default=None)

    @property
    def span(self) -> int:
        """Columns that a word holds."""
        window = self.window
        return (self.outputs - 1) * window.stride[1] + (window.kernel[1] - 1) * window.dilation[1] + 1

    @property
    def pieces(self) -> int:
        """Words of a row."""
        return self.window.out_width // self.outputs

    @cached_property
    def packed(self) -> Window:
        """The window over words: kh x 1, padded above and below only."""
        w = self.window
        return Window(
            w.images,
            w.height,
            self.pieces,
            (w.kernel[0], 1),
            (w.stride[0], 1),
            (w.dilation[0], 1),
            (w.padding[0], (0, 0)),
        )

    def weights(self, config: Config, weights: np.ndarray) -> np.ndarray:
        """The shifted kernels: ``[kh, kw, cin, cout]`` becomes ``[kh, 1, span · cin, tiles · columns]``.

        Column tile t · outputs + p has the channels from t · columns of output p of the word. Channels are padded to whole
        activation words.
        """
        kh, kw, cin, cout = weights.shape
        tiles = -(-cout // config.rows) * config.rows // config.columns
        padded = np.zeros((kh, kw, cin, tiles * config.columns), np.int8)
        padded[..., :cout] = weights
        result = np.zeros((kh, self.span, cin, tiles, self.outputs, config.columns), np.int8)
        for p in range(self.outputs):
            for kx in range(kw):
                column = p * self.window.stride[1] + kx * self.window.dilation[1]
                result[:, column, :, :, p] = padded[:, kx].reshape(kh, cin, tiles, config.columns)
        return result.reshape(kh, 1, self.span * cin, -1)
