"""Add of two dequantized int8 tensors of one shape becomes ``graph.add``: both scaled and summed exactly, rounded once.

A constant int8 operand, such as the bias of a matrix product that is quantized apart, is spread to the whole shape.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from ..ir.base import real
from ..ir.dialect import GraphContext
from ..ir.edges import Dequantize, Float, Reinterpret
from ..ir.numerics import multiplier
from ..ir.types import Quantized, quantization, shape_of, tensor_type
from ..ir.vector import Add
from .matching import Mismatch, ending_of, factor, floats, insert, note, replace, source_of, weights_of


@dataclass(frozen=True)
class RaiseAdds(ModulePass):
    name = "raise-adds"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in floats(op, "Add"):
            try:
                _raise(ctx, each)
            except Mismatch as reason:
                note(each, reason)


def _operand(ctx: GraphContext, op: Float, value: SSAValue) -> SSAValue:
    weights = weights_of(ctx, value)
    if weights is None or weights.scales.size > 1:
        if not isinstance(value.owner, Dequantize) and ctx.array(value) is None:
            raise Mismatch("an operand is wide, and the vector engine adds int8 numbers only")
        return source_of(value, "an operand")
    least, most = int(weights.integers.min()), int(weights.integers.max())
    zero = max(-128, min(127, -128 - least))  # whatever it was, with this one they are int8
    if most + zero > 127:
        raise Mismatch("a constant operand does not fit int8")
    shape = shape_of(op.results[0])
    array = np.broadcast_to((weights.integers.astype(np.int32) + zero).astype(np.int8), shape)
    constant = insert(op, ctx.constant(f"{op.source}.constant", np.ascontiguousarray(array)))
    kind = tensor_type(shape, Quantized(float(weights.scales[0]), zero))
    return insert(op, Reinterpret.build(operands=[constant], result_types=[kind]))


def _raise(ctx: GraphContext, op: Float) -> None:
    left, right = (_operand(ctx, op, value) for value in op.inputs)
    if shape_of(left) != shape_of(right):
        raise Mismatch("the operands have different shapes")
    ending = ending_of(ctx, op.results[0])
    if ending is None:
        raise Mismatch("the result is not quantized")
    scales = [float(factor(quantization(value).scale.data, ending.type.scale.data)) for value in (left, right)]
    if abs(multiplier(scales[0])[1] - multiplier(scales[1])[1]) > 31:
        raise Mismatch("the operands' scales differ by more than 2^31")
    properties = ending.clip | {"left_scale": real(scales[0]), "right_scale": real(scales[1])}
    add = Add.build(operands=[left, right], result_types=[ending.quantize.result.type], properties=properties)
    replace(ending.quantize, insert(ending.quantize, add, op.source))
