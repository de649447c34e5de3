"""A max pool goes into the drain of the convolution before it, exactly: the largest of rounded sums is the largest sum, rounded.

That holds where what follows the sum never falls as it grows: the scale and the clip always, a table only if its entries do; and
where sum and bias stay within int32. It does not hold with a residual, which differs from position to position. An average would
be rounded once instead of twice.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..ir.contractions import Conv2D
from ..ir.dialect import GraphContext
from ..ir.types import quantization, tensor_type
from ..ir.vector import MaxPool
from .matching import insert, only_user, operations, replace

SUMS = 1 << 31


@dataclass(frozen=True)
class FusePools(ModulePass):
    name = "fuse-pools"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for pool in operations(op, MaxPool):
            conv = pool.input.owner
            if isinstance(conv, Conv2D) and only_user(conv.result) is pool and _is_exact(ctx, conv, pool):
                _fuse(conv, pool)


def _is_exact(ctx: GraphContext, conv: Conv2D, pool: MaxPool) -> bool:
    if conv.pool is not None or conv.residual is not None or conv.groups.value.data > 1:
        return False
    (kh, kw), padding = pool.window.get_values(), pool.padding.get_values()
    sees_all = max(padding[:2]) < kh and max(padding[2:]) < kw  # else a window is nothing but padding: −128
    return sees_all and _never_falls(ctx, conv) and _fits_sums(ctx, conv)


def _never_falls(ctx: GraphContext, conv: Conv2D) -> bool:
    """The int8 result, as the sum grows."""
    if conv.table is None:
        return True
    entries, low, high = ctx.array(conv.table), conv.low.value.data + 128, conv.high.value.data + 128
    return entries is not None and bool((np.diff(entries[low : high + 1].astype(int)) >= 0).all())


def _fits_sums(ctx: GraphContext, conv: Conv2D) -> bool:
    """Whether no input makes sum, or sum and bias, wrap around."""
    weight, zero = ctx.array(conv.weight), quantization(conv.input).zero_point.data
    if weight is None:
        return False
    bias = 0 if conv.bias is None else np.abs(ctx.array(conv.bias).astype(np.int64))
    total = np.abs(weight.astype(np.int64)).sum(axis=(0, 1, 2))
    return bool((total * 128 < SUMS).all() and (total * max(127 - zero, 128 + zero) + bias < SUMS).all())


ORIGINS = {"source": ("source", "pool_source"), "tensor": ("convolution_tensor", "tensor")}
"""Attributes of a convolution and of its pool: under these names the fused operator has both."""


def _fuse(conv: Conv2D, pool: MaxPool) -> None:
    geometry = {"pool": pool.window, "pool_strides": pool.strides, "pool_padding": pool.padding}
    attributes = {}
    for name, places in ORIGINS.items():
        attributes |= {place: op.attributes[name] for place, op in zip(places, (conv, pool)) if name in op.attributes}
    fused = _convolution(conv, pool.result.type, dict(conv.properties) | geometry, attributes)
    replace(pool, insert(pool, fused))
    Rewriter.erase_op(conv)


def split(op: Conv2D) -> None:
    """The way back, for a machine that gains nothing: the convolution, and its pool behind it."""
    origins = [{}, {}]
    for name, places in ORIGINS.items():
        for attributes, place in zip(origins, places):
            attributes |= {name: op.attributes[place]} if place in op.attributes else {}
    geometry = {"window": op.pool, "strides": op.pool_strides, "padding": op.pool_padding}
    properties = {name: value for name, value in op.properties.items() if not name.startswith("pool")}
    sums = tensor_type(op.unpooled_shape, quantization(op.result))
    value = insert(op, _convolution(op, sums, properties, origins[0]))
    pool = MaxPool.build(operands=[value], result_types=[op.result.type], properties=geometry, attributes=origins[1])
    replace(op, insert(op, pool))


def _convolution(op: Conv2D, result: TensorType, properties: dict, attributes: dict) -> Conv2D:
    properties.pop("operandSegmentSizes", None)
    optional = [[value] if value is not None else [] for value in (op.bias, op.scale, op.residual, op.table)]
    operands = [op.input, op.weight, *optional]
    return Conv2D.build(operands=operands, result_types=[result], properties=properties, attributes=attributes)
