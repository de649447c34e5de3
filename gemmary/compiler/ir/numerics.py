"""docs/numerics.md in NumPy for whole tensors: the reference of the graph level, independent of the code generator.

Activations are int8 ``[n, h, w, channels]``; ``padding`` is (top, bottom, left, right).
"""

import math
from fractions import Fraction

import numpy as np


def multiplier(scale: float) -> tuple[int, int]:
    """(mantissa, shift) of a float32 scale, as docs/numerics.md defines them. ValueError for a scale that it refuses."""
    scale = float(np.float32(scale))
    if not math.isfinite(scale) or not 0 <= scale < 2**24:
        raise ValueError(f"a scale must be 0 or positive and below 2^24, not {scale}")
    if scale == 0:
        return 0, 0
    numerator, denominator = scale.as_integer_ratio()
    shift = 24 - (numerator.bit_length() - (denominator.bit_length() - 1))
    shift = min(shift, 63)
    return round(Fraction(scale) * 2**shift), shift


def multipliers(scales) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array([multiplier(s) for s in np.ravel(scales)], np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def wrap(sums) -> np.ndarray:
    """Modulo 2^32, read as signed."""
    return np.asarray(sums).astype(np.int64).astype(np.int32)


def round_shift(product: np.ndarray, shift) -> np.ndarray:
    """``product / 2^shift`` to the nearest integer, ties to the even one."""
    shift = np.asarray(shift, np.int64)
    quotient = product >> shift
    rest = product - (quotient << shift)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 1)
    return quotient + ((rest > half) | ((rest == half) & (quotient % 2 == 1)))


def requantize(sums, scale, zero_point: int, low: int, high: int, residual=None) -> np.ndarray:
    """Steps 5 to 8: int32 ``sums`` times ``scale`` (float32, one or for each channel) to int8.

    ``residual`` is (int8 array, its zero point, its scale).
    """
    mantissa, shift = multipliers(scale)
    product = np.asarray(sums, np.int64) * mantissa
    if residual is not None:
        array, zero, factor = residual
        m, s = multiplier(factor)
        distance = (shift - s) % 32
        product = product + ((array.astype(np.int64) - zero) * m << distance)
    return np.clip(round_shift(product, shift) + zero_point, low, high).astype(np.int8)


def products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a @ b`` of small integers, exactly: every sum stays below 2^53."""
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)


def windows(x: np.ndarray, window, strides, padding, dilations=(1, 1), outside: int = 0) -> np.ndarray:
    """``[n, h', w', kh, kw, channels]``: what a sliding window sees, ``outside`` in the padding."""
    top, bottom, left, right = padding
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=outside)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilations)]
    seen = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(1, 2))
    seen = seen[:, :: strides[0], :: strides[1], :, :: dilations[0], :: dilations[1]]
    return np.moveaxis(seen, 3, -1)


def convolve(x, weight, strides, padding, dilations, groups: int, outside: int) -> np.ndarray:
    """Sums of products as int64 ``[n, h', w', cout]``; weights ``[kh, kw, cin / groups, cout]``."""
    kh, kw, cin, cout = weight.shape
    seen = windows(x, (kh, kw), strides, padding, dilations, outside)
    n, h, w = seen.shape[:3]
    seen = seen.reshape(n * h * w, kh * kw, groups, cin).transpose(2, 0, 1, 3).reshape(groups, n * h * w, -1)
    weight = weight.reshape(kh * kw * cin, groups, cout // groups).transpose(1, 0, 2)
    return products(seen, weight).transpose(1, 0, 2).reshape(n, h, w, cout)


def quantize(x: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """As ONNX does: a float32 quotient, rounded half to even."""
    with np.errstate(over="ignore"):
        quotient = np.rint(x.astype(np.float32) / np.float32(scale))
    return np.clip(np.nan_to_num(quotient, posinf=1e9, neginf=-1e9) + zero_point, -128, 127).astype(np.int8)


def dequantize(q: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        return (q.astype(np.int32) - zero_point).astype(np.float32) * np.float32(scale)
