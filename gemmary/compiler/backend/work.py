"""How much an operator does: multiply-accumulates, and bytes of its tensors."""

from math import prod

from xdsl.ir import Operation, SSAValue

from ..ir.contractions import Conv2D, MatMul
from ..ir.edges import Constant, Float
from ..ir.types import element_of, numpy_dtype, shape_of


def macs_of(op: Operation) -> int:
    """Products of the definition; 0 for whatever is no sum of products."""
    match op:
        case Conv2D():
            return prod(op.unpooled_shape) * prod(shape_of(op.weight)[:3])
        case MatMul():
            return prod(shape_of(op.result)) * op.split_shape(0)[-1]
        case Float() if op.kind.data == "Conv":
            return prod(shape_of(op.results[0])) * prod(shape_of(op.inputs[1])[1:])
        case Float() if op.kind.data == "ConvTranspose":
            return prod(shape_of(op.inputs[0])) * prod(shape_of(op.inputs[1])[1:])
        case Float() if op.kind.data in ("Gemm", "MatMul"):
            return prod(shape_of(op.results[0])) * shape_of(op.inputs[0])[-1]
    return 0


def bytes_of(value: SSAValue) -> int:
    return prod(shape_of(value)) * numpy_dtype(element_of(value)).itemsize


def moved_bytes(op: Operation) -> int:
    """Of all operands that are no constants, and of all results."""
    operands = {value for value in op.operands if not isinstance(value.owner, Constant)}
    return sum(map(bytes_of, (*operands, *op.results)))
