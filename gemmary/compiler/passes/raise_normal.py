"""Softmax and LayerNormalization between dequantized and quantized int8 become ``graph.softmax`` and ``graph.layer_norm``."""

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ..ir.base import real
from ..ir.dialect import GraphContext
from ..ir.edges import Dequantize, Float, Quantize
from ..ir.normal import LayerNorm, Softmax
from ..ir.types import element_of, shape_of
from .matching import floats, insert, only_user, options, replace


@dataclass(frozen=True)
class RaiseNormal(ModulePass):
    name = "raise-normal"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in floats(op, "Softmax", "LayerNormalization"):
            quantize, source = only_user(each.results[0]), each.inputs[0].owner
            if isinstance(quantize, Quantize) and isinstance(source, Dequantize) and _last_axis(each):
                self._raise(each, quantize)

    def _raise(self, op: Float, quantize: Quantize) -> None:
        operands, kind, properties = [op.inputs[0].owner.input], Softmax, {}
        if op.kind.data == "LayerNormalization":
            if len(op.inputs) != 3 or any(str(element_of(value)) != "f32" for value in op.inputs[1:]):
                return
            if any(shape_of(value) != shape_of(op.inputs[0])[-1:] for value in op.inputs[1:]):
                return
            operands, kind = [operands[0], *op.inputs[1:]], LayerNorm
            properties = {"epsilon": real(options(op).get("epsilon", 1e-5))}
        raised = kind.build(operands=operands, result_types=[quantize.result.type], properties=properties)
        replace(quantize, insert(quantize, raised, op.source))


def _last_axis(op: Float) -> bool:
    rank = len(shape_of(op.inputs[0]))
    return options(op).get("axis", -1) % rank == rank - 1
