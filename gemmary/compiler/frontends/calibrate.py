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

SAMPLES = 1 << 14
"""Numbers of a tensor that the search looks at; minimum and maximum are those of all."""

SHRINK = np.linspace(1.0, 0.3, 15)
"""Parts of the whole range that are tried, on either side."""


def calibrate(model: Model, calibration: Mapping[str, np.ndarray]) -> Model:
    """``model`` with the ranges of its marks. ``calibration``: arrays by input, samples along axis 0, of which the model takes its
    own first size at a time. InputError for wrong inputs, and where there are too few of them."""
    seen: dict[SSAValue, list[np.ndarray]] = {}

    def observe(op, results) -> None:
        if isinstance(op, Observe):
            seen.setdefault(op.result, []).append(_some(results[0]))

    batches = list(_batches(model, calibration))
    for batch in batches:
        interpret(model, batch, observe)
    for op in model.operations:
        if isinstance(op, Observe):
            numbers = np.concatenate(seen[op.result])
            function = _function(model, op, float(numbers.min()), float(numbers.max()))
            low, high = _range(numbers, op.symmetric is not None, function)
            op.properties["low"], op.properties["high"] = real(low), real(high)
    return model.verify("calibration")


def _some(array: np.ndarray) -> np.ndarray:
    """Minimum and maximum, and numbers from everywhere: each row begins at another place."""
    flat = array.reshape(-1)
    if not np.isfinite(flat).all():
        raise InputError("a tensor that is to be quantized is not finite with the calibration data")
    step = max(1, flat.size // 4096)
    step += step > 1 and step % 2 == 0  # not always the same channels
    return np.concatenate([[flat.min(), flat.max()], flat[::step]]).astype(np.float32)


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


def _range(numbers: np.ndarray, symmetric: bool, function) -> tuple[float, float]:
    """The best one for ``numbers``; ``function`` of NumPy arrays is what will be read of them."""
    low, high = float(numbers.min()), float(numbers.max())
    numbers = numbers[:: max(1, numbers.size // SAMPLES)]
    expected = function(numbers)
    if symmetric:
        most = max(abs(low), abs(high))
        candidates = [(-most * part, most * part) for part in SHRINK]
    else:
        candidates = [(low * a, high * b) for a in SHRINK for b in SHRINK]

    def error(candidate) -> float:
        q = quantization_of(*candidate, symmetric)
        rounded = numerics.quantize(numbers, q.scale.data, q.zero_point.data)
        found = function(numerics.dequantize(rounded, q.scale.data, q.zero_point.data))
        return float(np.square(found - expected, dtype=np.float64).mean())

    return min(candidates, key=error)
