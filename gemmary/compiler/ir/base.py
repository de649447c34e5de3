"""What the operators of the graph level share: their texts, and how they check themselves."""

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, FloatAttr, IntegerAttr, TensorType, f32, i64
from xdsl.irdl import IRDLOperation
from xdsl.utils.exceptions import VerifyException

from .types import known_element, quantization, shape_of

LOW, HIGH = IntegerAttr(-128, 64), IntegerAttr(127, 64)
ONES = DenseArrayBase.from_list(i64, [1, 1])
NO_PADDING = DenseArrayBase.from_list(i64, [0, 0, 0, 0])


def ints(values: Sequence[int]) -> DenseArrayBase:
    """An attribute of integers."""
    return DenseArrayBase.from_list(i64, [int(value) for value in values])


def integer(value: int) -> IntegerAttr:
    return IntegerAttr(int(value), 64)


def real(value: float) -> FloatAttr:
    """A float32 attribute."""
    return FloatAttr(float(np.float32(value)), f32)


class GraphOperation(IRDLOperation):
    """An operator with the origin ``source``, a discardable attribute: the operator of the model that it comes from."""

    def check(self, condition: bool, sentence: str) -> None:
        """VerifyException, naming operator and origin, unless the condition holds."""
        if not condition:
            origin = self.source
            raise VerifyException(f"{self.name}{f' ({origin})' if origin else ''}: {sentence}")

    @property
    def source(self) -> str:
        """The operator of the model that this one comes from; empty where unknown."""
        source = self.attributes.get("source")
        return source.data if source is not None else ""

    def check_values(self) -> None:
        """Of every operand and result: a tensor of known size and element."""
        for value in (*self.operands, *self.results):
            kind = value.type
            if not isinstance(kind, TensorType):  # texts of types are slow to make: only for what is wrong
                self.check(False, f"values must be tensors, not {kind}")
            if not known_element(kind.element_type):
                self.check(False, f"unknown element {kind.element_type}")
            if not all(n > 0 for n in shape_of(value)):
                self.check(False, f"sizes must be known and positive: {kind}")

    def check_quantized(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            self.check(value is None or quantization(value) is not None, f"{name} must be a tensor of !graph.q")

    def check_clip(self) -> None:
        low, high = self.low.value.data, self.high.value.data
        self.check(-128 <= low <= high <= 127, f"low and high must be in order within −128 … 127, not {low} and {high}")

    def check_shape(self, name: str, shape: Sequence[int]) -> None:
        found = shape_of(getattr(self, name))
        self.check(found == tuple(shape), f"{name} must have the shape {list(shape)}, not {list(found)}")


def positions(size, window, strides, padding, dilations=(1, 1)) -> tuple[int, int]:
    """How many places a window takes along height and width; ``padding`` is (top, bottom, left, right)."""
    pads = (padding[0] + padding[1], padding[2] + padding[3])
    return tuple(
        (n + pad - (k - 1) * dilation - 1) // step + 1
        for n, pad, k, step, dilation in zip(size, pads, window, strides, dilations)
    )
