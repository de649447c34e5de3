"""What plain numbers are in terms of int32 sums and int8 tensors: clip(round(Σ coefficient · (tensor + integer)) + offset)."""

from dataclasses import dataclass, replace

import numpy as np
from xdsl.ir import SSAValue

from ..ir.contractions import Conv2D, MatMul
from ..ir.dialect import GraphContext
from ..ir.edges import Float
from ..ir.types import element_of, i8, numpy_dtype, shape_of
from .matching import Mismatch


@dataclass(frozen=True)
class Term:
    """``factor`` times (the numbers of ``base`` plus ``shift``); both one number, or one for each index of the last axis."""

    base: SSAValue
    factor: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Form:
    """The sum of ``terms`` and ``offset``, rounded if ``rounded``, plus ``zero``, between ``low`` and ``high``."""

    terms: tuple[Term, ...]
    offset: np.ndarray
    rounded: bool = False
    zero: float = 0.0
    low: float = -np.inf
    high: float = np.inf

    @property
    def bounded(self) -> bool:
        return np.isfinite(self.low) or np.isfinite(self.high)

    def plus(self, number: np.ndarray, integer: bool) -> "Form":
        if self.rounded or self.bounded:
            if number.size != 1 or self.rounded and float(number.reshape(())) % 1:
                raise Mismatch("a number is added behind a clip or a rounding")
            step = float(number.reshape(()))
            moved = replace(self, low=self.low + step, high=self.high + step)
            return replace(moved, zero=self.zero + step) if self.rounded else replace(moved, offset=self.offset + step)
        if integer and len(self.terms) == 1 and np.all(self.terms[0].factor == 1) and not np.any(self.offset):
            (term,) = self.terms
            return replace(self, terms=(replace(term, shift=term.shift + number),))
        return replace(self, offset=self.offset + number)

    def times(self, number: np.ndarray) -> "Form":
        if self.rounded or (number < 0).any():
            raise Mismatch("a product with a negative number, or behind a rounding")
        if number.size > 1 and any(np.isfinite(bound) and bound for bound in (self.low, self.high)):
            raise Mismatch("numbers that differ by channel behind a clip")
        one = float(number.reshape(-1)[0])
        terms = tuple(replace(term, factor=term.factor * number) for term in self.terms)
        return replace(
            self, terms=terms, offset=self.offset * number, low=_scaled(self.low, one), high=_scaled(self.high, one)
        )

    def clip(self, low: float, high: float) -> "Form":
        return replace(self, low=min(max(self.low, low), high), high=max(min(self.high, high), low))

    def round(self) -> "Form":
        if self.rounded:
            return self
        return replace(self, rounded=True, low=_rint(self.low), high=_rint(self.high))


def form_of(context: GraphContext, value: SSAValue) -> Form:
    """Mismatch, with the reason, for what is none."""
    op = value.owner
    if element_of(value) == i8 or isinstance(op, Conv2D | MatMul):
        return Form((Term(value, np.ones(1), np.zeros(1)),), np.zeros(1))
    if not isinstance(op, Float) or op.domain.data:
        raise Mismatch("it depends on more than sums of products and int8 tensors")
    kind = op.kind.data
    if kind == "Cast":
        form = form_of(context, op.inputs[0])
        if _is_integer(value) and not _is_integer(op.inputs[0]) and not form.rounded:
            raise Mismatch("a conversion to integers that cuts off: round before")
        return form
    if kind == "Round":
        return form_of(context, op.inputs[0]).round()
    if kind == "ReduceSum":
        return Form((Term(value, np.ones(1), np.zeros(1)),), np.zeros(1))
    if kind in ("Add", "Sub", "Mul", "Div", "Max", "Min") and len(op.inputs) == 2:
        return _binary(context, kind, op)
    raise Mismatch(f"{kind} stands in between")


def _binary(context: GraphContext, kind: str, op: Float) -> Form:
    left, right = op.inputs
    constant = _by_channel(context, right, op.results[0])
    if constant is None and kind in ("Add", "Mul", "Max", "Min"):
        left, right = right, left
        constant = _by_channel(context, right, op.results[0])
    if constant is None:
        if kind != "Add" or context.array(left) is not None or shape_of(left) != shape_of(right):
            raise Mismatch(f"{kind} of two computed tensors stands in between")
        sides = [form_of(context, each) for each in (left, right)]
        if any(each.rounded or each.bounded for each in sides):
            raise Mismatch("a sum of tensors that are rounded or clipped before")
        return Form(sides[0].terms + sides[1].terms, sides[0].offset + sides[1].offset)
    form = form_of(context, left)
    match kind:
        case "Add":
            return form.plus(constant, _is_integer(op.results[0]))
        case "Sub":
            return form.plus(-constant, _is_integer(op.results[0]))
        case "Mul":
            return form.times(constant)
        case "Div":
            if _is_integer(op.results[0]) or not constant.all():
                raise Mismatch("a division of integers, or by 0")
            return form.times(1 / constant)
    if constant.size != 1:
        raise Mismatch("a bound that differs by channel")
    bound = float(constant.reshape(()))
    return form.clip(bound, np.inf) if kind == "Max" else form.clip(-np.inf, bound)


def _by_channel(context: GraphContext, value: SSAValue, result: SSAValue) -> np.ndarray | None:
    """A constant as one number, or as one for each index of the result's last axis."""
    array = context.array(value)
    if array is None or array.size != 1 and (not array.ndim or array.shape[-1] != array.size):
        return None
    if array.size != 1 and array.size != shape_of(result)[-1]:
        return None
    return array.reshape(-1).astype(np.float64)


def _is_integer(value: SSAValue) -> bool:
    return numpy_dtype(element_of(value)).kind in "iu"


def _scaled(bound: float, factor: float) -> float:
    return bound * factor if np.isfinite(bound) else bound


def _rint(bound: float) -> float:
    return float(np.rint(bound)) if np.isfinite(bound) else bound
