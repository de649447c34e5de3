"""NCHW of the model, NHWC of the machine: the two transposes around an operator that a pass raises."""

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Operation, SSAValue

from ..ir.base import ints
from ..ir.shapes import Reshape, Transpose
from ..ir.types import element_of, shape_of
from .matching import insert

TO_MACHINE, TO_MODEL = (0, 2, 3, 1), (0, 3, 1, 2)


def transpose(before: Operation, value: SSAValue, axes) -> SSAValue:
    shape = shape_of(value)
    kind = TensorType(element_of(value), [shape[axis] for axis in axes])
    op = Transpose.build(operands=[value], result_types=[kind], properties={"permutation": ints(axes)})
    return insert(before, op)


def reshape(before: Operation, value: SSAValue, shape) -> SSAValue:
    if shape_of(value) == tuple(shape):
        return value
    kind = TensorType(element_of(value), list(shape))
    return insert(before, Reshape.build(operands=[value], result_types=[kind]))


def images(before: Operation, value: SSAValue) -> SSAValue:
    """``[n, c, h, w]``, or ``[n, c, w]``, as ``[n, h, w, c]``."""
    shape = shape_of(value)
    if len(shape) == 3:
        value = reshape(before, value, (*shape[:2], 1, shape[2]))
    return transpose(before, value, TO_MACHINE)


def from_images(before: Operation, value: SSAValue, shape) -> SSAValue:
    """The reverse, to ``shape``."""
    return reshape(before, transpose(before, value, TO_MODEL), shape)
