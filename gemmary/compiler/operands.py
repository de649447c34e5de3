"""Right operands that are computed at run time: weights read from a matrix as another layer left it."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..config import Config
from ..isa import Opcode, walk_fields
from .tensor import Tensor
from .transfer import Loop, transfer_fields


@dataclass(frozen=True)
class _Operand:
    """A product's right operand that lies in ``matrix``. Its tiles are those of ``WeightTensor``, with one tap."""

    matrix: Tensor
    rows: int
    columns: int

    kernel = (1, 1)

    @property
    def tile_bytes(self) -> int:
        return self.rows * self.columns

    @property
    def size(self) -> int:
        k, n = self.tiles
        return k * n * self.tile_bytes


class RowOperand(_Operand):
    """``matrix`` is ``[k, n]``, its positions filled up to a multiple of ``rows``.

    A word of it is n neighbours of one k: where an activation word is as wide as a weight word, a tile is one piece.
    """

    @property
    def tiles(self) -> tuple[int, int]:
        k, n = self.matrix.shape
        return -(-k // self.rows), -(-n // self.columns)

    def loads(self, bus: int, tiles: tuple[int, int], words: tuple[int, int], ky, kx, address: int) -> Iterator[dict]:
        """As of ``WeightTensor``."""
        matrix, parts, granules = self.matrix, self.rows // self.columns, self.tile_bytes // bus
        at_word = Loop(words[1], self.rows * matrix.word_bytes, tiles[1] * granules)
        first, target = matrix.address + words[0] * self.rows * matrix.word_bytes, address * self.columns // bus
        if parts == 1:
            external = first + tiles[0] * matrix.plane_bytes
            loops = [at_word, Loop(tiles[1], matrix.plane_bytes, granules)]
            yield from transfer_fields(Opcode.LOAD, bus, external, target, loops, self.tile_bytes)
            return
        for i in range(tiles[1]):
            plane, part = divmod(tiles[0] + i, parts)
            external = first + plane * matrix.plane_bytes + part * self.columns
            loops = [at_word, Loop(self.rows, matrix.word_bytes, self.columns // bus)]
            yield from transfer_fields(Opcode.LOAD, bus, external, target + i * granules, loops, self.columns)

    def load_cycles(self, config: Config, latency: int) -> float:
        if self.rows == self.columns:
            return self.size / config.bus_bytes
        return self.size / self.columns * max(self.columns / config.bus_bytes, latency / config.outstanding)


class KeyOperand(_Operand):
    """``matrix`` is ``[n, k]``: loads transpose it, block by block. Columns of a granule beyond the last key are 0, in
    granules without keys they are those of some key."""

    @property
    def tiles(self) -> tuple[int, int]:
        n, k = self.matrix.shape
        return -(-k // self.rows), -(-n // self.columns)

    def loads(self, bus: int, tiles: tuple[int, int], words: tuple[int, int], ky, kx, address: int) -> Iterator[dict]:
        """As of ``WeightTensor``."""
        n = self.matrix.shape[0] - tiles[0] * self.columns
        full = min(tiles[1], n // self.columns)
        for first, count, keys in ((0, full, self.columns), (full, tiles[1] - full, n - full * self.columns)):
            for part in range(0, self.columns if count and keys else 0, bus):
                some = tiles[0], first, count, tiles[1]
                begin = min(part, keys - 1)  # a granule without keys holds one of them again
                yield from self._blocks(bus, some, words, (part, begin, max(1, min(bus, keys - part))), address)

    def _blocks(self, bus, tiles, words, part: tuple[int, int, int], address: int) -> Iterator[dict]:
        """Keys of each of ``tiles`` (first of the job, first and count of them, all), transposed; ``part`` is (first column, key that
        goes there, number of keys)."""
        part, begin, keys = part
        (job_tile, first, count, all_tiles), matrix = tiles, self.matrix
        length, step = min(self.rows, bus), self.columns // bus
        tile_granules = self.tile_bytes // bus
        counts = {"z": count, "y": words[1], "x": keys}
        for start in range(0, self.rows, length):
            key = (job_tile + first) * self.columns + begin
            external = matrix.address + words[0] * matrix.plane_bytes + key * matrix.word_bytes + start
            onchip = address * step + first * tile_granules + part // bus + start * step
            yield (
                {"length": length, "transpose": 1}
                | {f"count_{loop}": number for loop, number in counts.items()}
                | walk_fields(
                    Opcode.LOAD, "external", external, counts,
                    z=self.columns * matrix.word_bytes, y=matrix.plane_bytes, x=matrix.word_bytes,
                )
                | walk_fields(
                    Opcode.LOAD, "onchip", onchip, counts, z=tile_granules, y=all_tiles * tile_granules
                )
                | {"onchip_step_x": step}
            )  # fmt: skip

    def load_cycles(self, config: Config, latency: int) -> float:
        """A run a key and word."""
        (n, _), runs = self.matrix.shape, self.tiles[0] * -(-self.rows // config.bus_bytes)
        return n * runs * max(2, latency / config.outstanding)


Operand = RowOperand | KeyOperand
