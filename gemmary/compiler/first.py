"""First convolutions: few input channels, and an input whose layout in external memory is free. Which mapping is best?"""

import numpy as np

from ..config import Config
from ..isa import DType
from ..performance.model import Timing
from .contraction import Contraction
from .layout import Layout
from .lowering import lower_contraction
from .requantization import Requantization
from .row_packed import compile_packed, plan_packed
from .runs import Run
from .strips import Strips
from .tensor import Tensor
from .tiling import estimated_cycles
from .weights import WeightTensor
from .window import Window


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
) -> tuple[Run, ...] | None:
    """Places input ``source`` of the program and the weights ``[kh, kw, cin, cout]``, and returns the layer's runs.

    ``outside`` is what padding reads. None, and nothing is placed, where neither mapping gains anything or fits. Of row packing
    (shifted kernels, several outputs a word) and strips (a window is a run of words) the one with fewer estimated cycles.
    """
    (channels, outputs), timing = weights.shape[2:], timing or Timing(config)
    packed = plan_packed(config, window, channels, outputs) if result.dtype == DType.INT8 else None
    strips = None
    if Strips.worth(config, window, channels):
        shape = (window.images, window.height, window.width, channels)
        strips = Strips(source, shape, window, outside, 0, config.rows)
        weight = strips.weights(weights)
        tiles = WeightTensor("weights", weight.shape, 0, config.rows, config.columns)
        contraction = Contraction(strips, tiles, result, strips.outputs, requantization, 0, None, outside)
        cycles = estimated_cycles(timing, contraction)
        if cycles is None or packed and packed[0] <= cycles:
            strips = None
    if strips:
        placed, tiles = layout.strips(source, shape, window, outside), layout.weights("weights", weight.shape, weight)
        addresses = layout.requantization(requantization, outputs)
        operands = placed, tiles, result, strips.outputs, requantization, *addresses, outside
        return lower_contraction(config, Contraction(*operands), timing=timing)
    if packed:
        return compile_packed(config, layout, packed[1], source, window, weights, requantization, result, outside)
    return None
