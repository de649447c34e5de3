"""What passes ask of the operators around them, and how they put new ones in place."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from ..ir.base import integer
from ..ir.dialect import GraphContext
from ..ir.edges import Dequantize, Float, Quantize, Scale
from ..ir.floats import options_from
from ..ir.numerics import multiplier
from ..ir.shapes import Reshape, Transpose
from ..ir.types import Quantized, quantization


class Mismatch(Exception):
    """A float operator cannot become one of the machine's; the message says why."""


def operations(module: ModuleOp, *kinds: type[Operation]) -> Iterator[Operation]:
    """Those of the function, in order, that are still there when their turn comes."""
    for function in module.ops:
        if isinstance(function, FuncOp):
            for op in list(function.body.block.ops):
                if op.parent is not None and (not kinds or isinstance(op, kinds)):
                    yield op


def floats(module: ModuleOp, *names: str) -> Iterator[Float]:
    for op in operations(module, Float):
        if op.kind.data in names and not op.domain.data:
            yield op


def uses(value: SSAValue) -> list[Operation]:
    return [use.operation for use in value.uses]


def only_user(value: SSAValue) -> Operation | None:
    """The operator that reads a value, if it is one and reads it once."""
    users = uses(value)
    return users[0] if len(users) == 1 else None


def insert(before: Operation, op: Operation, source: str = "") -> SSAValue:
    """``op`` in front of ``before``; its first result."""
    name = source or getattr(before, "source", "")
    if name and "source" not in op.attributes:
        op.attributes["source"] = StringAttr(name)
    Rewriter.insert_op(op, InsertPoint.before(before))
    return op.results[0]


def replace(op: Operation, value: SSAValue) -> None:
    """``value`` for the only result of ``op``, which goes. What stands for a quantized tensor of the model keeps its name, as
    ``tensor``: ``explain`` compares the two."""
    if isinstance(op, Quantize):
        maker = value.owner
        while isinstance(maker, Reshape | Transpose):
            maker = maker.input.owner
        if isinstance(maker, Operation) and op.source:
            maker.attributes.setdefault("tensor", StringAttr(op.source))
    op.results[0].replace_all_uses_with(value)
    Rewriter.erase_op(op)


def note(op: Operation, reason: Exception | str) -> None:
    """Why an operator stays on the host."""
    op.attributes["fallback"] = StringAttr(str(reason))


def options(op: Float) -> dict:
    return options_from(op.options)


def source_of(value: SSAValue, what: str) -> SSAValue:
    """The tensor of ``!graph.q`` that a float value is dequantized from. Mismatch without one."""
    if not isinstance(value.owner, Dequantize):
        raise Mismatch(f"{what} is not dequantized from int8")
    return value.owner.input


@dataclass(frozen=True)
class Weights:
    """Constant integers, with a scale for each index of ``axis`` (or one)."""

    integers: np.ndarray
    scales: np.ndarray
    axis: int

    @property
    def real(self) -> np.ndarray:
        shape = [-1 if i == self.axis and self.scales.size > 1 else 1 for i in range(self.integers.ndim)]
        return self.integers * self.scales.astype(np.float64).reshape(shape)


def weights_of(context: GraphContext, value: SSAValue) -> Weights | None:
    op = value.owner
    if not isinstance(op, Scale):
        return None
    integers, scales = context.array(op.input), context.array(op.scales)
    if integers is None or scales is None:
        return None
    return Weights(integers, scales, op.axis.value.data)


def real_constant(context: GraphContext, value: SSAValue) -> np.ndarray | None:
    """A constant float, quantized or not."""
    weights = weights_of(context, value)
    return context.array(value) if weights is None else weights.real


def factor(numerator, denominator: float) -> np.ndarray:
    """A scale of the requantization: the exact quotient as float32. Mismatch where it is too large."""
    quotient = np.asarray(np.asarray(numerator, np.float64) / denominator)
    if not np.isfinite(quotient).all() or (quotient < 0).any() or quotient.max(initial=0) >= 2**24:
        raise Mismatch("a scale is not below 2^24")
    return quotient.astype(np.float32)


def fits_residual(scales: np.ndarray, residual: float) -> bool:
    """Whether the vector engine can add a residual of this scale to sums of those: docs/numerics.md, step 6."""
    own = [multiplier(s)[1] for s in np.ravel(scales)]
    other = multiplier(residual)[1]
    return min(own) >= other and max(own) - other <= 31


@dataclass
class Ending:
    """What follows a float result up to its quantization: ``low`` … ``high`` from ReLU or Clip, and the Quantize."""

    quantize: Quantize
    low: int
    high: int
    passed: list[Operation]

    @property
    def type(self) -> Quantized:
        return quantization(self.quantize.result)

    @property
    def clip(self) -> dict:
        return {"low": integer(self.low), "high": integer(self.high)}


def ending_of(context: GraphContext, value: SSAValue) -> Ending | None:
    """None where anything else follows, or something beside it reads a float on the way.

    Rounding is monotone, so clipping real numbers first is clipping the rounded ones at the rounded bounds.
    """
    bounds, passed = [], []
    while True:
        user = only_user(value)
        if isinstance(user, Quantize):
            q = quantization(user.result)
            low, high = -128, 127
            for least, most in bounds:
                low, high = max(low, _rounded(least, q)), min(high, _rounded(most, q))
            return Ending(user, min(low, high), high, passed)
        clip = _clip_of(context, user) if isinstance(user, Float) else None
        if clip is None:
            return None
        bounds.append(clip)
        passed.append(user)
        value = user.results[0]


def _clip_of(context: GraphContext, op: Float) -> tuple[float, float] | None:
    if op.domain.data or op.kind.data not in ("Relu", "Clip"):
        return None
    if op.kind.data == "Relu":
        return 0.0, np.inf
    given = options(op)
    places = [i for i in range(3) if i not in op.absent.get_values()]
    bounds = {0: None, 1: given.get("min", -np.inf), 2: given.get("max", np.inf)}
    for place, operand in list(zip(places, op.inputs))[1:]:
        constant = real_constant(context, operand)
        if constant is None or constant.size != 1:
            return None
        bounds[place] = float(constant.reshape(()))
    return bounds[1], bounds[2]


def _rounded(bound: float, q: Quantized) -> int:
    with np.errstate(over="ignore"):
        value = np.rint(np.float32(bound) / np.float32(q.scale.data)) + q.zero_point.data
    return int(np.clip(value, -128, 127))
