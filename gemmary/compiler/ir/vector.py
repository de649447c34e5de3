"""Operators without sums of products: pools, add, table. All round once, half to even (docs/numerics.md)."""

from xdsl.dialects.builtin import DenseArrayBase, FloatAttr, IntegerAttr, TensorType, i8
from xdsl.irdl import ParsePropInAttrDict, irdl_op_definition, operand_def, prop_def, result_def

from .base import HIGH, LOW, NO_PADDING, GraphOperation, positions
from .types import element_of, quantization, shape_of

_UNARY = "$input attr-dict `:` type($input) `->` type($result)"


class Pool(GraphOperation):
    """A window over ``[n, h, w, channels]``; ``padding`` is top, bottom, left, right."""

    def check_pool(self) -> None:
        self.check_values()
        self.check_quantized("input", "result")
        shape = shape_of(self.input)
        self.check(len(shape) == 4, "input must be [n, h, w, channels]")
        numbers = [n.get_values() for n in (self.window, self.strides, self.padding)]
        self.check([len(n) for n in numbers] == [2, 2, 4], "window and strides take 2 numbers, padding 4")
        self.check(min(*numbers[0], *numbers[1]) >= 1, "window and strides must be at least 1")
        self.check(min(numbers[2]) >= 0, "padding must not be negative")
        self.check_shape("result", (shape[0], *positions(shape[1:3], *numbers), shape[3]))


@irdl_op_definition
class MaxPool(Pool):
    """Maximum over a window; padding never wins, and the quantization stays."""

    name = "graph.max_pool"
    input = operand_def(TensorType)
    result = result_def(TensorType)
    window = prop_def(DenseArrayBase)
    strides = prop_def(DenseArrayBase)
    padding = prop_def(DenseArrayBase, default_value=NO_PADDING)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = _UNARY

    def verify_(self) -> None:
        self.check_pool()
        self.check(quantization(self.input) == quantization(self.result), "a max pool cannot change the quantization")


@irdl_op_definition
class AveragePool(Pool):
    """Mean over a window, padding included (as the value 0). ``scale``: input scale / (window size · output scale)."""

    name = "graph.average_pool"
    input = operand_def(TensorType)
    result = result_def(TensorType)
    window = prop_def(DenseArrayBase)
    strides = prop_def(DenseArrayBase)
    padding = prop_def(DenseArrayBase, default_value=NO_PADDING)
    scale = prop_def(FloatAttr)
    low = prop_def(IntegerAttr, default_value=LOW)
    high = prop_def(IntegerAttr, default_value=HIGH)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = _UNARY

    def verify_(self) -> None:
        self.check_pool()
        self.check_clip()


@irdl_op_definition
class Add(GraphOperation):
    """Sum of two tensors of one shape, each times its scale (its own over the result's), rounded once."""

    name = "graph.add"
    left = operand_def(TensorType)
    right = operand_def(TensorType)
    result = result_def(TensorType)
    left_scale = prop_def(FloatAttr)
    right_scale = prop_def(FloatAttr)
    low = prop_def(IntegerAttr, default_value=LOW)
    high = prop_def(IntegerAttr, default_value=HIGH)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$left `,` $right attr-dict `:` type($left) `,` type($right) `->` type($result)"

    def verify_(self) -> None:
        self.check_values()
        self.check_quantized("left", "right", "result")
        self.check_shape("left", shape_of(self.result))
        self.check_shape("right", shape_of(self.result))
        self.check_clip()


@irdl_op_definition
class Table(GraphOperation):
    """Any function of one int8: ``table[q + 128]``, a constant ``tensor<256xi8>``."""

    name = "graph.table"
    input = operand_def(TensorType)
    table = operand_def(TensorType)
    result = result_def(TensorType)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$input `,` $table attr-dict `:` type($input) `,` type($table) `->` type($result)"

    def verify_(self) -> None:
        self.check_values()
        self.check_quantized("input", "result")
        self.check_shape("result", shape_of(self.input))
        self.check(element_of(self.table) == i8 and shape_of(self.table) == (256,), "table must be tensor<256xi8>")
