"""Weights, parameters and tables as bytes of external memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..config import TABLE_ENTRIES, Config
from ..errors import InputError
from ..isa import Opcode
from .tensor import check_array
from .transfer import Loop, transfer_fields


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

    def loads(self, bus: int, tiles: tuple[int, int], words: tuple[int, int], ky, kx, address: int) -> Iterator[dict]:
        """Fields that load ``words`` of k, ``tiles`` of n and the taps ``ky``, ``kx`` (first, count) to weight word ``address``.

        They lie there as ``[words, tiles, ky, kx, rows]``.
        """
        (first_tile, count), (kh, kw), all_tiles = tiles, self.kernel, self.tiles[1]
        first = (words[0] * all_tiles + first_tile) * kh * kw + ky[0] * kw + kx[0]
        granules, taps = self.tile_bytes // bus, ky[1] * kx[1]
        loops = [
            Loop(words[1], all_tiles * kh * kw * self.tile_bytes, count * taps * granules),
            Loop(count, kh * kw * self.tile_bytes, taps * granules),
            Loop(ky[1], kw * self.tile_bytes, kx[1] * granules),
        ]
        external = self.address + first * self.tile_bytes, address * self.columns // bus
        yield from transfer_fields(Opcode.LOAD, bus, *external, loops, kx[1] * self.tile_bytes)

    def load_cycles(self, config: Config, latency: int) -> float:
        """To load all of it once."""
        return self.size / config.bus_bytes


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
