"""BatchNormalization behind Conv or Gemm goes into their weights and bias: float ones, or the scales of int8 ones.

``((x · w + b) − mean) · g + beta`` with ``g = gamma / sqrt(variance + epsilon)`` is ``x · (w · g) + ((b − mean) · g + beta)``. Where g is
negative the integers change their sign: a channel with a −128 keeps its normalisation, as does what other operators read.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from ..ir.base import integer, ints
from ..ir.dialect import GraphContext
from ..ir.edges import Float, Scale
from ..ir.types import element_of, f32, tensor_type
from .dead_code import DeadCode
from .matching import floats, insert, only_user, options, real_constant, replace, weights_of


@dataclass(frozen=True)
class FoldBatchNorm(ModulePass):
    name = "fold-batch-norm"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in floats(op, "BatchNormalization"):
            _fold(ctx, each)
        DeadCode().apply(ctx, op)


def _fold(ctx: GraphContext, op: Float) -> None:
    producer, numbers = op.inputs[0].owner, [real_constant(ctx, value) for value in op.inputs[1:]]
    if any(each is None for each in numbers) or len(op.results) > 1 or only_user(op.inputs[0]) is not op:
        return
    if not isinstance(producer, Float) or producer.domain.data or producer.kind.data not in ("Conv", "Gemm"):
        return
    given = options(producer)
    if given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0:
        return
    gamma, beta, mean, variance = (each.astype(np.float64) for each in numbers)
    gain = gamma / np.sqrt(variance + options(op).get("epsilon", 1e-5))
    bias = real_constant(ctx, producer.inputs[2]) if len(producer.inputs) > 2 else np.zeros(gain.shape)
    axis = 0 if producer.kind.data == "Conv" or given.get("transB", 0) else 1
    weights = _weights(ctx, op, producer, gain, axis)
    if weights is None or bias is None or bias.size not in (1, gain.size):
        return
    shift = (np.broadcast_to(bias.reshape(-1), gain.shape) - mean) * gain + beta
    added = insert(op, ctx.constant(f"{producer.source}.folded_bias", shift.astype(np.float32)), producer.source)
    properties = {"kind": producer.kind, "options": producer.options, "absent": ints([]), "domain": StringAttr("")}
    folded = Float.build(
        operands=[[producer.inputs[0], weights, added]], result_types=[[op.results[0].type]], properties=properties
    )
    replace(op, insert(op, folded, producer.source))


def _weights(ctx: GraphContext, op: Float, producer: Float, gain: np.ndarray, axis: int) -> SSAValue | None:
    """The weights times ``gain`` along ``axis``; None where they are not constant, or int8 that cannot be negated."""
    value, name = producer.inputs[1], producer.source
    shape = [-1 if i == axis else 1 for i in range(len(value.type.get_shape()))]
    array, weights = ctx.array(value), weights_of(ctx, value)
    if array is not None and element_of(value) == f32:
        product = (array * gain.reshape(shape)).astype(np.float32)
        return insert(op, ctx.constant(f"{name}.folded", product), name)
    if weights is None or weights.scales.size > 1 and weights.axis != axis:
        return None
    integers = weights.integers * np.sign(gain).astype(np.int32).reshape(shape)
    if weights.integers.dtype == np.int8 and integers.max(initial=0) > 127:
        return None
    scales = np.broadcast_to(weights.scales, gain.shape) * np.where(gain == 0, 1, np.abs(gain))
    parts = integers.astype(weights.integers.dtype), scales.astype(np.float32)
    operands = [insert(op, ctx.constant(f"{name}.folded{i}", part), name) for i, part in enumerate(parts)]
    kind = tensor_type(integers.shape, np.float32)
    return insert(op, Scale.build(operands=operands, result_types=[kind], properties={"axis": integer(axis)}), name)
