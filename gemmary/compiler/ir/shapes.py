"""Operators that move numbers and change none: reshape, transpose, concat. Of any element, the same on both sides."""

from math import prod

from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, TensorType
from xdsl.irdl import ParsePropInAttrDict, irdl_op_definition, operand_def, prop_def, result_def, var_operand_def

from .base import GraphOperation
from .types import element_of, shape_of


@irdl_op_definition
class Reshape(GraphOperation):
    """The same numbers in the same order, in another shape."""

    name = "graph.reshape"
    input = operand_def(TensorType)
    result = result_def(TensorType)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$input attr-dict `:` type($input) `->` type($result)"

    def verify_(self) -> None:
        self.check_values()
        self.check(element_of(self.input) == element_of(self.result), "a reshape cannot change the element")
        sizes = list(shape_of(self.input)), list(shape_of(self.result))
        self.check(prod(sizes[0]) == prod(sizes[1]), f"{sizes[0]} and {sizes[1]} have different sizes")


@irdl_op_definition
class Transpose(GraphOperation):
    """Axis i of the result is axis ``permutation[i]`` of the input."""

    name = "graph.transpose"
    input = operand_def(TensorType)
    result = result_def(TensorType)
    permutation = prop_def(DenseArrayBase)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$input attr-dict `:` type($input) `->` type($result)"

    def verify_(self) -> None:
        self.check_values()
        self.check(element_of(self.input) == element_of(self.result), "a transpose cannot change the element")
        shape, axes = shape_of(self.input), self.permutation.get_values()
        self.check(sorted(axes) == list(range(len(shape))), f"{list(axes)} is no permutation of {len(shape)} axes")
        self.check_shape("result", [shape[axis] for axis in axes])


@irdl_op_definition
class Concat(GraphOperation):
    """Tensors one behind the other along ``axis``."""

    name = "graph.concat"
    inputs = var_operand_def(TensorType)
    result = result_def(TensorType)
    axis = prop_def(IntegerAttr)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$inputs attr-dict `:` functional-type($inputs, $result)"

    def verify_(self) -> None:
        self.check_values()
        self.check(len(self.inputs) > 0, "inputs must not be empty")
        axis, result = self.axis.value.data, list(shape_of(self.result))
        self.check(0 <= axis < len(result), f"axis must be 0 to {len(result) - 1}, not {axis}")
        total = 0
        for value in self.inputs:
            shape = list(shape_of(value))
            self.check(element_of(value) == element_of(self.result), "a concat cannot change the element")
            others = [n for i, n in enumerate(shape) if i != axis]
            self.check(others == result[:axis] + result[axis + 1 :], f"{shape} does not fit into {result}")
            total += shape[axis]
        self.check(total == result[axis], f"inputs have {total} along axis {axis}, the result {result[axis]}")
