"""Grouped convolutions whose groups lie within an activation word: a word meets only its own tile.

The weights of a word's groups are the blocks on the diagonal of one tile, zeros elsewhere; each tap adds one tile. So of the
rows of the array a group of c channels uses c, and a depthwise convolution 16 MACs a cycle with 16 columns. That is for kernels
and arrays that `depthwise` does not know (docs/decisions/0008-depthwise.md).
"""

from collections.abc import Iterator

import numpy as np

from ..config import Config
from ..isa import DType, Opcode, Space, walk_fields
from ..performance.model import Timing
from .builder import Region
from .contraction import Contraction
from .loops import inside, walk
from .lowering import SUM, Known, Lowering, lower_best
from .product import Chunk, Job
from .regions import load_inputs
from .tiled import Tiled
from .tiling import Tiling


def diagonal_weights(weights: np.ndarray, groups: int, size: int) -> np.ndarray:
    """``[kh, kw, cin / groups, cout]`` as ``[kh, kw, size, cout]``, the groups' blocks on the diagonal; ``size`` is a multiple
    of the channels of a group. With fewer channels than ``size`` only so many."""
    kh, kw, cin, cout = weights.shape
    each, size = cout // groups, min(size, cin * groups)
    result = np.zeros((kh, kw, size, cout), np.int8)
    for group in range(groups):
        row, columns = group * cin % size, slice(group * each, (group + 1) * each)
        result[:, :, row : row + cin, columns] = weights[..., columns]
    return result


class Diagonal(Lowering):
    """Jobs as of any contraction; each reads the words of its own tiles."""

    kind = "diagonal"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.parts = self.config.rows // self.config.columns

    @staticmethod
    def sum_loops(operation: Contraction, tiling: Tiling) -> list[tuple[str, list[int]]]:
        """All taps at once."""
        return [(dim, [size]) for dim, size in zip(("ky", "kx"), operation.window.kernel)]

    @staticmethod
    def sums_at_once(config: Config, operation: Contraction, rows: int) -> int:
        return 2

    def chunk(self, job: Job) -> Chunk:
        (taps,) = walk(inside(self.loops, SUM))
        return Chunk(job.tile // self.parts, -(-job.tiles // self.parts), taps["ky"], taps["kx"])

    def emit(self, job: Job, index: int, last: bool) -> None:
        """Job number ``index``; in the first one each word is loaded while the one before is summed."""
        chunk = self.chunk(job)
        activation, _ = self.activations.get((job.block, job.tile))
        weight, loaded = self.weights.get(job.tile)
        bank = index % self.sums.count * self.sums.size
        for start, count in [(i, 1) for i in range(chunk.words)] if index == 0 else [(0, chunk.words)]:
            self._load_words(job, chunk, (start, count), activation)
            tiles = start * self.parts, min(count * self.parts, job.tiles - start * self.parts)
            if not loaded:
                self._load_tiles(job, chunk, tiles, weight)
            for fields, reads, writes in self._products(job, chunk, tiles, activation, weight, bank):
                self.builder.emit(Opcode.MATMUL, fields, reads, writes)
        self.drain.emit(job, (0, job.tiles), bank, index)

    def _load_words(self, job: Job, chunk: Chunk, words: tuple[int, int], slot: int) -> None:
        (start, count), block, operation = words, job.block, self.operation
        first, size = slot + start * block.in_positions, count * block.in_positions
        place = operation.window, block, (chunk.word + start, count), first
        loads = load_inputs(self.config, operation.source, *place)
        for fields in loads if operation.window.reads(block) else ():
            region = Region(Space.ACTIVATION, first * self.parts, (first + size) * self.parts)
            self.builder.emit(Opcode.LOAD, fields, [], [region])

    def _load_tiles(self, job: Job, chunk: Chunk, tiles: tuple[int, int], slot: int) -> None:
        (start, count), size = tiles, chunk.taps * self.config.rows
        address = slot + start * size
        place = (job.tile + start, count), (0, 1), chunk.ky, chunk.kx, address
        for fields in self.operation.weights.loads(self.config.bus_bytes, *place):
            fields |= {"dtype": DType.INT8, "space": Space.WEIGHT}
            self.builder.emit(Opcode.LOAD, fields, [], [Region(Space.WEIGHT, address, address + count * size)])

    def _products(self, job, chunk, tiles, activation, weight, bank) -> Iterator[tuple[dict, list, list]]:
        """(fields, reads, writes) of an instruction for every image and part of a word: loop n runs over words."""
        block, window, size = job.block, self.operation.window, chunk.taps * self.config.rows
        outputs = block.rows * block.columns
        for part in range(min(self.parts, tiles[1])):
            count = len(range(part, tiles[1], self.parts))
            for image in range(block.images):
                tile = tiles[0] + part
                word = activation + tile // self.parts * block.in_positions
                row = bank + tile * block.positions + image * outputs
                places = word + image * block.in_image, weight + tile * size, row
                last_row = row + (count - 1) * self.parts * block.positions + outputs
                last_weight = places[1] + ((count - 1) * self.parts + 1) * size
                yield (
                    self._fields(block, window, count, *places),
                    [
                        Region(Space.ACTIVATION, word * self.parts, (word + count * block.in_positions) * self.parts),
                        Region(Space.WEIGHT, places[1], last_weight),
                    ],
                    [Region(Space.ACCUMULATOR, row, last_row)],
                )

    def _fields(self, block, window, count: int, word: int, weight: int, row: int) -> dict[str, int]:
        (kh, kw), (dy, dx), (sy, sx) = window.kernel, window.dilation, window.stride
        counts = {"n": count, "k": 1, "ky": kh, "kx": kw, "y": block.rows, "x": block.columns}
        line, rows = block.in_columns, self.config.rows
        first = word + block.y_start * line + block.x_start
        return (
            {f"count_{loop}": n for loop, n in counts.items()}
            | {"constant": self.operation.constant}
            | {"activation_dtype": DType.INT8, "weight_dtype": DType.INT8, "accumulator_dtype": DType.INT32}
            | window.bounds(block)
            | walk_fields(
                Opcode.MATMUL, "activation", first & 0xFFFF, counts,
                n=block.in_positions, ky=dy * line, kx=dx, y=sy // window.row_step * line, x=sx,
            )
            | walk_fields(
                Opcode.MATMUL, "weight", weight, counts,
                n=self.parts * kh * kw * rows, ky=kw * rows, kx=rows,
            )
            | walk_fields(
                Opcode.MATMUL, "accumulator", row, counts, n=self.parts * block.positions, y=block.columns, x=1
            )
        )  # fmt: skip


def lower_diagonal(operation: Contraction, timing: Timing, known: Known | None = None) -> tuple[Tiled, ...]:
    """A contraction whose weights are ``diagonal_weights``, tiled. InputError if the memories are too small."""
    return lower_best(Diagonal, (operation,), timing, known)
