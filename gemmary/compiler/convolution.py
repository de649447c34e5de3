"""compile_conv2d: one convolution as a program."""

import numpy as np

from ..config import Config
from ..errors import InputError
from ..isa import DType
from .program import Program
from .single import Single
from .window import Window


def compile_conv2d(
    config: Config,
    shape: tuple[int, int, int, int],
    weights: np.ndarray,
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    bias: np.ndarray | int = 0,
    scale: np.ndarray | float = 1.0,
    input_zero_point: int = 0,
    zero_point: int = 0,
    low: int = -128,
    high: int = 127,
    table: np.ndarray | None = None,
    result: DType = DType.INT8,
) -> Program:
    """``y``, the convolution of ``a``, int8 NHWC of ``shape``, with ``weights``, int8 ``[kh, kw, cin, cout]``.

    ``padding`` is ``((top, bottom), (left, right))``; it reads as ``input_zero_point``. All else is as for compile_matmul.
    InputError for a shape, dtype or value that makes no sense, and for memories that are too small.
    """
    if len(shape) != 4 or min(shape) < 1:
        raise InputError(f"shape must be four positive sizes (images, height, width, channels), not {list(shape)}")
    if not isinstance(weights, np.ndarray) or weights.ndim != 4 or 0 in weights.shape:
        raise InputError("weights must be an array [kh, kw, cin, cout]")
    kh, kw, cin, cout = weights.shape
    if cin != shape[-1]:
        raise InputError(f"weights take {cin} input channels, shape has {shape[-1]}")
    window = Window(*shape[:3], (kh, kw), tuple(stride), tuple(dilation), tuple(map(tuple, padding)))
    single = Single(config, "conv2d", weights.shape, weights, bias, scale, input_zero_point, result)
    requantization = single.requantization(zero_point, low, high, table)
    return single.program(shape, (shape[0], window.out_height, window.out_width, cout), window, requantization)
