"""Operators at the edges of what the machine computes: constants, quantization, and float operators of the model."""

import numpy as np
from xdsl.dialects.builtin import (
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    UnitAttr,
    i8,
    i32,
)
from xdsl.irdl import (
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    var_operand_def,
    var_result_def,
)

from .base import GraphOperation, ints
from .types import element_of, f32, is_float, quantization, shape_of, ui8

_UNARY = "$input attr-dict `:` type($input) `->` type($result)"


@irdl_op_definition
class Constant(GraphOperation):
    """An array: ``value`` in the text, or the ``resource`` of this name that lies beside the text."""

    name = "graph.constant"
    result = result_def(TensorType)
    value = opt_prop_def(DenseIntOrFPElementsAttr)
    resource = opt_prop_def(StringAttr)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "attr-dict `:` type($result)"

    def verify_(self) -> None:
        self.check_values()
        self.check((self.value is None) != (self.resource is None), "give a value or the name of a resource")
        if self.value is not None:
            sizes = list(self.value.type.get_shape()), list(shape_of(self.result))
            self.check(sizes[0] == sizes[1], f"value has the shape {sizes[0]}, the result {sizes[1]}")


@irdl_op_definition
class Quantize(GraphOperation):
    """Float to ``!graph.q``: ``x / scale`` in float32, rounded half to even, plus the zero point, saturated."""

    name = "graph.quantize"
    input = operand_def(TensorType)
    result = result_def(TensorType)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = _UNARY

    def verify_(self) -> None:
        self.check_values()
        self.check(is_float(self.input), "input must be of f32")
        self.check_quantized("result")
        self.check_shape("result", shape_of(self.input))


@irdl_op_definition
class Dequantize(GraphOperation):
    """``!graph.q`` to float: ``(q − zero_point) · scale`` in float32."""

    name = "graph.dequantize"
    input = operand_def(TensorType)
    result = result_def(TensorType)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = _UNARY

    def verify_(self) -> None:
        self.check_values()
        self.check_quantized("input")
        self.check(is_float(self.result), "result must be of f32")
        self.check_shape("result", shape_of(self.input))


@irdl_op_definition
class Observe(GraphOperation):
    """A float value that is to be quantized, as it is; ``low`` … ``high`` is its range once calibration knows it. ``symmetric``:
    its zero point must be 0."""

    name = "graph.observe"
    input = operand_def(TensorType)
    result = result_def(TensorType)
    low = opt_prop_def(FloatAttr)
    high = opt_prop_def(FloatAttr)
    symmetric = opt_prop_def(UnitAttr)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = _UNARY

    def verify_(self) -> None:
        self.check_values()
        self.check(element_of(self.input) == f32, "input must be of f32")
        self.check(element_of(self.result) == f32, "result must be of f32")
        self.check_shape("result", shape_of(self.input))
        self.check((self.low is None) == (self.high is None), "low and high belong together")
        if self.low is not None:
            low, high = self.low.value.data, self.high.value.data
            self.check(
                -np.inf < low <= high < np.inf, f"low and high must be finite and in order, not {low} and {high}"
            )


@irdl_op_definition
class Scale(GraphOperation):
    """Plain integers times a float32 for each index of ``axis`` (``scales`` has one number, or as many as the axis): weights
    and biases as the model's float operators read them, and int32 sums that leave for them."""

    name = "graph.scale"
    input = operand_def(TensorType)
    scales = operand_def(TensorType)
    result = result_def(TensorType)
    axis = prop_def(IntegerAttr)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$input `,` $scales attr-dict `:` type($input) `,` type($scales) `->` type($result)"

    def verify_(self) -> None:
        self.check_values()
        self.check(element_of(self.input) in (i8, i32), "input must be of i8 or i32")
        self.check(element_of(self.scales) == f32 and is_float(self.result), "scales and result must be of f32")
        shape, axis = shape_of(self.input), self.axis.value.data
        self.check(0 <= axis < max(1, len(shape)), f"axis must be below {len(shape)}, not {axis}")
        sizes = [(1,), (shape[axis],)] if shape else [(1,)]
        self.check(shape_of(self.scales) in sizes, f"scales must have the shape [1] or that of axis {axis}")
        self.check_shape("result", shape)


@irdl_op_definition
class Reinterpret(GraphOperation):
    """Plain ``i8`` or ``ui8`` at the edge of a model as ``!graph.q``, or back: the same number, less 128 for ``ui8``."""

    name = "graph.reinterpret"
    input = operand_def(TensorType)
    result = result_def(TensorType)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = _UNARY

    def verify_(self) -> None:
        self.check_values()
        values = (self.input, self.result)
        plain = [element_of(value) for value in values if quantization(value) is None]
        self.check(len(plain) == 1 and plain[0] in (i8, ui8), "one side must be of i8 or ui8, the other of !graph.q")
        self.check_shape("result", shape_of(self.input))


@irdl_op_definition
class Float(GraphOperation):
    """A float operator as ONNX defines it: ``kind`` is its ONNX name, ``options`` are its attributes. Runs on the host, unless
    a pass raises it to an operator of the machine. ``absent``: places of optional inputs that are left out."""

    name = "graph.float"
    inputs = var_operand_def(TensorType)
    outputs = var_result_def(TensorType)
    kind = prop_def(StringAttr)
    options = prop_def(DictionaryAttr, default_value=DictionaryAttr({}))
    absent = prop_def(DenseArrayBase, default_value=ints([]))
    domain = prop_def(StringAttr, default_value=StringAttr(""))
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$kind `(` $inputs `)` attr-dict `:` functional-type($inputs, $outputs)"

    def verify_(self) -> None:
        self.check_values()
        self.check(len(self.outputs) > 0, "there must be a result")
        self.check(
            not any(quantization(value) for value in (*self.inputs, *self.outputs)),
            "a float operator takes no !graph.q: dequantize it first",
        )
