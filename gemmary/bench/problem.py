"""A layer with values: the program, its inputs, and what NumPy says the result is."""

from dataclasses import dataclass

import numpy as np

from ..compiler import Program, compile_conv2d, compile_matmul, mantissa_and_shift
from ..config import Config
from ..errors import InputError
from ..isa import DType
from ..workloads import Conv, Layer, Matmul

RESULTS = {"int8": DType.INT8, "int32": DType.INT32}

TYPICAL_PRODUCT = 128**2 / 3
"""Standard deviation of a product of two random int8."""

SPREAD = 48
"""Standard deviation of the results before they are clipped."""

EXACT_IN_FLOAT32 = 1 << 10
"""Sums of so many products of int8 are exact in float32."""


@dataclass(frozen=True)
class Problem:
    """``program`` for ``layer`` with random ``inputs``. ``expected()`` computes the result, without the compiler."""

    layer: Layer
    program: Program
    inputs: dict[str, np.ndarray]
    operands: dict[str, np.ndarray]

    def expected(self) -> np.ndarray:
        """The result in the shape of the program's tensor ``y``."""
        layer, a, weights = self.layer, self.inputs["a"], self.operands["weights"]
        sums = _matmul(a, weights) if isinstance(layer, Matmul) else _convolution(layer, a, weights)
        sums = sums.astype(np.int64) + self.operands["bias"]
        if layer.output == "int32":
            return sums
        return np.clip(_rounded(sums, self.operands["scale"]), -128, 127)


def make_problem(config: Config, layer: Layer, seed: int = 0) -> Problem:
    """The same for the same arguments. InputError for a layer that cannot be compiled."""
    rng = np.random.default_rng(seed)
    operands = {
        "bias": rng.integers(-(1 << 12), 1 << 12, layer.n, np.int32),
        "scale": (rng.uniform(0.5, 1.5, layer.n) * SPREAD / (TYPICAL_PRODUCT * np.sqrt(layer.k))).astype(np.float32),
    }
    common = {"bias": operands["bias"], "scale": operands["scale"], "result": RESULTS[layer.output]}
    if layer.batch > 1:
        raise InputError(f"layer {layer.name!r}: the compiler does not take {layer.batch} products at once yet")
    if isinstance(layer, Conv):
        a = rng.integers(-128, 128, (1, *layer.input_shape), np.int8)
        operands["weights"] = rng.integers(-128, 128, (*layer.kernel, layer.cin, layer.cout), np.int8)
        top, bottom, left, right = layer.padding
        padding = (top, bottom), (left, right)
        program = compile_conv2d(
            config, a.shape, operands["weights"], stride=layer.stride, padding=padding, **common
        )  # fmt: skip
        return Problem(layer, program, {"a": a}, operands)
    a = rng.integers(-128, 128, (layer.m, layer.k), np.int8)
    operands["weights"] = rng.integers(-128, 128, (layer.k, layer.n), np.int8)
    if not layer.constant:
        raise InputError(f"layer {layer.name!r}: the compiler does not take a right operand made at run time yet")
    program = compile_matmul(config, layer.m, layer.k, layer.n, weights=operands["weights"], **common)
    return Problem(layer, program, {"a": a}, operands)


def _matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a @ b``, exactly, by way of floating point, which is fast."""
    dtype = np.float32 if a.shape[-1] <= EXACT_IN_FLOAT32 else np.float64
    return np.rint(a.astype(dtype) @ b.astype(dtype))


def _convolution(layer: Conv, a: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``[1, rows, columns, cout]``: the sum of a product for each tap."""
    top, bottom, left, right = layer.padding
    padded = np.pad(a[0], ((top, bottom), (left, right), (0, 0)))
    (sy, sx), (rows, columns, cout) = layer.stride, layer.output_shape
    sums = np.zeros((rows * columns, cout), np.float64)
    for y in range(layer.kernel[0]):
        for x in range(layer.kernel[1]):
            window = padded[y : y + rows * sy : sy, x : x + columns * sx : sx][:rows, :columns]
            sums += _matmul(window.reshape(-1, layer.cin), weights[y, x])
    return sums.reshape(1, rows, columns, cout)


def _rounded(sums: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """``sums · scale`` rounded half to even, exactly."""
    mantissa, shift = mantissa_and_shift(scale)
    product = sums * mantissa
    floor, half = product >> shift, np.int64(1) << (shift - 1)
    rest = product - (floor << shift)
    return floor + ((rest > half) | ((rest == half) & (floor & 1 == 1)))
