"""Max pools in the drain of a convolution: the vector engine takes the largest sum of a window and requantizes that alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .loops import Part, walk
from .window import Block, Split, Window


@dataclass(frozen=True)
class Pool:
    """``window`` over the outputs of a convolution. Where ``share`` neighbours of a row are summed at one position, it is over these
    positions, and at each of them windows of ``kernel`` neighbours begin at every ``stride``-th."""

    window: Window
    kernel: int = 1
    stride: int = 1

    @classmethod
    def of(cls, window: Window, share: int = 1) -> "Pool | None":
        """A pool with ``window``; None where windows leave out sums between them, or would go from one position to the next."""
        (ky, kx), (sy, sx) = window.kernel, window.stride
        if (ky < sy and window.out_height > 1) or (kx < sx and window.out_width > 1):
            return None
        if share == 1:
            return cls(window)
        if any(window.padding[1]) or kx != sx or share % sx or window.width % share:
            return None
        rows = replace(window, width=window.width // share, kernel=(ky, 1), stride=(sy, 1))
        return cls(rows, kx, sx)

    @property
    def taps(self) -> float:
        """Sums that are read for each position that ``window`` leaves, of each of the ``share``."""
        return self.window.taps * self.kernel / self.stride


def block_of(window: Window, pool: Pool | None, image: Part, row: Part, column: Part) -> Block:
    """The sums that outputs (first, count) of the pool take, or of ``window`` without one; those that several windows share are in
    several blocks."""
    if pool is not None:
        row, column = pool.window.inputs(0, *row)[:2], pool.window.inputs(1, *column)[:2]
    return window.block(image, row, column)


def blocks_of(window: Window, pool: Pool | None, split: Split) -> Iterator[Block]:
    """Of the sums, for every block of what leaves."""
    outlet = pool.window if pool else window
    return (block_of(window, pool, **parts) for parts in walk(outlet.loops(split)))


def joined(sums: Block, results: Block, window: Window) -> tuple[Block, Block, Window]:
    """The same, with whole images as the rows of one where their windows touch and none sticks out."""
    if results.images == 1 or any(window.padding[0]) or sums.rows != results.rows * window.stride[0]:
        return sums, results, window
    rows = {"image": 0, "images": 1}
    return (
        replace(sums, **rows, rows=sums.images * sums.rows),
        replace(results, **rows, rows=results.images * results.rows),
        replace(window, images=1, height=window.images * window.height),
    )
