"""A window that slides over images, and the blocks of its positions that are computed at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from ..errors import InputError
from .loops import Loop, Part, equal, nest, walk

MAX_FIELD = 255  # of a stride or a dilation in an instruction

INSIDE = {"y_limit": 1, "x_limit": 1}
"""Bounds of a walk that never leaves its memory: it stays at coordinate 0."""


@dataclass(frozen=True)
class Block:
    """A part of the outputs (whole images, or rows and columns of one) and the inputs that it reads, every ``row_step``-th row.

    ``y_start`` and ``x_start`` are the coordinates of the first tap of the first output, counted from the first input row and
    column of the block; outside 0 … ``in_rows``, 0 … ``in_columns`` lies padding.
    """

    image: int
    images: int
    row: int
    rows: int
    column: int
    columns: int
    in_row: int
    in_rows: int
    in_column: int
    in_columns: int
    y_start: int
    x_start: int

    @property
    def positions(self) -> int:
        return self.images * self.rows * self.columns

    @property
    def in_image(self) -> int:
        """Input positions of one image of the block."""
        return self.in_rows * self.in_columns

    @property
    def in_positions(self) -> int:
        return self.images * self.in_image


@dataclass(frozen=True)
class Piece:
    """Along one axis: ``count`` neighbouring outputs from ``first`` whose windows have the same ``taps`` inside; the first tap of
    the first of them is at coordinate ``start``."""

    first: int
    count: int
    start: int
    taps: int


@dataclass(frozen=True)
class Split:
    """The largest block: outputs along images, rows and columns."""

    images: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Window:
    """A kernel over ``images`` images of ``height`` x ``width``. Raises InputError for what makes no sense.

    ``padding`` is ``((top, bottom), (left, right))``.
    """

    images: int
    height: int
    width: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))

    def __post_init__(self):
        positive = {"kernel": self.kernel, "stride": self.stride, "dilation": self.dilation}
        for name, pair in positive.items():
            if min(pair) < 1:
                raise InputError(f"{name} must be at least 1, not {pair}")
        if min(self.images, self.height, self.width) < 1:
            raise InputError(f"images must not be empty: {self.images} of {self.height} x {self.width}")
        if min(n for pair in self.padding for n in pair) < 0:
            raise InputError(f"padding must not be negative: {self.padding}")
        if min(self.out_height, self.out_width) < 1:
            raise InputError(f"kernel {self.kernel} is larger than the padded image of {self.height} x {self.width}")
        if self.padded and max(*self.stride, *self.dilation) > MAX_FIELD:
            raise InputError(f"stride and dilation must not exceed {MAX_FIELD} with padding")

    def _out(self, axis: int) -> int:
        size = (self.height, self.width)[axis] + sum(self.padding[axis])
        return (size - (self.kernel[axis] - 1) * self.dilation[axis] - 1) // self.stride[axis] + 1

    @cached_property
    def out_height(self) -> int:
        return self._out(0)

    @cached_property
    def out_width(self) -> int:
        return self._out(1)

    @property
    def positions(self) -> int:
        return self.images * self.out_height * self.out_width

    @property
    def taps(self) -> int:
        return prod(self.kernel)

    @cached_property
    def padded(self) -> bool:
        """Whether any output reads outside its image."""
        return any(n for pair in self.padding for n in pair)

    @cached_property
    def row_step(self) -> int:
        """Image rows from one that is read to the next: only a kernel of one row, without padding, leaves some out."""
        return self.stride[0] if self.kernel[0] == 1 and not self.padded else 1

    def folded(self) -> "Window":
        """The same outputs over fewer, longer loops: images become rows and rows columns where windows allow it."""
        return self._images_as_rows()._rows_as_columns()

    def _images_as_rows(self) -> "Window":
        if any(self.padding[0]):
            return self
        stride = self.height if self.out_height == 1 else self.stride[0]
        if self.height != self.out_height * stride:
            return self
        height = self.images * self.height
        return replace(self, images=1, height=height, stride=(stride, self.stride[1]))

    def _rows_as_columns(self) -> "Window":
        stride = self.width if self.out_width == 1 else self.stride[1]
        alone = self.images == 1 and self.kernel[0] == 1 and self.stride[0] == 1 and not any(self.padding[0])
        if not alone or any(self.padding[1]) or self.width != self.out_width * stride:
            return self
        return replace(self, height=1, width=self.height * self.width, stride=(1, stride))

    def splits(self, limit: int) -> list[Split]:
        """Ways to cut the outputs into blocks of at most ``limit`` positions, the largest blocks first."""
        height, width = self.out_height, self.out_width
        images = [Split(n, height, width) for n in _sizes(self.images) if n > 1]
        rows = [Split(1, n, width) for n in _sizes(height)]
        columns = [Split(1, 1, n) for n in _sizes(width, limit) if n < width]
        return [s for s in (*images, *rows, *columns) if s.images * s.rows * s.columns <= limit]

    def areas(self, limit: int) -> Iterator[Split]:
        """Ways to cut the outputs along both axes into blocks that read at most ``limit`` inputs, the largest for each number of rows:
        where windows overlap, these share fewest inputs with others."""

        def inputs(axis: int, outputs: int) -> int:
            return (outputs - 1) * self.stride[axis] + self.kernel[axis]

        for rows in _sizes(self.out_height):
            columns = (n for n in _sizes(self.out_width) if inputs(0, rows) * inputs(1, n) <= limit)
            if (most := next(columns, 0)) and rows > 1 and most < self.out_width:
                yield Split(1, rows, most)

    def blocks(self, split: Split) -> Iterator[Block]:
        """Every block, in the order of the outputs; their sizes differ by one at most."""
        for parts in walk(self.loops(split)):
            yield self.block(**parts)

    def loops(self, split: Split, *inner: tuple[str, list[int]]) -> tuple[Loop, ...]:
        """Over the blocks of ``split``, and inside over ``inner`` (dimension, sizes)."""
        return nest(*self.cuts(split), *inner)

    def cuts(self, split: Split) -> list[tuple[str, list[int]]]:
        """Sizes of the parts along each dimension of the outputs."""
        sizes = (self.images, split.images), (self.out_height, split.rows), (self.out_width, split.columns)
        return [(dim, equal(*size)) for dim, size in zip(("image", "row", "column"), sizes)]

    def block(self, image: Part, row: Part, column: Part) -> Block:
        """Outputs (first, count) along images, rows and columns, with the inputs that they read."""
        in_row, in_rows, y_start = self.inputs(0, *row)
        in_column, in_columns, x_start = self.inputs(1, *column)
        in_rows = -(-in_rows // self.row_step)
        return Block(*image, *row, *column, in_row, in_rows, in_column, in_columns, y_start, x_start)

    def bounds(self, block: Block, ky: int = 0, kx: int = 0) -> dict[str, int]:
        """Bound fields of an instruction on ``block`` that begins with tap ``ky``, ``kx``; the constant not among them."""
        if not self.padded:
            return INSIDE
        fields = {}
        for i, (axis, start, limit, tap) in enumerate(
            (("y", block.y_start, block.in_rows, ky), ("x", block.x_start, block.in_columns, kx))
        ):
            fields[f"{axis}_start"] = start + tap * self.dilation[i]
            fields[f"{axis}_stride"], fields[f"{axis}_dilation"] = self.stride[i], self.dilation[i]
            fields[f"{axis}_limit"] = limit
        return fields

    def reads(self, block: Block) -> bool:
        """Whether any output of ``block`` reads its image: all of it may be padding."""
        if not self.padded:
            return True
        axes = ((block.y_start, block.rows, block.in_rows), (block.x_start, block.columns, block.in_columns))
        return all(
            any(
                0 <= start + i * self.stride[axis] + tap * self.dilation[axis] < size
                for i in range(count)
                for tap in range(self.kernel[axis])
            )
            for axis, (start, count, size) in enumerate(axes)
        )

    def pieces(self, axis: int, first: int, count: int) -> list[Piece]:
        """Outputs (first, count) by how their windows, without dilation, are cut off at the edges of the image. Coordinates, and the
        first of each piece, count from the block's first."""
        _, size, start = self.inputs(axis, first, count)
        pieces: list[Piece] = []
        for i in range(count):
            low = start + i * self.stride[axis]
            begin, end = max(low, 0), min(low + self.kernel[axis], size)
            last = pieces[-1] if pieces else None
            expected = last and (last.start + last.count * self.stride[axis], last.taps)
            if expected == (begin, end - begin):
                pieces[-1] = replace(last, count=last.count + 1)
            else:
                pieces.append(Piece(i, 1, begin, end - begin))
        return pieces

    def inputs(self, axis: int, first: int, count: int) -> tuple[int, int, int]:
        """First input, number of inputs, and the coordinate of the first tap from there; all in ``axis``."""
        size, stride = (self.height, self.width)[axis], self.stride[axis]
        low = first * stride - self.padding[axis][0]
        high = low + (count - 1) * stride + (self.kernel[axis] - 1) * self.dilation[axis] + 1
        start = min(max(low, 0), size - 1)  # at least one input, even where all are padding
        end = max(start + 1, min(high, size))
        return start, end - start, low - start


def _sizes(total: int, limit: int | None = None) -> list[int]:
    """Sizes to try, descending: ``total``, and balanced parts near each smaller power of two (from ``limit`` down)."""
    size, found = min(total, limit or total), []
    while size:
        found.append(-(-total // -(-total // size)))
        size //= 2
    return sorted(set(found), reverse=True)
