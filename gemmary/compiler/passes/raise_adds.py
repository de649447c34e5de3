"""Add of two dequantized int8 tensors of one shape becomes ``graph.add``: both scaled and summed exactly, rounded once."""

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ..ir.base import real
from ..ir.dialect import GraphContext
from ..ir.edges import Float
from ..ir.numerics import multiplier
from ..ir.types import quantization, shape_of
from ..ir.vector import Add
from .matching import Mismatch, ending_of, factor, floats, insert, note, replace, source_of


@dataclass(frozen=True)
class RaiseAdds(ModulePass):
    name = "raise-adds"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in floats(op, "Add"):
            try:
                _raise(ctx, each)
            except Mismatch as reason:
                note(each, reason)


def _raise(ctx: GraphContext, op: Float) -> None:
    left, right = (source_of(value, "an operand") for value in op.inputs)
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
