"""What the front ends of PyTorch and JAX share: operators of the graph level, one behind the other."""

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import DictionaryAttr, StringAttr, TensorType
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue

from ...errors import InputError
from ..ir import GraphContext, Model, new_model
from ..ir.base import integer, ints
from ..ir.edges import Float
from ..ir.floats import options_of
from ..ir.model import LOCATIONS
from ..ir.shapes import Concat, Reshape, Transpose
from ..ir.types import element_of, numpy_dtype, shape_of, tensor_type

OPSET = 21
"""Of ONNX, for the meaning of float operators."""

ONNX_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float64": 11}
"""ONNX's numbers for dtypes."""


class Builder:
    """Operators get the ``source`` that is current; ``locate`` notes the line of the model's program that a source comes from."""

    def __init__(self):
        self.context, self.block, self.source = GraphContext(), Block(), ""
        self.locations: dict[str, str] = {}

    def locate(self, source: str, location: str | None) -> None:
        """The current source, and its line of code."""
        self.source = source
        if location:
            self.locations.setdefault(source, location)

    def input(self, name: str, shape: Sequence[int], dtype: np.dtype) -> SSAValue:
        try:
            kind = tensor_type(shape, dtype)
        except KeyError:
            raise InputError(f"input {name!r}: dtype {dtype} is not supported: use float32, int8 or uint8") from None
        return self.block.insert_arg(kind, len(self.block.args))

    def add(self, op: Operation) -> SSAValue:
        if self.source:
            op.attributes["source"] = StringAttr(self.source)
        self.block.add_op(op)
        return op.results[0]

    def build(self, kind, operands, result: Attribute, **properties) -> SSAValue:
        return self.add(kind.build(operands=operands, result_types=[result], properties=properties))

    def constant(self, array: np.ndarray, name: str = "") -> SSAValue:
        try:
            return self.add(self.context.constant(name or f"{self.source}.constant", np.asarray(array)))
        except KeyError:
            raise InputError(f"operator {self.source!r}: dtype {array.dtype} is not supported") from None

    def float(self, kind: str, operands: Sequence[SSAValue | None], shape, dtype, **options) -> SSAValue:
        """ONNX's operator ``kind``; operands that are None are left out."""
        absent = ints([i for i, value in enumerate(operands) if value is None])
        properties = {"kind": StringAttr(kind), "options": options_of(options), "absent": absent}
        present = [value for value in operands if value is not None]
        try:
            types = [tensor_type(shape, dtype)]
        except KeyError:
            raise InputError(f"operator {self.source!r} ({kind}): dtype {dtype} is not supported") from None
        return self.add(Float.build(operands=[present], result_types=[types], properties=properties))

    def cast_to(self, value: SSAValue, dtype) -> SSAValue:
        """The value itself where it has the dtype already."""
        dtype = np.dtype(dtype)
        if numpy_dtype(element_of(value)) == dtype:
            return value
        if dtype.name not in ONNX_TYPES:
            raise InputError(f"operator {self.source!r}: dtype {dtype} is not supported")
        return Builder.float(self, "Cast", [value], shape_of(value), dtype, to=ONNX_TYPES[dtype.name])

    def reshape(self, value: SSAValue, shape: Sequence[int]) -> SSAValue:
        if shape_of(value) == tuple(shape):
            return value
        return self.build(Reshape, [value], TensorType(element_of(value), [int(n) for n in shape]))

    def transpose(self, value: SSAValue, axes: Sequence[int]) -> SSAValue:
        if list(axes) == list(range(len(axes))):
            return value
        shape = shape_of(value)
        kind = TensorType(element_of(value), [shape[axis] for axis in axes])
        return self.build(Transpose, [value], kind, permutation=ints(axes))

    def concat(self, values: Sequence[SSAValue], axis: int) -> SSAValue:
        shape = list(shape_of(values[0]))
        shape[axis] = sum(shape_of(value)[axis] for value in values)
        return self.build(Concat, [list(values)], TensorType(element_of(values[0]), shape), axis=integer(axis))

    def model(self, inputs: Sequence[str], outputs: dict[str, SSAValue], after: str) -> Model:
        self.block.add_op(ReturnOp(*outputs.values()))
        model = new_model(self.context, self.block, inputs, list(outputs), OPSET)
        if self.locations:
            lines = {name: StringAttr(line) for name, line in self.locations.items()}
            model.function.attributes[LOCATIONS] = DictionaryAttr(lines)
        return model.verify(after)
