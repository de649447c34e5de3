"""Softmax and LayerNormalization over the last axis become ``graph.softmax`` and ``graph.layer_norm``.

They take the dequantization in front of them and the quantization behind them, if those are there: what is wide stays wide.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from ..ir.base import real
from ..ir.dialect import GraphContext
from ..ir.edges import Dequantize, Float, Quantize
from ..ir.normal import LayerNorm, Softmax
from ..ir.types import element_of, f32, shape_of
from .matching import floats, insert, only_user, options, replace


@dataclass(frozen=True)
class RaiseNormal(ModulePass):
    name = "raise-normal"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in floats(op, "Softmax", "LayerNormalization"):
            if len(each.results) == 1 and element_of(each.inputs[0]) == f32 and _last_axis(each):
                self._raise(ctx, each)

    def _raise(self, ctx: GraphContext, op: Float) -> None:
        parameters, kind, properties = [], Softmax, {}
        if op.kind.data == "LayerNormalization":
            channels = shape_of(op.inputs[0])[-1:]
            if any(shape_of(value) != channels or element_of(value) != f32 for value in op.inputs[1:]):
                return
            kind, properties = LayerNorm, {"epsilon": real(options(op).get("epsilon", 1e-5))}
            parameters = list(op.inputs[1:])
            if len(parameters) == 1:
                zeros = ctx.constant(f"{op.source}.beta", np.zeros(channels, np.float32))
                parameters.append(insert(op, zeros, op.source))
        source, quantize = op.inputs[0].owner, only_user(op.results[0])
        value: SSAValue = source.input if isinstance(source, Dequantize) else op.inputs[0]
        last = quantize if isinstance(quantize, Quantize) else op
        raised = kind.build(operands=[value, *parameters], result_types=[last.results[0].type], properties=properties)
        replace(last, insert(last, raised, op.source))


def _last_axis(op: Float) -> bool:
    rank = len(shape_of(op.inputs[0]))
    return options(op).get("axis", -1) % rank == rank - 1
