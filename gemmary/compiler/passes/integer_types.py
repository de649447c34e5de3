"""Plain int8 numbers between quantized operators: they get types instead, and what only renames them goes."""

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import Rewriter

from ..ir.base import integer
from ..ir.contractions import Conv2D, MatMul
from ..ir.dialect import GraphContext
from ..ir.edges import Reinterpret
from ..ir.shapes import Reshape, Transpose
from ..ir.types import Quantized, element_of, i8, quantization, shape_of
from ..ir.vector import MaxPool, Table
from .matching import insert, replace, uses
from .raise_tables import EVERY


def sink(op: Reshape | Transpose) -> None:
    """A move of plain int8 numbers behind quantized ones moves those."""
    if (
        not isinstance(op.input.owner, Reinterpret)
        or quantization(op.input.owner.input) is None
        or element_of(op.input) != i8
    ):
        return
    source = op.input.owner.input
    kind = TensorType(element_of(source), shape_of(op.result))
    moved = type(op).build(operands=[source], result_types=[kind], properties=dict(op.properties))
    value = insert(op, moved)
    replace(op, insert(op, Reinterpret.build(operands=[value], result_types=[op.result.type])))


def join(ctx: GraphContext, op: Reinterpret) -> None:
    """``!graph.q`` as plain int8 as ``!graph.q``: the same numbers, if what computes them can give them the type they are read in."""
    plain, wanted = op.input.owner, quantization(op.result)
    source = plain.input
    if wanted is None or quantization(source) is None:
        return
    if quantization(source) != wanted and not retype(ctx, source, wanted):
        return
    replace(op, plain.input)


def retype(ctx: GraphContext, value: SSAValue, q: Quantized) -> bool:
    """Gives a value another zero point, and leaves its numbers as they are. Whether it could."""
    op = value.owner
    readers = [each for user in uses(value) for each in _readers(user)]
    if any(each != q for each in readers):
        return False
    kind = TensorType(q, shape_of(value))
    match op:
        case Conv2D() | MatMul():
            if op.table is None and op.drain_zero_point != q.zero_point.data:
                identity = insert(op, ctx.constant("identity.table", EVERY))
                operands = [
                    op.input,
                    op.weight,
                    *([each] if each else [] for each in (op.bias, op.scale, op.residual)),
                    [identity],
                ]
                properties = {name: each for name, each in op.properties.items() if name != "operandSegmentSizes"}
                properties["zero_point"] = integer(op.drain_zero_point)
                same = type(op).build(operands=operands, result_types=[kind], properties=properties)
                replace(op, insert(op, same, op.source))
                return True
        case Table() | Reinterpret():
            pass
        case MaxPool() | Reshape() | Transpose():
            if not retype(ctx, op.input, q):
                return False
        case _:
            return False
    Rewriter.replace_value_with_new_type(value, kind)
    return True


def _readers(user: Operation) -> list[Quantized | None]:
    """The types in which a reader of ``!graph.q`` wants it: None for one that takes no other."""
    if isinstance(user, Reinterpret):
        return [quantization(each.result) for each in uses(user.result) if isinstance(each, Reinterpret)]
    if isinstance(user, MaxPool | Reshape | Transpose):
        return [each for reader in uses(user.result) for each in _readers(reader)]
    return [None]
