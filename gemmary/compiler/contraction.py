"""Matrix products and convolutions as the machine sees them."""

from dataclasses import dataclass, replace

from .operands import Operand
from .pooled import Pool
from .requantization import Requantization
from .strips import Strips
from .tensor import Tensor
from .weights import WeightTensor
from .window import Window


@dataclass(frozen=True)
class Contraction:
    """``result = requantize(sum over taps and channels of source · weights)``.

    ``window`` is folded and covers every position of ``source``; outside its images the source reads ``constant``.
    ``parameters`` is the address of the channels' parameters (not used where all channels share them), ``table`` that of the
    table, if there is one. ``diagonal``: each word of the source meets its own tiles only, so ``weights`` has one word of k.

    ``pool``: the result is the max pool of what it would be without. No window of it is nothing but padding; ``window`` is not folded then, and the requantization never falls as a sum grows.
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
    pool: Pool | None = None

    @property
    def outlet(self) -> Window:
        """The window whose outputs leave: jobs are blocks of them."""
        return self.pool.window if self.pool else self.window

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
