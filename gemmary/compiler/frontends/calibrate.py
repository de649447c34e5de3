"""Ranges for what is marked as to be quantized: a float model runs on calibration data, and the range of least error wins.

The error is the mean square of what rounding and clipping change: of the marked tensor, or, where it is the argument of a function
that becomes a table (GELU), of the function. So an argument is not resolved where the function is flat.
"""

from collections.abc import Mapping

import numpy as np
from xdsl.ir import SSAValue

from ...errors import InputError
from ..ir import numerics
from ..ir.base import real
from ..ir.edges import Observe
from ..ir.interpreter import interpret
from ..ir.model import Model
from ..ir.types import shape_of
from ..passes.functions import apply, root_of
from ..passes.insert_quantization import quantization_of
from ..passes.matching import uses

SAMPLES, OF_ONE = 1 << 14, 1 << 12
"""Numbers of a tensor that the search looks at, in all and at most of one run; minimum and maximum are those of all."""

SHRINK = np.linspace(1.0, 0.1, 19)
"""Parts of the whole range that are tried, on either side."""

ROUNDS = 2
EVERY = np.arange(-128, 128, dtype=np.int8)


def calibrate(model: Model, calibration: Mapping[str, np.ndarray]) -> Model:
    """``model`` with the ranges of its marks. ``calibration``: arrays by input, samples along axis 0, of which the model takes its
    own first size at a time. InputError for wrong inputs, and where there are too few of them."""
    seen: dict[SSAValue, list[np.ndarray]] = {}
    ends: dict[SSAValue, list[float]] = {}

    def observe(op, results) -> None:
        if isinstance(op, Observe):
            if not np.isfinite(results[0]).all():
                raise InputError(f"operator {op.source!r}: with the calibration data it is not finite")
            seen.setdefault(op.result, []).append(_some(results[0], OF_ONE))
            ends.setdefault(op.result, []).extend([float(results[0].min()), float(results[0].max())])

    batches = list(_batches(model, calibration))
    for batch in batches:
        interpret(model, batch, observe)
    for op in model.operations:
        if isinstance(op, Observe):
            whole = min(ends[op.result]), max(ends[op.result])
            numbers = np.concatenate(seen[op.result])
            low, high = _range(numbers, whole, op.symmetric is not None, _function(model, op, *whole))
            op.properties["low"], op.properties["high"] = real(low), real(high)
    return model.verify("calibration")


def _some(array: np.ndarray, count: int) -> np.ndarray:
    """``count`` numbers from everywhere, the same ones every time; all of them if there are no more."""
    flat = array.reshape(-1)
    if flat.size > count:
        flat = flat[np.random.default_rng(0).integers(0, flat.size, count)]
    return flat.astype(np.float32)


def _batches(model: Model, calibration: Mapping[str, np.ndarray]):
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


def _function(model: Model, op: Observe, low: float, high: float):
    """What is read of a mark between ``low`` and ``high``: itself, or the one function up to the next mark."""
    value = _result(model, op)
    if value is None:
        return lambda numbers: numbers
    grid = np.linspace(min(low, 0.0), max(high, 0.0), 1 << 13).astype(np.float32)
    results = apply(model.context, model.opset, value, op.result, grid)
    return lambda numbers: np.interp(numbers, grid, results)


def _result(model: Model, op: Observe) -> SSAValue | None:
    left, known = list(uses(op.result)), set()
    while left:
        each = left.pop()
        if isinstance(each, Observe):
            return each.input if root_of(model.context, each.input) is op.result else None
        if each not in known and len(each.results) == 1 and root_of(model.context, each.results[0]) is op.result:
            known.add(each)
            left += uses(each.results[0])
    return None


def _range(numbers: np.ndarray, ends: tuple[float, float], symmetric: bool, function) -> tuple[float, float]:
    """The best one for ``numbers``, inside ``ends``; ``function`` of NumPy arrays is what will be read of them."""
    low, high = ends
    numbers = _some(numbers, SAMPLES)
    expected = function(numbers)

    def error(least: float, most: float) -> float:
        q = quantization_of(least, most, symmetric)
        rounded = numerics.quantize(numbers, q.scale.data, q.zero_point.data)
        table = function(numerics.dequantize(EVERY, q.scale.data, q.zero_point.data))
        return float(np.square(table[rounded.astype(np.int16) + 128] - expected, dtype=np.float64).mean())

    if symmetric:
        most = max(abs(low), abs(high))
        most = min((most * part for part in SHRINK), key=lambda each: error(-each, each))
        return -most, most
    for _ in range(ROUNDS):  # one end, then the other
        high = min((ends[1] * part for part in SHRINK), key=lambda each: error(low, each))
        low = min((ends[0] * part for part in SHRINK), key=lambda each: error(each, high))
    return low, high
