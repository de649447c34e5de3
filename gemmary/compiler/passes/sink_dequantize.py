"""Dequantization moves behind what only moves numbers, and so do the scales of constant weights.

``transpose(dequantize(x))`` becomes ``dequantize(transpose(x))``; of constants the transposed array is computed here. A concat of
int8 tensors that is quantized again has its parts requantized (tables) first.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from ..ir.base import integer
from ..ir.dialect import GraphContext
from ..ir.edges import Dequantize, Quantize, Scale
from ..ir.shapes import Concat, Reshape, Transpose
from ..ir.types import element_of, quantization, shape_of, tensor_type
from .matching import insert, only_user, operations, replace, weights_of


@dataclass(frozen=True)
class SinkDequantize(ModulePass):
    name = "sink-dequantize"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in operations(op, Reshape, Transpose):
            if isinstance(each.input.owner, Dequantize):
                self._sink(each)
            elif isinstance(each, Transpose) and isinstance(each.input.owner, Scale):
                self._fold(ctx, each)
        for each in operations(op, Concat):
            self._concat(each)

    def _sink(self, op: Reshape | Transpose) -> None:
        source = op.input.owner.input
        kind = TensorType(element_of(source), shape_of(op.result))
        moved = type(op).build(operands=[source], result_types=[kind], properties=dict(op.properties))
        real = Dequantize.build(operands=[insert(op, moved)], result_types=[op.result.type])
        replace(op, insert(op, real, op.input.owner.source))

    def _fold(self, ctx: GraphContext, op: Transpose) -> None:
        weights = weights_of(ctx, op.input)
        if weights is None:
            return
        axes = op.permutation.get_values()
        name = f"{op.source or 'weight'}.transposed"
        constant = ctx.constant(name, np.ascontiguousarray(weights.integers.transpose(axes)), op.source)
        operands = [insert(op, constant), op.input.owner.scales]
        axis = {"axis": integer(axes.index(weights.axis))}
        replace(op, insert(op, Scale.build(operands=operands, result_types=[op.result.type], properties=axis)))

    def _concat(self, op: Concat) -> None:
        quantize = only_user(op.result)
        sources = [value.owner for value in op.inputs]
        if not isinstance(quantize, Quantize) or not all(isinstance(each, Dequantize) for each in sources):
            return
        q = quantization(quantize.result)

        def part(value: SSAValue) -> SSAValue:
            same = Quantize.build(operands=[value], result_types=[tensor_type(shape_of(value), q)])
            return insert(op, same)

        joined = Concat.build(
            operands=[[part(value) for value in op.inputs]],
            result_types=[quantize.result.type],
            properties=dict(op.properties),
        )
        value = insert(op, joined)
        replace(quantize, value)
