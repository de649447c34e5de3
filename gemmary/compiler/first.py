"""First convolutions: few input channels, and an input whose layout in external memory is free. Which mapping is best?"""

from math import inf

import numpy as np

from ..config import Config
from ..isa import DType
from ..performance.model import Timing
from .contraction import Contraction
from .layout import Layout
from .lowering import Known, lower_contraction
from .pooled import Pool
from .requantization import Requantization
from .row_packed import compile_packed, plan_packed
from .strips import Strips
from .tensor import Tensor
from .tiled import Tiled
from .tiling import estimated_cycles
from .weights import WeightTensor
from .window import Window

MAX_SHARE = 8
"""Windows of a run, at most."""


def compile_first(
    config: Config,
    layout: Layout,
    source: str,
    window: Window,
    weights: np.ndarray,
    requantization: Requantization,
    result: Tensor,
    outside: int,
    timing: Timing | None = None,
    known: Known | None = None,
    pool: Window | None = None,
) -> tuple[Tiled, ...] | None:
    """Places input ``source`` of the program and the weights ``[kh, kw, cin, cout]``, and returns the layer, tiled.

    ``outside`` is what padding reads, ``pool`` the window of a max pool in the drain. None, and nothing is placed, where neither mapping gains anything or fits. Of row packing
    (shifted kernels, several outputs a word) and strips (a window is a run of words) the one with fewer estimated cycles.
    """
    (channels, outputs), timing = weights.shape[2:], timing or Timing(config)
    packed = plan_packed(config, window, channels, outputs, pool) if result.dtype == DType.INT8 else None
    least, strips = _best_strips(timing, source, window, weights, requantization, result, outside, pool)
    if strips and not (packed and packed[0] <= least):
        weight = strips.weights(weights, config.columns)
        placed, tiles = layout.place(strips), layout.weights("weights", weight.shape, weight)
        addresses = layout.requantization(requantization, outputs)
        operands = placed, tiles, result, strips.outputs, requantization, *addresses, outside
        drained = pool and Pool.of(pool, strips.share)
        return lower_contraction(config, Contraction(*operands, pool=drained), timing=timing, known=known)
    if packed:
        return compile_packed(config, layout, packed[1], source, window, weights, requantization, result, outside)
    return None


def _best_strips(
    timing: Timing,
    source: str,
    window: Window,
    weights: np.ndarray,
    requantization: Requantization,
    result: Tensor,
    outside: int,
    pool: Window | None,
) -> tuple[float, Strips | None]:
    """Estimated cycles, and the strips with so many windows a run that they are fewest; None where none fit."""
    config, channels = timing.config, weights.shape[2]
    if not Strips.worth(config, window, channels):
        return inf, None
    shape = (window.images, window.height, window.width, channels)
    every = [Strips(source, shape, window, outside, 0, config.rows, share) for share in range(1, MAX_SHARE + 1)]
    best = inf, None
    for strips in every if result.dtype == DType.INT8 else every[:1]:
        drained = pool and Pool.of(pool, strips.share)
        if not strips.fits() or (pool and not drained):
            continue
        tiles = WeightTensor("weights", strips.weights(weights, config.columns).shape, 0, config.rows, config.columns)
        contraction = Contraction(strips, tiles, result, strips.outputs, requantization, 0, None, outside, pool=drained)
        cycles = estimated_cycles(timing, contraction)
        if cycles is not None and cycles < best[0]:
            best = cycles, strips
    return best
