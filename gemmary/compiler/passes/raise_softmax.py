"""``exp(x − max(x)) / sum(exp(x − max(x)))`` over the last axis, as jax.nn.softmax writes it, becomes ONNX's Softmax."""

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from ..ir.dialect import GraphContext
from ..ir.edges import Float
from ..ir.floats import options_of
from ..ir.shapes import Reshape
from ..ir.types import shape_of
from .matching import floats, insert, replace


@dataclass(frozen=True)
class RaiseSoftmax(ModulePass):
    name = "raise-softmax"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in floats(op, "Div"):
            value = _argument(ctx, each)
            if value is not None:
                axis = options_of({"axis": len(shape_of(value)) - 1})
                softmax = Float.build(
                    operands=[[value]],
                    result_types=[[each.results[0].type]],
                    properties={"kind": StringAttr("Softmax"), "options": axis},
                )
                replace(each, insert(each, softmax))


def _argument(ctx: GraphContext, division: Float) -> SSAValue | None:
    """What the softmax is of; None for a division that is the end of none."""
    powers, total = division.inputs
    if not _is(powers, "Exp") or _reduced(ctx, total, "ReduceSum") is not powers:
        return None
    difference = powers.owner.inputs[0]
    if not _is(difference, "Sub"):
        return None
    value, largest = difference.owner.inputs
    return value if _reduced(ctx, largest, "ReduceMax") is value else None


def _reduced(ctx: GraphContext, value: SSAValue, kind: str) -> SSAValue | None:
    """What a value is the reduction of, over the last axis and spread over it again."""
    passed = [shape_of(value)]
    while not _is(value, kind):
        op = value.owner
        if isinstance(op, Reshape):
            value = op.input
        elif _is(value, "Expand"):
            value = op.inputs[0]
        elif (
            _is(value, "Max")
            and ctx.array(op.inputs[0]) is not None
            and (ctx.array(op.inputs[0]) == float("-inf")).all()
        ):
            value = op.inputs[1]
        else:
            return None
        passed.append(shape_of(value))
    source, axes = value.owner.inputs[0], ctx.array(value.owner.inputs[1])
    shape = shape_of(source)
    rows = {shape, shape[:-1], (*shape[:-1], 1)}
    in_place = passed[0] != shape[:-1] and rows.issuperset(passed)
    return source if in_place and axes is not None and axes.tolist() in ([len(shape) - 1], [-1]) else None


def _is(value: SSAValue, kind: str) -> bool:
    op = value.owner
    return isinstance(op, Float) and op.kind.data == kind and not op.domain.data
