"""Depthwise convolutions of up to 3 x 3 taps on the array's window: every word of the padded image is streamed once.

A channel word is convolved line by line. An image too large for an accumulator bank comes in pieces of whole lines; the window
keeps the last two lines of a piece, so none is streamed, or even loaded, twice (docs/isa-semantics.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..config import Config
from ..errors import InputError
from ..isa import WINDOW, DType, Opcode, Space, walk_fields
from ..performance.model import Timing
from .builder import Builder, Region
from .contraction import Contraction
from .drain import Drain
from .product import Job
from .regions import load_inputs
from .runs import Run, make_runs
from .slots import Slots
from .tiling import MAX_SLOTS, RESULT_SLOTS, Tiling
from .window import Block, Split, Window


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


class _Depthwise:
    """Emits a contraction of ``window_weights``, channel word after channel word."""

    def __init__(self, builder: Builder, operation: Contraction, tiling: Tiling):
        self.builder, self.config, self.operation, self.tiling = builder, builder.config, operation, tiling
        self.activations = Slots(0, tiling.activation_slot, tiling.activation_slots)
        self.weights = Slots(0, tiling.weight_slot, tiling.weight_slots)
        self.drain = Drain(builder, (operation,), tiling, tiling.activation_slot * tiling.activation_slots)

    def jobs(self) -> list[Job]:
        total, size = self.operation.source.words, self.tiling.tiles
        blocks = list(self.operation.window.blocks(self.tiling.split))
        return [Job(block, tile, min(size, total - tile)) for tile in range(0, total, size) for block in blocks]

    def emit(self, job: Job, index: int, last: bool) -> None:
        piece = piece_of(self.operation.window, job.block)
        bank = index % 2 * self.config.accumulator_rows
        slot = self.activations.get(index)[0]
        weight, here = self.weights.get(job.tile)
        if not here:
            self._load_weights(job, weight)
        for fields, size in self._loads(job, piece, slot):
            self.builder.emit(Opcode.LOAD, fields, [], [Region(Space.ACTIVATION, slot, slot + size)])
        reads = [Region(Space.WEIGHT, weight, weight + job.tiles * self.config.rows)]
        if piece.in_rows:
            reads.append(Region(Space.ACTIVATION, slot, slot + job.tiles * self._plane(piece)))
        writes = [Region(Space.ACCUMULATOR, bank, bank + job.tiles * job.block.positions)]
        self.builder.emit(Opcode.MATMUL, self._fields(job, piece, slot, weight, bank), reads, writes)
        self.drain.emit(job, (0, job.tiles), bank, index)

    def _plane(self, piece: Piece) -> int:
        """Activation words of a channel word of ``piece``."""
        return piece.in_rows * self.operation.window.width

    def _load_weights(self, job: Job, address: int) -> None:
        region = Region(Space.WEIGHT, address, address + job.tiles * self.config.rows)
        place = (job.tile, job.tiles), (0, 1), (0, 1), (0, 1), address
        for fields in self.operation.weights.loads(self.config.bus_bytes, *place):
            self.builder.emit(Opcode.LOAD, fields | {"dtype": DType.INT8, "space": Space.WEIGHT}, [], [region])

    def _loads(self, job: Job, piece: Piece, slot: int) -> Iterator[tuple[dict[str, int], int]]:
        if piece.in_rows == 0:
            return
        block, width = piece.block, self.operation.window.width
        lines = Block(
            block.image, 1, block.row, block.rows, 0, block.columns, piece.in_row, piece.in_rows, 0, width, 0, 0
        )  # fmt: skip
        place = self.operation.window, lines, (job.tile, job.tiles), slot
        for fields in load_inputs(self.config, self.operation.source, *place):
            yield fields, job.tiles * self._plane(piece)

    def _fields(self, job: Job, piece: Piece, slot: int, weight: int, row: int) -> dict[str, int]:
        window, width = self.operation.window, self.operation.window.width
        return window_fields(
            self.config, window, piece, tiles=job.tiles, constant=self.operation.constant,
            activation=slot, plane=self._plane(piece), weight=weight, accumulator=row, width=width,
        )  # fmt: skip


def window_fields(
    config: Config,
    window: Window,
    piece: Piece,
    *,
    tiles: int,
    constant: int,
    activation: int,
    plane: int,
    weight: int,
    accumulator: int,
    width: int,
) -> dict[str, int]:
    """The matmul that convolves ``piece`` of ``tiles`` channel words: activation words at ``activation``, where line
    ``piece.in_row`` begins, ``width`` apart from line to line and ``plane`` from word to word; sums as [tiles, rows, columns]."""
    block, left = piece.block, window.padding[1][0]
    counts = {"n": tiles, "k": 1, "ky": 1, "kx": 1, "y": piece.lines, "x": _line(window)}
    written = counts | {"y": block.rows, "x": block.columns}
    first = activation + piece.start * width - left
    return (
        {f"count_{loop}": count for loop, count in counts.items()}
        | {"constant": constant, "window": 1, "window_lead": piece.lead}
        | {f"window_skip_{axis}": stride - 1 for axis, stride in zip("yx", window.stride)}
        | {"activation_dtype": DType.INT8, "weight_dtype": DType.INT8, "accumulator_dtype": DType.INT32}
        | {"y_start": piece.start, "y_stride": 1, "y_limit": piece.in_rows}
        | {"x_start": -left, "x_stride": 1, "x_limit": window.width}
        | walk_fields(Opcode.MATMUL, "activation", first & 0xFFFF, counts, n=plane, y=width, x=1)
        | walk_fields(Opcode.MATMUL, "weight", weight, counts, n=config.rows)
        | walk_fields(
            Opcode.MATMUL, "accumulator", accumulator, written, n=block.positions, y=block.columns, x=1
        )
    )  # fmt: skip


def lower_depthwise(operation: Contraction, timing: Timing) -> tuple[Run, ...]:
    """The runs of a contraction whose weights are ``window_weights`` and whose window ``fits_window``. InputError if the
    memories are too small."""
    builder = Builder(timing.config)
    lowering = _Depthwise(builder, operation, _tiling(timing.config, operation))
    return make_runs(builder, lowering.jobs(), lowering.emit, timing)


def _tiling(config: Config, operation: Contraction) -> Tiling:
    """Whole images of as many channel words, or else as many lines, as an accumulator bank holds."""
    window = operation.window
    rows = min(window.out_height, config.accumulator_rows // window.out_width)
    positions = window.out_height * window.out_width
    if rows == 0:
        raise InputError(
            f"config {config.name!r} is too small for {operation.result.name!r}: a line of {window.out_width} results"
        )
    # Pieces go on from each other only while their channel word, and their image, stays the same.
    whole = rows == window.out_height and window.images == 1
    tiles = (
        min(config.accumulator_rows // positions, config.parameter_rows // 2, operation.source.words) if whole else 1
    )
    split = Split(1, rows, window.out_width)
    blocks = list(window.blocks(split))
    activation_slot = max(piece_of(window, block).in_rows for block in blocks) * window.width * tiles
    result_slot = max(block.positions for block in blocks) * tiles
    if operation.result.dtype != DType.INT8:
        result_slot = 0
    jobs = len(blocks) * -(-operation.source.words // tiles)
    kinds = 2 if operation.requantization.residual else 1
    free = config.activation_words
    result_slots = min(RESULT_SLOTS, jobs, (free - activation_slot) // (kinds * result_slot)) if result_slot else 1
    activation_slots = min(MAX_SLOTS, jobs, (free - kinds * result_slots * result_slot) // activation_slot)
    weight_slots = min(MAX_SLOTS, config.weight_words // (tiles * config.rows))
    if min(result_slots, activation_slots, weight_slots) < 1:
        raise InputError(f"config {config.name!r} is too small for {operation.result.name!r}: a piece of {rows} lines")
    return Tiling(
        split=split, tiles=tiles, words=tiles, tap_rows=WINDOW, tap_columns=WINDOW, positions_outer=False,
        activation_slot=activation_slot, activation_slots=activation_slots,
        weight_slot=tiles * config.rows, weight_slots=weight_slots,
        result_slot=result_slot, result_slots=result_slots, residual_slots=result_slots if kinds == 2 else 0,
    )  # fmt: skip
