"""The input of a first convolution: few channels, so a window is a piece of a few words, each piece aligned to a word."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..tensor import check_array
from ..window import Window

MAX_SHARE = 4


@dataclass(frozen=True)
class WindowTensor:
    """int8 image ``[height, width, channels]`` for ``window``, as ``[span, runs, word]`` in memory.

    For each row of outputs its ``kh`` input rows are interleaved, column by column, so that a window is ``kh · kw · channels``
    neighbouring bytes. A *run* is ``share`` neighbouring windows, from a word on; window p of it touches ``words`` words from
    ``p · pitch``. All runs of one word follow each other, as positions of a channel word do. Padding is ``outside``.
    """

    name: str
    shape: tuple[int, int, int]
    window: Window
    outside: int
    word: int
    share: int
    address: int = 0

    @classmethod
    def of(
        cls, name: str, shape: tuple[int, int, int], window: Window, outside: int, word: int
    ) -> "WindowTensor | None":
        """With as many windows a run as fit without another word; None where whole pieces gain nothing."""
        if window.taps * -(-shape[-1] // word) <= -(-window.taps * shape[-1] // word):
            return None
        every = [cls(name, shape, window, outside, word, share) for share in range(1, MAX_SHARE + 1)]
        return [tensor for tensor in every if tensor._fits][-1]

    @property
    def _fits(self) -> bool:
        starts = [p * self._step for p in range(self.share)]
        whole = all(s - p * self.pitch * self.word + self.bytes <= self.words * self.word for p, s in enumerate(starts))
        return whole and self.window.out_width % self.share == 0

    @property
    def bytes(self) -> int:
        """Of a window."""
        return self.window.taps * self.shape[-1]

    @property
    def _step(self) -> int:
        """Bytes from a window to the next."""
        return self.window.stride[1] * self.window.kernel[0] * self.shape[-1]

    @property
    def words(self) -> int:
        return -(-self.bytes // self.word)

    @property
    def pitch(self) -> int:
        return self._step // self.word if self.share > 1 else 0

    @property
    def span(self) -> int:
        return (self.share - 1) * self.pitch + self.words

    @property
    def runs(self) -> int:
        return self.window.positions // self.share

    @cached_property
    def size(self) -> int:
        return self.span * self.runs * self.word

    def pack(self, array: np.ndarray) -> bytes:
        """The bytes at ``address``. InputError for another shape or dtype."""
        check_array(self.name, array, self.shape, np.dtype(np.int8))
        window, length = self.window, self.span * self.word
        padded = np.pad(array, (*window.padding, (0, 0)), constant_values=self.outside)
        tops = window.stride[0] * np.arange(window.out_height)
        strips = padded[tops[:, None] + np.arange(window.kernel[0])].swapaxes(1, 2).reshape(window.out_height, -1)
        strips = np.pad(strips, ((0, 0), (0, length)))
        starts = self._step * self.share * np.arange(window.out_width // self.share)
        pieces = strips[:, starts[:, None] + np.arange(length)].reshape(self.runs, self.span, self.word)
        return pieces.swapaxes(0, 1).tobytes()

    def weights(self, weights: np.ndarray) -> np.ndarray:
        """``[kh, kw, cin, cout]`` as ``[share, words · word, cout]``: moved down to where each window of a run begins."""
        flat = np.ascontiguousarray(weights.swapaxes(0, 1)).reshape(self.bytes, -1)
        result = np.zeros((self.share, self.words * self.word, flat.shape[1]), np.int8)
        for p in range(self.share):
            start = p * (self._step - self.pitch * self.word)
            result[p, start : start + self.bytes] = flat
        return result
