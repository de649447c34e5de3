"""What happens behind sums, from operators of the graph level."""

from math import prod

import numpy as np

from ...isa import DType
from ..ir.contractions import Conv2D, MatMul
from ..ir.dialect import GraphContext
from ..ir.types import quantization
from ..ir.vector import AveragePool
from ..requantization import Requantization, ResidualOperand
from ..scales import mantissa_and_shift
from ..tensor import Tensor
from ..weights import folded_bias
from ..window import Window


def bias_of(context: GraphContext, op: Conv2D | MatMul, weight: np.ndarray) -> np.ndarray:
    """With the input's zero point folded in."""
    bias = np.zeros(weight.shape[-1], np.int32) if op.bias is None else context.array(op.bias)
    return folded_bias(weight, bias, quantization(op.input).zero_point.data)


def drain_of(
    context: GraphContext, op: Conv2D | MatMul, bias, residual: Tensor | None, channels: slice = slice(None)
) -> Requantization:
    """``bias`` is an int, or the array of all channels, of which ``channels`` are taken; ``residual`` is where the operand lies."""
    each = np.ndim(bias) > 0
    sums = np.asarray(bias)[channels] if each else bias
    if op.scale is None:
        return Requantization(DType.INT32, sums)
    mantissa, shift = mantissa_and_shift(context.array(op.scale))
    if each:
        mantissa, shift = (np.broadcast_to(array, np.shape(bias))[channels] for array in (mantissa, shift))
    else:
        mantissa, shift = int(mantissa[0]), int(shift[0])
    operand = None
    if op.residual is not None:
        m, s = mantissa_and_shift(op.residual_scale.value.data)
        operand = ResidualOperand(residual, quantization(op.residual).zero_point.data, int(m), int(s))
    return Requantization(
        DType.INT8, sums, mantissa, shift, op.drain_zero_point, op.low.value.data, op.high.value.data,
        operand, None if op.table is None else context.array(op.table),
    )  # fmt: skip


def average_of(op: AveragePool) -> Requantization:
    """Behind the sum of a window."""
    zero, q = quantization(op.input).zero_point.data, quantization(op.result)
    mantissa, shift = mantissa_and_shift(op.scale.value.data)
    clip = q.zero_point.data, op.low.value.data, op.high.value.data
    return Requantization(DType.INT8, -zero * prod(op.window.get_values()), int(mantissa), int(shift), *clip)


def pool_of(op: Conv2D) -> Window | None:
    """The window of the max pool behind it."""
    if op.pool is None:
        return None
    top, bottom, left, right = op.pool_padding.get_values()
    size = op.pool.get_values(), op.pool_strides.get_values()
    return Window(*op.unpooled_shape[:3], *size, padding=((top, bottom), (left, right)))
