"""Float values that depend on one tensor only, number by number: which tensor, and the function itself."""

import numpy as np
from xdsl.ir import SSAValue

from ..ir.dialect import GraphContext
from ..ir.edges import Float
from ..ir.floats import evaluate_onnx, options_from
from .matching import real_constant
from .raise_tables import ELEMENTWISE


def scalar(ctx: GraphContext, value: SSAValue) -> np.ndarray | None:
    """The float32 number of a constant that has one, ``[1]``."""
    constant = real_constant(ctx, value)
    return None if constant is None or constant.size != 1 else constant.astype(np.float32).reshape(1)


def root_of(ctx: GraphContext, value: SSAValue) -> SSAValue:
    """The tensor that ``value`` is a function of, number by number; ``value`` itself where it is of none, or of several."""
    op = value.owner
    if not isinstance(op, Float) or op.domain.data or op.kind.data not in ELEMENTWISE or len(op.results) != 1:
        return value
    roots = {root_of(ctx, each) for each in op.inputs if scalar(ctx, each) is None}
    return roots.pop() if len(roots) == 1 else value


def apply(ctx: GraphContext, opset: int, value: SSAValue, root: SSAValue, numbers: np.ndarray) -> np.ndarray:
    """What ``value`` is where ``root`` has ``numbers`` (float32, one axis)."""
    known = {root: numbers}

    def of(each: SSAValue) -> np.ndarray:
        if each not in known:
            constant = scalar(ctx, each)
            known[each] = _compute(each.owner) if constant is None else constant
        return known[each]

    def _compute(op: Float) -> np.ndarray:
        arrays = [of(each) for each in op.inputs]
        if op.kind.data == "Clip":  # its bounds are scalars
            arrays = [arrays[0], *(each.reshape(()) for each in arrays[1:])]
        (result,) = evaluate_onnx(op.kind.data, options_from(op.options), arrays, 1, opset, op.absent.get_values())
        return np.asarray(result, np.float32)

    return of(value)
