"""What moves wide sums, or the floats made of them, goes behind operators that work on every element and constants only.

So the operators that requantize stand directly behind the product, where raise-integers finds them, and int8 numbers are moved.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..ir.dialect import GraphContext
from ..ir.edges import Float
from ..ir.shapes import Reshape, Transpose
from ..ir.types import element_of, i8, quantization, shape_of
from .matching import insert, only_user, operations, replace

_KINDS = frozenset(("Add", "Cast", "Div", "Max", "Min", "Mul", "Round", "Sub"))


@dataclass(frozen=True)
class SinkMoves(ModulePass):
    name = "sink-moves"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in operations(op, Reshape, Transpose):
            move = each
            while move is not None:
                move = _sink(ctx, move)


def _sink(ctx: GraphContext, move: Reshape | Transpose) -> Reshape | Transpose | None:
    """The move behind the operator that reads it; None where it stays."""
    user = only_user(move.result)
    if element_of(move.input) == i8 or quantization(move.input) is not None:
        return None
    if not isinstance(user, Float) or user.domain.data or user.kind.data not in _KINDS:
        return None
    if shape_of(user.results[0]) != shape_of(move.result):
        return None
    operands = []
    for value in user.inputs:
        moved = move.input if value is move.result else _before(ctx, user, move, value)
        if moved is None:
            return None
        operands.append(moved)
    kind = TensorType(element_of(user.results[0]), shape_of(move.input))
    same = Float.build(operands=[operands], result_types=[[kind]], properties=dict(user.properties))
    value = insert(user, same)
    behind = type(move).build(operands=[value], result_types=[user.results[0].type], properties=dict(move.properties))
    result = insert(user, behind, move.source)
    replace(user, result)
    Rewriter.erase_op(move)
    return behind


def _before(ctx: GraphContext, user: Float, move: Reshape | Transpose, value: SSAValue) -> SSAValue | None:
    """A constant as it would be read in front of the move."""
    array = ctx.array(value)
    if array is None:
        return None
    before, after = shape_of(move.input), shape_of(move.result)
    if array.size == 1:
        array = array.reshape([1] * len(before))
    elif isinstance(move, Transpose):
        array = array.reshape([1] * (len(after) - array.ndim) + list(array.shape))
        array = array.transpose(np.argsort(move.permutation.get_values()))
    elif before[-1] == after[-1] == array.size == array.shape[-1]:
        array = array.reshape([1] * (len(before) - 1) + [-1])
    else:
        return None
    return insert(user, ctx.constant(f"{user.source}.constant", array))
