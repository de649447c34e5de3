"""Types of the graph level: tensors of NumPy's numbers, and of int8 numbers that stand for real ones."""

import numpy as np
from xdsl.dialects.builtin import (
    Float32Type,
    Float64Type,
    FloatData,
    IntAttr,
    IntegerType,
    Signedness,
    TensorType,
    f32,
    f64,
    i1,
    i8,
    i32,
    i64,
)
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

ui8 = IntegerType(8, Signedness.UNSIGNED)


@irdl_attr_definition
class Quantized(ParametrizedAttribute, TypeAttribute):
    """``!graph.q<scale, zero_point>``: an int8 q that stands for ``scale · (q − zero_point)`` (docs/numerics.md).

    ``scale`` is a positive float32, held in a Python float; −128 <= ``zero_point`` <= 127.
    """

    name = "graph.q"
    scale: FloatData
    zero_point: IntAttr

    def __init__(self, scale: float | FloatData, zero_point: int | IntAttr):
        scale = scale if isinstance(scale, FloatData) else FloatData(float(scale))
        super().__init__(scale, zero_point if isinstance(zero_point, IntAttr) else IntAttr(int(zero_point)))

    def verify(self) -> None:
        scale, zero_point = self.scale.data, self.zero_point.data
        if not (np.isfinite(scale) and scale > 0 and scale == float(np.float32(scale))):
            raise VerifyException(f"scale of !graph.q must be a positive float32, not {scale!r}")
        if not -128 <= zero_point <= 127:
            raise VerifyException(f"zero point of !graph.q must be −128 to 127, not {zero_point}")

    def print_parameters(self, printer: Printer) -> None:
        digits = str(np.float32(self.scale.data))  # the shortest text that reads back as the same float32
        mantissa, e, exponent = digits.partition("e")
        with printer.in_angle_brackets():
            printer.print_string(digits if "." in mantissa else f"{mantissa}.0{e}{exponent}")
            printer.print_string(f", {self.zero_point.data}")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> list[Attribute]:
        with parser.in_angle_brackets():
            scale = parser.parse_number()
            parser.parse_punctuation(",")
            return [FloatData(float(np.float32(scale))), IntAttr(parser.parse_integer())]


_NUMPY = {
    f32: np.float32,
    f64: np.float64,
    i1: np.bool_,
    i8: np.int8,
    ui8: np.uint8,
    i32: np.int32,
    i64: np.int64,
}
_ELEMENT = {np.dtype(dtype): element for element, dtype in _NUMPY.items()}


def numpy_dtype(element: Attribute) -> np.dtype:
    """Of the arrays that hold tensors of ``element``. KeyError for an element that the graph level does not know."""
    return np.dtype(np.int8 if isinstance(element, Quantized) else _NUMPY[element])


def known_element(element: Attribute) -> bool:
    return isinstance(element, Quantized) or element in _NUMPY


def tensor_type(array_or_shape, element: Attribute | np.dtype | None = None) -> TensorType:
    """Of an array, or of a shape and an element (or its NumPy dtype). KeyError for a dtype without an element."""
    if element is None:
        return TensorType(_ELEMENT[array_or_shape.dtype], array_or_shape.shape)
    if not isinstance(element, Attribute):
        element = _ELEMENT[np.dtype(element)]
    return TensorType(element, [int(n) for n in array_or_shape])


def quantization(value: SSAValue | Attribute) -> Quantized | None:
    """What the numbers of a value, or of a tensor type, stand for; None for plain ones."""
    kind = value.type if isinstance(value, SSAValue) else value
    element = kind.element_type if isinstance(kind, TensorType) else None
    return element if isinstance(element, Quantized) else None


def element_of(value: SSAValue) -> Attribute:
    return value.type.element_type


def shape_of(value: SSAValue) -> tuple[int, ...]:
    return tuple(value.type.get_shape())


def is_float(value: SSAValue) -> bool:
    return isinstance(element_of(value), Float32Type | Float64Type)
