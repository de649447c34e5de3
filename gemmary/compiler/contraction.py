"""Matrix products and convolutions as the machine sees them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .loops import Part, walk
from .operands import Operand
from .requantization import Requantization
from .strips import Strips
from .tensor import Tensor
from .weights import WeightTensor
from .window import Block, Split, Window


@dataclass(frozen=True)
class Contraction:
    """``result = requantize(sum over taps and channels of source · weights)``.

    ``window`` is folded and covers every position of ``source``; outside its images the source reads ``constant``.
    ``parameters`` is the address of the channels' parameters (not used where all channels share them), ``table`` that of the
    table, if there is one. ``diagonal``: each word of the source meets its own tiles only, so ``weights`` has one word of k.

    ``pool``: the result is the max pool, with this window over what ``window`` makes, of what it would be else. No window of it is
    nothing but padding; ``window`` is not folded then, and the requantization never falls as a sum grows.
    """

    source: Tensor | Strips
    weights: WeightTensor | Operand
    result: Tensor
    window: Window
    requantization: Requantization
    parameters: int
    table: int | None = None
    constant: int = 0
    diagonal: bool = False
    pool: Window | None = None

    @property
    def outlet(self) -> Window:
        """The window whose outputs leave: jobs are blocks of them."""
        return self.pool or self.window

    def block(self, image: Part, row: Part, column: Part) -> Block:
        """The sums that outputs (first, count) of the outlet take; those of a pool whose windows overlap are in several blocks."""
        if self.pool is not None:
            row, column = self.pool.inputs(0, *row)[:2], self.pool.inputs(1, *column)[:2]
        return self.window.block(image, row, column)

    def blocks(self, split: Split) -> Iterator[Block]:
        """Of the sums, for every block of the outlet."""
        return (self.block(**parts) for parts in walk(self.outlet.loops(split)))

    @property
    def form(self) -> tuple:
        """All that decides how long it takes: contractions of one form differ in names, places and constants only."""
        weights, requantization = self.weights, self.requantization
        if not isinstance(weights, WeightTensor):
            weights = type(weights), weights.rows, weights.columns, _unplaced(weights.matrix)
        return (
            _unplaced(self.source), weights if isinstance(weights, tuple) else _unplaced(weights), _unplaced(self.result),
            self.window, self.pool, self.diagonal, requantization.result, requantization.scalar, requantization.is_plain,
            requantization.residual is not None, requantization.table is not None,
        )  # fmt: skip

    @property
    def share(self) -> int:
        """Output positions that one position of the window stands for."""
        return self.source.share if isinstance(self.source, Strips) else 1


def _unplaced(tensor: Tensor | Strips | WeightTensor) -> Tensor | Strips | WeightTensor:
    return replace(tensor, name="", address=0)
