"""Ranges for what is marked as to be quantized: a float model runs on calibration data, and minimum and maximum count.

Clipping has been tried and loses: a few channels of a transformer are large on purpose, and what clipping does to them adds up
over a sum, where rounding averages out. Only the argument of a function that becomes a table (GELU) ends earlier: where the
function does not change any more.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from xdsl.ir import SSAValue

from ...errors import InputError
from ..ir.base import real
from ..ir.edges import Observe
from ..ir.interpreter import interpret
from ..ir.model import Model
from ..ir.types import shape_of
from ..passes.functions import apply, root_of
from ..passes.matching import uses

GRID = 1 << 13
"""Places at which a function is looked at."""

FLAT = 0.25
"""Steps of its result that a function may change by beyond the range of its argument."""


@dataclass(frozen=True)
class Ends:
    """Minimum and maximum of a tensor, for each channel (index of its last axis)."""

    low: np.ndarray
    high: np.ndarray

    @property
    def whole(self) -> tuple[float, float]:
        return float(self.low.min()), float(self.high.max())


def calibrate(model: Model, calibration: Mapping[str, np.ndarray]) -> dict[Observe, Ends]:
    """Gives the marks of ``model`` their ranges, and returns those of their channels. ``calibration``: arrays by input, samples along
    axis 0, of which the model takes its own first size at a time. InputError for wrong inputs, and where there are too few."""
    ends: dict[Observe, Ends] = {}

    def observe(op, results) -> None:
        if isinstance(op, Observe):
            ends[op] = _widened(ends.get(op), op, results[0])

    for batch in _batches(model, calibration):
        interpret(model, batch, observe)
    for op, each in ends.items():
        set_range(op, *each.whole)
    for op, each in ends.items():
        function = _function(model, op)
        if function is not None:
            set_range(op, *_where_it_changes(function, *each.whole))
    model.verify("calibration")
    return ends


def set_range(op: Observe, low: float, high: float) -> None:
    op.properties["low"], op.properties["high"] = real(low), real(high)


def _batches(model: Model, calibration: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    inputs = model.inputs
    for name in inputs:
        if name not in calibration:
            raise InputError(f"calibration data lack the input {name!r}")
    sizes = {name: shape_of(value)[0] if shape_of(value) else 1 for name, value in inputs.items()}
    count = min(len(calibration[name]) // size for name, size in sizes.items())
    if count < 1:
        name, size = next(iter(sizes.items()))
        raise InputError(f"calibration data must hold at least a batch of {size} samples of input {name!r}")
    for i in range(count):
        yield {name: calibration[name][i * size : (i + 1) * size] for name, size in sizes.items()}


def _widened(before: Ends | None, op: Observe, array: np.ndarray) -> Ends:
    if not np.isfinite(array).all():
        raise InputError(f"operator {op.source!r}: with the calibration data it is not finite")
    rows = array.reshape(-1, array.shape[-1] if array.ndim else 1)
    low, high = rows.min(axis=0), rows.max(axis=0)
    return Ends(low, high) if before is None else Ends(np.minimum(low, before.low), np.maximum(high, before.high))


def _function(model: Model, op: Observe) -> Callable[[np.ndarray], tuple[np.ndarray, float]] | None:
    """What numbers become up to the next mark, and the step of that; None where there is no one function."""
    mark = _next_mark(model, op)
    if mark is None:
        return None
    step = (max(mark.high.value.data, 0.0) - min(mark.low.value.data, 0.0)) / 255
    return lambda numbers: (apply(model.context, model.opset, mark.input, op.result, numbers), step)


def _next_mark(model: Model, op: Observe) -> Observe | None:
    def depends(value: SSAValue) -> bool:
        return value is not op.result and root_of(model.context, value) is op.result

    left, known = list(uses(op.result)), set()
    while left:
        each = left.pop()
        if isinstance(each, Observe):
            return each if depends(each.input) else None
        if each not in known and len(each.results) == 1 and depends(each.results[0]):
            known.add(each)
            left += uses(each.results[0])
    return None


def _where_it_changes(function, low: float, high: float) -> tuple[float, float]:
    """The part of ``low`` … ``high`` outside of which the function stays as it is at the ends of that part."""
    grid = np.linspace(low, high, GRID).astype(np.float32)
    numbers, step = function(grid)

    def flat(numbers) -> int:
        change = np.maximum.accumulate(numbers) - np.minimum.accumulate(numbers)
        return max(0, np.count_nonzero(change <= FLAT * step) - 1)

    first, last = flat(numbers), GRID - 1 - flat(numbers[::-1])
    return (float(grid[first]), float(grid[last])) if first < last else (low, high)
