"""Softmax and layer normalisation over the last axis: computed wide, quantized once at the end.

Until the vector engine can do them they run on the host: in float64 on what the int8 numbers stand for, rounded half to even
to the result's quantization.
"""

from xdsl.dialects.builtin import FloatAttr, TensorType
from xdsl.irdl import ParsePropInAttrDict, irdl_op_definition, operand_def, prop_def, result_def

from .base import GraphOperation
from .types import element_of, f32, shape_of


@irdl_op_definition
class Softmax(GraphOperation):
    """``exp(x) / sum(exp(x))`` over the last axis."""

    name = "graph.softmax"
    input = operand_def(TensorType)
    result = result_def(TensorType)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$input attr-dict `:` type($input) `->` type($result)"

    def verify_(self) -> None:
        self.check_values()
        self.check_quantized("input", "result")
        self.check_shape("result", shape_of(self.input))


@irdl_op_definition
class LayerNorm(GraphOperation):
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
        self.check_values()
        self.check_quantized("input", "result")
        self.check_shape("result", shape_of(self.input))
        channels = shape_of(self.input)[-1:]
        for name in ("gamma", "beta"):
            self.check(element_of(getattr(self, name)) == f32, f"{name} must be of f32")
            self.check_shape(name, channels)
