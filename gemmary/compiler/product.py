"""One matmul instruction of a contraction."""

from dataclasses import dataclass

from ..config import Config
from ..isa import DType, Opcode, Space, walk_fields
from .builder import Region
from .strips import Strips
from .window import Block, Window


@dataclass(frozen=True)
class Job:
    """Sums that share an accumulator bank: a block of positions, ``tiles`` column tiles from ``tile``; of contraction
    number ``head``. ``pooled`` is the block of results, where that is another one."""

    block: Block
    tile: int
    tiles: int
    head: int = 0
    pooled: Block | None = None

    @property
    def results(self) -> Block:
        return self.pooled or self.block


@dataclass(frozen=True)
class Chunk:
    """A part of the sum: ``words`` channel words from ``word``, and the taps ``ky``, ``kx`` (start, count)."""

    word: int
    words: int
    ky: tuple[int, int]
    kx: tuple[int, int]

    @property
    def taps(self) -> int:
        return self.ky[1] * self.kx[1]


@dataclass(frozen=True)
class Places:
    """Where a chunk lies: its activation words, its weight words, and the accumulator rows of its job."""

    activation: int
    weight: int
    bank: int


@dataclass(frozen=True)
class Product:
    """``words`` of a chunk times ``tiles`` of a job, for ``images`` of its block; all three are (start, count).

    Loop n runs over tiles or over images, so one of the two has a count of 1. ``first``: the sum begins here.
    Activations lie as ``[words, images, in_rows, in_columns]`` or, of ``strips``, with the words innermost; weights as
    ``[words, tiles, ky, kx]``, sums as ``[tiles, images, rows, columns]``. Of strips with several windows a run this is number
    ``window``, and the tiles are every ``share``-th from ``tiles``.
    """

    job: Job
    chunk: Chunk
    places: Places
    words: tuple[int, int]
    tiles: tuple[int, int]
    images: tuple[int, int]
    first: bool
    strips: Strips | None = None
    window: int = 0

    def fields(self, config: Config, window: Window, constant: int) -> dict[str, int]:
        block, chunk, over_images = self.job.block, self.chunk, self.images[1] > 1
        (dy, dx), (sy, sx) = window.dilation, window.stride
        counts = {
            "n": max(self.tiles[1], self.images[1]),
            "k": self.words[1],
            "ky": chunk.ky[1],
            "kx": chunk.kx[1],
            "y": block.rows,
            "x": block.columns,
        }
        y_start, x_start = block.y_start + chunk.ky[0] * dy, block.x_start + chunk.kx[0] * dx
        line, tile_words = block.in_columns, chunk.taps * config.rows
        # Activation words from one channel word to the next, and from one position to the next.
        along, across = (1, self._across) if self.strips else (block.in_positions, 1)
        position = self.images[0] * block.in_image + y_start * line + x_start
        word = self.places.activation + self.words[0] * along + position * across
        word += self.strips.first_word(self.window) if self.strips else 0
        weight = self._weight(config) + self.tiles[0] * tile_words
        return (
            {f"count_{loop}": n for loop, n in counts.items()}
            | {"accumulate": int(not self.first), "constant": constant}
            | {"activation_dtype": DType.INT8, "weight_dtype": DType.INT8, "accumulator_dtype": DType.INT32}
            | window.bounds(block, chunk.ky[0], chunk.kx[0])
            | walk_fields(
                Opcode.MATMUL, "activation", word & 0xFFFF, counts,
                n=block.in_image * over_images * across, k=along,
                ky=dy * line * across, kx=dx * across, y=sy // window.row_step * line * across, x=sx * across,
            )
            | walk_fields(
                Opcode.MATMUL, "weight", weight, counts,
                n=tile_words * self._step * (not over_images), k=self.job.tiles * tile_words,
                ky=chunk.kx[1] * config.rows, kx=config.rows,
            )
            | walk_fields(
                Opcode.MATMUL, "accumulator", self._row, counts,
                n=block.rows * block.columns if over_images else block.positions * self._step, y=block.columns, x=1,
            )
        )  # fmt: skip

    def reads(self, config: Config) -> list[Region]:
        rows = config.rows // config.columns  # of `columns` bytes in an activation word
        weight, positions = self._weight(config), self.job.block.in_positions
        if self.strips:
            activation, words = self.places.activation, self._across * positions
        else:
            activation, words = self.places.activation + self.words[0] * positions, self.words[1] * positions
        weights = self.words[1] * self.job.tiles * self.chunk.taps * config.rows
        return [
            Region(Space.ACTIVATION, activation * rows, (activation + words) * rows),
            Region(Space.WEIGHT, weight, weight + weights),
        ]

    def writes(self) -> list[Region]:
        block = self.job.block
        rows = (self.tiles[1] - 1) * self._step * block.positions + self.images[1] * block.rows * block.columns
        return [Region(Space.ACCUMULATOR, self._row, self._row + rows)]

    @property
    def _step(self) -> int:
        return self.strips.share if self.strips else 1

    @property
    def _across(self) -> int:
        """Activation words from one position of strips to the next."""
        return self.strips.span if self.strips.share > 1 else self.chunk.words

    def _weight(self, config: Config) -> int:
        return self.places.weight + self.words[0] * self.job.tiles * self.chunk.taps * config.rows

    @property
    def _row(self) -> int:
        block = self.job.block
        return self.places.bank + self.tiles[0] * block.positions + self.images[0] * block.rows * block.columns
