"""Softmax and layer normalisation over the last axis, of int8 numbers or of wide ones.

The vector engine cannot do them: they run on the host, in float64 on what the input stands for. The result is rounded once, to
float32 or half to even to its quantization: docs/numerics.md.
"""

from xdsl.dialects.builtin import FloatAttr, TensorType
from xdsl.irdl import ParsePropInAttrDict, irdl_op_definition, operand_def, prop_def, result_def

from .base import GraphOperation
from .types import element_of, f32, quantization, shape_of


class Normal(GraphOperation):
    """Each side is of ``!graph.q`` or of ``f32``."""

    def check_normal(self) -> None:
        self.check_values()
        for name in ("input", "result"):
            value = getattr(self, name)
            known = quantization(value) is not None or element_of(value) == f32
            self.check(known, f"{name} must be a tensor of !graph.q or f32")
        self.check_shape("result", shape_of(self.input))


@irdl_op_definition
class Softmax(Normal):
    """``exp(x) / sum(exp(x))`` over the last axis."""

    name = "graph.softmax"
    input = operand_def(TensorType)
    result = result_def(TensorType)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$input attr-dict `:` type($input) `->` type($result)"

    def verify_(self) -> None:
        self.check_normal()


@irdl_op_definition
class LayerNorm(Normal):
    """``(x − mean) / sqrt(variance + epsilon) · gamma + beta`` over the last axis; gamma and beta are float32."""

    name = "graph.layer_norm"
    input = operand_def(TensorType)
    gamma = operand_def(TensorType)
    beta = operand_def(TensorType)
    result = result_def(TensorType)
    epsilon = prop_def(FloatAttr)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = (
        "$input `,` $gamma `,` $beta attr-dict `:` type($input) `,` type($gamma) `,` type($beta) `->` type($result)"
    )

    def verify_(self) -> None:
        self.check_normal()
        channels = shape_of(self.input)[-1:]
        for name in ("gamma", "beta"):
            self.check(element_of(getattr(self, name)) == f32, f"{name} must be of f32")
            self.check_shape(name, channels)
