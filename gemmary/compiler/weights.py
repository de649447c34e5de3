"""Weights, parameters and tables as bytes of external memory."""

from dataclasses import dataclass

import numpy as np

from ..config import TABLE_ENTRIES, Config
from ..errors import InputError
from .tensor import check_array


@dataclass(frozen=True)
class WeightTensor:
    """Weights ``[kh, kw, cin, cout]`` int8 (or ``shape``, its like) as tiles ``[k, n, kh, kw, rows, columns]``.

    Tile (k, n) has the input channels from k · rows and the output channels from n · columns; what lies beyond ``cin`` and
    ``cout`` is 0. Any part of k and n is a few long runs.
    """

    name: str
    shape: tuple[int, ...]
    address: int
    rows: int
    columns: int

    @property
    def kernel(self) -> tuple[int, int]:
        return self.shape[:2] if len(self.shape) == 4 else (1, 1)

    @property
    def tiles(self) -> tuple[int, int]:
        """Tiles along k and n."""
        cin, cout = self.shape[-2:]
        return -(-cin // self.rows), -(-cout // self.columns)

    @property
    def tile_bytes(self) -> int:
        return self.rows * self.columns

    @property
    def size(self) -> int:
        (k, n), (kh, kw) = self.tiles, self.kernel
        return k * n * kh * kw * self.tile_bytes

    def pack(self, array: np.ndarray) -> bytes:
        """The bytes at ``address``. InputError for another shape or dtype."""
        check_array(self.name, array, self.shape, np.dtype(np.int8))
        (k, n), (kh, kw) = self.tiles, self.kernel
        cin, cout = self.shape[-2:]
        full = np.zeros((kh, kw, k * self.rows, n * self.columns), np.int8)
        full[:, :, :cin, :cout] = array.reshape(kh, kw, cin, cout)
        return full.reshape(kh, kw, k, self.rows, n, self.columns).transpose(2, 4, 0, 1, 3, 5).tobytes()


def parameter_bytes(config: Config, bias: np.ndarray, mantissa: np.ndarray, shift: np.ndarray) -> bytes:
    """8 bytes for each channel, from int arrays ``[channels]``; 0 for those that fill the last activation word."""
    channels = -(-len(bias) // config.rows) * config.rows
    words = np.zeros((channels, 2), "<u4")
    words[: len(bias), 0] = bias.astype(np.int64) & 0xFFFFFFFF
    words[: len(bias), 1] = mantissa | shift << 24
    return words.tobytes()


def table_bytes(table: np.ndarray) -> bytes:
    """A table int8 ``[256]``: entry y + 128 is the result for y."""
    check_array("table", table, (TABLE_ENTRIES,), np.dtype(np.int8))
    return table.tobytes()


def folded_bias(weights: np.ndarray, bias: np.ndarray, zero_point: int) -> np.ndarray:
    """``bias − zero_point · sum(weights)`` modulo 2^32 as int32 ``[cout]``: with it the plain product needs no zero point."""
    sums = weights.sum(axis=tuple(range(weights.ndim - 1)), dtype=np.int64)
    return (bias.astype(np.int64) - zero_point * sums).astype(np.int32)


def check_int8(name: str, value: int) -> int:
    """``value`` as an int. InputError, naming it, outside −128 … 127."""
    if not -128 <= value <= 127:
        raise InputError(f"{name} must be −128 to 127, not {value}")
    return int(value)
