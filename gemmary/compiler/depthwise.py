"""Depthwise convolutions of up to 3 x 3 taps on the array's window: every word of the padded image is streamed once.

A channel word is convolved line by line. An image too large for an accumulator bank comes in pieces of whole lines; the window
keeps the last two lines of a piece, so none is streamed, or even loaded, twice (docs/isa-semantics.md).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..config import Config
from ..errors import InputError
from ..isa import WINDOW, DType, Opcode, Space, walk_fields
from ..performance.model import Timing
from .builder import Builder, Region
from .contraction import Contraction
from .drain import Drain
from .loops import Loop, Part, nest, walk
from .lowering import Known, total_cycles
from .product import Job
from .regions import load_bytes, load_inputs
from .runs import make_runs
from .tiled import Tiled, buffers_in
from .tiling import MAX_SLOTS, RESULT_SLOTS
from .window import Block, Window

TAPS = WINDOW * WINDOW
"""Rows of a weight tile that count. Tiles lie so far apart: what the array reads beyond is of the next one."""

SHARES = (2, 3, 4, 6)
"""Into so many jobs the accumulator is divided: each number is tried on the cycle model."""

SMALL = 64
"""Results that are worth an instruction of each engine of their own."""


def fits_window(config: Config, window: Window) -> bool:
    """Whether the array's window does the taps and strides of ``window``, and takes its lines."""
    return (
        max(window.kernel) <= WINDOW
        and max(window.stride) <= 2
        and window.dilation == (1, 1)
        and window.row_step == 1
        and _line(window) <= config.window_line
    )


def streamed_rows(window: Window) -> int:
    """Rows that go into the array for one channel word."""
    return window.images * _steps(window.out_height, window.stride[0]) * _line(window)


def window_weights(weights: np.ndarray) -> np.ndarray:
    """``[kh, kw, 1, channels]`` as ``[1, 1, taps, channels]``, in the order of the window."""
    kh, kw, _, channels = weights.shape
    taps = np.zeros((WINDOW, WINDOW, channels), np.int8)
    taps[:kh, :kw] = weights[:, :, 0]
    return taps.reshape(1, 1, -1, channels)


def _steps(outputs: int, stride: int) -> int:
    """Lines, or positions of a line, that ``outputs`` take."""
    return (outputs - 1) * stride + WINDOW


def _line(window: Window) -> int:
    return _steps(window.out_width, window.stride[1])


@dataclass(frozen=True)
class Piece:
    """Lines of one image that are streamed together: output lines of ``block``, after the first ``lead``.

    The input lines ``in_row`` … are loaded, ``in_rows`` of them, perhaps none; the first line that is streamed is number
    ``start``, counted from there, the last number start + ``lines`` − 1.
    """

    block: Block
    lead: int
    lines: int
    start: int
    in_row: int
    in_rows: int


def piece_of(window: Window, block: Block) -> Piece:
    """What is streamed for ``block``, whole lines of one image, behind the block above it."""
    stride, top, below = window.stride[0], window.padding[0][0], block.row + block.rows
    end = (below - 1) * stride + WINDOW - top
    begin = (block.row - 1) * stride + WINDOW - top if block.row else -top
    low, high = (min(max(line, 0), window.height) for line in (begin, end))
    lead = WINDOW - 1 if block.row == 0 else stride - 1
    return Piece(block, lead, end - begin, begin - low, low, high - low)


def ramp(total: int, least: int, most: int, *, up: bool, down: bool) -> list[int]:
    """Parts of ``total``, none above ``most``: as equal as can be, but growing from ``least`` at the beginning with ``up``, and
    becoming as small at the end with ``down``."""
    first, last, size = [], [], least
    while size < most and (up + down) * size < total:
        first, last = first + [size] * up, [size] * down + last
        total, size = total - (up + down) * size, 2 * size
    count = -(-total // most)
    return first + [(i + 1) * total // count - i * total // count for i in range(count)] + last


def _whole_lines(window: Window, image: int, row: int, rows: int) -> Block:
    """``rows`` lines of outputs from ``row``, with all inputs of the image."""
    return Block(image, 1, row, rows, 0, window.out_width, 0, window.height, 0, window.width, 0, 0)


class Ahead:
    """Loads what belongs to channel words, one after the other, into a memory with room for ``capacity`` of them: first what is
    needed at once, then ever more at a time. ``load(first, count, slot)`` loads ``count`` words from ``first`` to slot ``slot``."""

    def __init__(self, capacity: int, total: int, load: Callable[[int, int, int], None]):
        self.capacity, self.total, self.load, self.loaded = capacity, total, load, 0

    def slot(self, word: int, count: int) -> int:
        """Where words ``word`` and up lie, ``count`` of them; they do not cross a multiple of the capacity."""
        while self.loaded < word + count:
            inside = self.loaded % self.capacity
            more = min(max(count, inside), self.capacity - inside, self.total - self.loaded)
            self.load(self.loaded, more, inside)
            self.loaded += more
        return word % self.capacity


def _constant_words(config: Config) -> int:
    """Channel words whose weights, and parameters, the chip holds at a time. A tile is read as a whole, beyond the last as well."""
    return min(config.parameter_rows, (config.weight_words - config.rows) // TAPS + 1)


class _Drain(Drain):
    """Parameters stay for as many channel words as there is room for."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.ahead = Ahead(_constant_words(self.config), self.operation.source.words, self._load_parameters)

    def _parameters(self, job: Job) -> int:
        return 0 if self.requantization.scalar else self.ahead.slot(job.tile, job.tiles)

    def _load_parameters(self, first: int, count: int, slot: int) -> None:
        row = self.config.parameter_row_bytes
        region = Region(Space.PARAMETER, slot, slot + count)
        load_bytes(self.builder, region, self.operation.parameters + first * row, slot * row, count * row)


class DepthwiseLowering:
    """Emits a contraction of ``window_weights``, channel word after channel word."""

    kind = "depthwise"

    def __init__(self, builder: Builder, tiled: Tiled):
        (self.operation,) = tiled.operations
        self.builder, self.loops, self.config = builder, tiled.loops, builder.config
        # A sum is written once, never added to, so finished rows can leave whatever bank they share with others.
        self.activations, self.sums = (tiled.buffers[name].slots() for name in ("source", "sums"))
        self.weights = Ahead(_constant_words(self.config), self.operation.source.words, self._load_weights)
        self.drain = _Drain(builder, tiled)

    @classmethod
    def tiled(cls, config: Config, operation: Contraction, tiles: int, rows: int) -> Tiled | None:
        """At most ``tiles`` channel words and ``rows`` lines a job, with as many slots as the memories have room for; None if that is
        not one of each."""
        window, residual = operation.window, operation.requantization.residual is not None
        lines = min(window.height, (rows - 1) * window.stride[0] + WINDOW)
        source, room, results = lines * window.width * tiles, config.activation_words, 1
        result = rows * window.out_width * tiles if operation.result.dtype == DType.INT8 else 0
        if result:
            results = min(RESULT_SLOTS, (room - source) // (result * (1 + residual)))
            room -= results * result * (1 + residual)
        slots = min(MAX_SLOTS, room // source)
        if min(results, slots) < 1:
            return None
        buffers = buffers_in(
            Space.ACTIVATION, source=(source, slots), result=(result, results), residual=(result, results * residual)
        )
        sums, words = tiles * rows * window.out_width, _constant_words(config)
        buffers |= buffers_in(Space.WEIGHT, weights=(TAPS, words))
        buffers |= buffers_in(Space.ACCUMULATOR, sums=(sums, min(MAX_SLOTS, config.accumulator_words // sums)))
        buffers |= buffers_in(Space.PARAMETER, parameters=(1, words))
        return Tiled(cls.kind, (operation,), tuple(_loops(config, operation, tiles, rows)), buffers)

    def jobs(self) -> list[Job]:
        window = self.operation.window
        return [
            Job(_whole_lines(window, parts["image"][0], *parts["row"]), *parts["word"]) for parts in walk(self.loops)
        ]

    def emit(self, job: Job, index: int, last: bool) -> None:
        piece = piece_of(self.operation.window, job.block)
        row, slot = self.sums.get(index)[0], self.activations.get(index)[0]
        weight = self.weights.slot(job.tile, job.tiles) * TAPS
        reads = [Region(Space.WEIGHT, weight, weight + job.tiles * TAPS)]
        if piece.in_rows:
            inputs = Region(Space.ACTIVATION, slot, slot + job.tiles * self._plane(piece))
            reads.append(inputs)
            for fields in self._loads(job, piece, slot):
                self.builder.emit(Opcode.LOAD, fields, [], [inputs])
        writes = [Region(Space.ACCUMULATOR, row, row + job.tiles * job.block.positions)]
        self.builder.emit(Opcode.MATMUL, self._fields(job, piece, slot, weight, row), reads, writes)
        self.drain.emit(job, (0, job.tiles), row, index)

    def _plane(self, piece: Piece) -> int:
        """Activation words of a channel word of ``piece``."""
        return piece.in_rows * self.operation.window.width

    def _load_weights(self, first: int, count: int, slot: int) -> None:
        address = slot * TAPS
        region = Region(Space.WEIGHT, address, address + count * TAPS)
        for fields in self.operation.weights.loads(
            self.config.bus_bytes, (first, count), (0, 1), (0, 1), (0, 1), address
        ):
            self.builder.emit(Opcode.LOAD, fields | {"dtype": DType.INT8, "space": Space.WEIGHT}, [], [region])

    def _loads(self, job: Job, piece: Piece, slot: int) -> Iterator[dict[str, int]]:
        lines = replace(piece.block, in_row=piece.in_row, in_rows=piece.in_rows)
        return load_inputs(
            self.config, self.operation.source, self.operation.window, lines, (job.tile, job.tiles), slot
        )

    def _fields(self, job: Job, piece: Piece, slot: int, weight: int, row: int) -> dict[str, int]:
        return window_fields(
            self.operation.window, piece, tiles=job.tiles, constant=self.operation.constant,
            activation=slot, plane=self._plane(piece), weight=weight, accumulator=row,
        )  # fmt: skip


def window_fields(
    window: Window,
    piece: Piece,
    *,
    tiles: int,
    constant: int,
    activation: int,
    plane: int,
    weight: int,
    accumulator: int,
) -> dict[str, int]:
    """The matmul that convolves ``piece`` of ``tiles`` channel words: activation words at ``activation``, where line
    ``piece.in_row`` begins, whole lines of the image and ``plane`` from word to word; sums as [tiles, rows, columns]."""
    block, left, width = piece.block, window.padding[1][0], window.width
    counts = {"n": tiles, "k": 1, "ky": 1, "kx": 1, "y": piece.lines, "x": _line(window)}
    written = counts | {"y": block.rows, "x": block.columns}
    first = activation + piece.start * width - left
    return (
        {f"count_{loop}": count for loop, count in counts.items()}
        | {"constant": constant, "window": 1, "window_lead": piece.lead}
        | {f"window_skip_{axis}": stride - 1 for axis, stride in zip("yx", window.stride)}
        | {"activation_dtype": DType.INT8, "weight_dtype": DType.INT8, "accumulator_dtype": DType.INT32}
        | {"y_start": piece.start, "y_stride": 1, "y_limit": piece.in_rows}
        | {"x_start": -left, "x_stride": 1, "x_limit": width}
        | walk_fields(Opcode.MATMUL, "activation", first & 0xFFFF, counts, n=plane, y=width, x=1)
        | walk_fields(Opcode.MATMUL, "weight", weight, counts, n=TAPS)
        | walk_fields(
            Opcode.MATMUL, "accumulator", accumulator, written, n=block.positions, y=block.columns, x=1
        )
    )  # fmt: skip


def lower_depthwise(operation: Contraction, timing: Timing, known: Known | None = None) -> tuple[Tiled, ...]:
    """A contraction whose weights are ``window_weights`` and whose window ``fits_window``, with the size of jobs that the cycle
    model likes best. InputError if the memories are too small."""
    known, key = {} if known is None else known, (DepthwiseLowering.kind, operation.form)
    if key not in known:
        known[key] = _best(operation, timing)
    return (DepthwiseLowering.tiled(timing.config, operation, *known[key]),)


def _best(operation: Contraction, timing: Timing) -> tuple[int, int]:
    """Channel words and lines of a job."""

    def cycles(sizes: tuple[int, int]) -> int:
        return total_cycles(
            make_runs(DepthwiseLowering, DepthwiseLowering.tiled(timing.config, operation, *sizes), timing)
        )

    found = list(_sizes(timing.config, operation))
    if not found:
        raise InputError(
            f"config {timing.config.name!r} is too small for {operation.result.name!r}: its memories do not hold the inputs and "
            f"results of a line of {operation.window.out_width}"
        )
    return min(found, key=cycles)


def _sizes(config: Config, operation: Contraction) -> Iterator[tuple[int, int]]:
    """Whole images of as many channel words, or else as many lines, as a share of the accumulator holds."""
    window, words = operation.window, operation.source.words
    line, image = window.out_width, window.out_height * window.out_width
    # Pieces go on from each other only while their channel word, and their image, stays the same.
    whole = image <= config.accumulator_rows and window.images == 1
    sizes = []
    for share in SHARES:
        room = config.accumulator_words // share
        if whole and room >= image:
            sizes.append((min(room // image, -(-_constant_words(config) // 2), words), window.out_height))
        else:
            sizes.append((1, min(room // line, window.out_height)))
    for tiles, rows in dict.fromkeys(sizes):
        if rows and DepthwiseLowering.tiled(config, operation, tiles, rows):
            yield tiles, rows


def _loops(config: Config, operation: Contraction, tiles: int, rows: int) -> Iterator[Loop]:
    """Small jobs first and last, so that the array starts early and little is left when it ends."""
    window, total = operation.window, operation.source.words
    least = -(-SMALL // window.out_width)
    for word, count in _words(config, total, tiles):
        lines = ramp(window.out_height, least, rows, up=word == 0, down=word + count == total) if count == 1 else [rows]
        inner = nest(("image", [1] * window.images), ("row", lines))
        yield Loop("word", (count,), inner, word)


def _words(config: Config, total: int, tiles: int) -> Iterator[Part]:
    """Of the channel words of each job; their constants lie together."""
    most = _constant_words(config)
    for start in range(0, total, most):
        count = min(most, total - start)
        sizes = ramp(count, 1, tiles, up=start == 0, down=start + count == total)
        yield from Loop("word", tuple(sizes), (), start).parts
