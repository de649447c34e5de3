"""Multiplications by a number move down through what moves numbers and through products, until the scale of wide sums takes them.

``matmul(x · c, y)`` → ``matmul(x, y) · c`` on float operators, so that nothing stands between a product and the one before it; and
``scale(sums, s) · c`` → ``scale(sums, s · c)``. Equal but for the rounding of floats.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from ..ir.dialect import GraphContext
from ..ir.edges import Float, Scale
from ..ir.shapes import Reshape, Transpose
from ..ir.types import shape_of
from .dead_code import DeadCode
from .functions import scalar
from .matching import insert, only_user, operations, real_constant, replace


@dataclass(frozen=True)
class SinkScalars(ModulePass):
    name = "sink-scalars"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        changed = True
        while changed:
            changed = sum(_sink(ctx, each) for each in operations(op, Float)) > 0
        DeadCode().apply(ctx, op)


def _sink(ctx: GraphContext, op: Float) -> bool:
    found = _product(ctx, op)
    if found is None:
        return False
    value, number = found
    if isinstance(value.owner, Scale) and real_constant(ctx, value) is None and only_user(value) is op:
        _into_scale(ctx, op, value.owner, number)
        return True
    user = only_user(op.results[0])
    if isinstance(user, Reshape | Transpose) or _is_product(ctx, user):
        operands = [value if each is op.results[0] else each for each in user.operands]
        below = insert(user, _again(user, operands))
        replace(user, insert(user, _times(ctx, op, below, number)))
        return True
    return False


def _product(ctx: GraphContext, op: Float) -> tuple[SSAValue, np.float32] | None:
    """(value, number) of what multiplies a value by a number."""
    if op.domain.data or op.kind.data not in ("Mul", "Div"):
        return None
    numbers = [scalar(ctx, each) for each in op.inputs]
    for i in (0, 1) if op.kind.data == "Mul" else (0,):
        if numbers[i] is None and numbers[1 - i] is not None and shape_of(op.inputs[i]) == shape_of(op.results[0]):
            number = np.float64(numbers[1 - i][0])
            number = 1 / number if op.kind.data == "Div" and number else number
            return op.inputs[i], np.float32(number)
    return None


def _is_product(ctx: GraphContext, op: Operation | None) -> bool:
    """Of two computed tensors: constant weights are better left with numbers of their own."""
    if not isinstance(op, Float) or op.domain.data or op.kind.data != "MatMul":
        return False
    return all(real_constant(ctx, each) is None for each in op.inputs)


def _again(op: Operation, operands: list[SSAValue]) -> Operation:
    operands = [operands] if isinstance(op, Float) else operands
    types = [value.type for value in op.results]
    types = [types] if isinstance(op, Float) else types
    return type(op).build(
        operands=operands, result_types=types, properties=dict(op.properties), attributes=dict(op.attributes)
    )


def _times(ctx: GraphContext, op: Float, value: SSAValue, number: np.float32) -> Float:
    constant = insert(value.owner, ctx.constant(f"{op.source}.number", np.array(number, np.float32)), op.source)
    return Float.build(
        operands=[[value, constant]],
        result_types=[[value.type]],
        properties={"kind": StringAttr("Mul")},
        attributes=dict(op.attributes),
    )


def _into_scale(ctx: GraphContext, op: Float, before: Scale, number: np.float32) -> None:
    scales = (ctx.array(before.scales).astype(np.float64) * np.float64(number)).astype(np.float32)
    constant = insert(op, ctx.constant(f"{op.source}.unit", scales), op.source)
    properties = {"axis": before.axis}
    scaled = Scale.build(operands=[before.input, constant], result_types=[op.results[0].type], properties=properties)
    replace(op, insert(op, scaled, before.source))
