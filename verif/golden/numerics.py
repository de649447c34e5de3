"""docs/numerics.md in NumPy: exact for every input, bit for bit.

Activations are int8 in NHWC order, `[batch, height, width, channel]`. Parameters of each channel
broadcast along the last axis. `padding` is `((top, bottom), (left, right))`.
"""

import math
from fractions import Fraction

import numpy as np

NO_PADDING = ((0, 0), (0, 0))

MANTISSA_BITS = 24
MAX_SHIFT = 63


def wrap(x):
    """Integers modulo 2^32, read as signed: int32."""
    return np.asarray(x, np.int64).astype(np.int32)


def matmul(a, w, acc=None):
    """`(acc or 0) + a @ w` modulo 2^32: int8 `[..., k]` by int8 `[k, n]` gives int32 `[..., n]`."""
    product = np.asarray(a, np.int64) @ np.asarray(w, np.int64)
    return wrap(product if acc is None else product + acc)


def add_bias(reduced, bias):
    """`reduced + bias` modulo 2^32, as int32."""
    return wrap(np.asarray(reduced, np.int64) + bias)


def scale_to_mantissa_shift(scale):
    """The `(mantissa, shift)` of a float32 scale: two ints, or uint32 and uint8 arrays of its shape.

    Exact from 2^-40 to below 2^24; below that rounded half to even to a mantissa for shift 63.
    Raises `ValueError` for what is negative, not finite, or 2^24 and above.
    """
    scale = np.asarray(scale, np.float32)
    pairs = [_mantissa_shift(float(s)) for s in scale.ravel()]
    if scale.ndim == 0:
        return pairs[0]
    mantissa, shift = np.array(pairs, np.int64).reshape(*scale.shape, 2).T
    return mantissa.T.astype(np.uint32), shift.T.astype(np.uint8)


def _mantissa_shift(scale):
    if not (math.isfinite(scale) and scale >= 0):
        raise ValueError(f"a scale is a finite number of at least 0, not {scale}")
    if scale == 0:
        return 0, 0
    fraction, exponent = math.frexp(scale)  # 0.5 <= fraction < 1
    shift = MANTISSA_BITS - exponent
    if shift < 0:
        raise ValueError(f"a scale is below 2^24, not {scale}")
    if shift > MAX_SHIFT:
        return round(Fraction(scale) * 2**MAX_SHIFT), MAX_SHIFT
    return int(math.ldexp(fraction, MANTISSA_BITS)), shift


def requantize(
    t,
    mantissa,
    shift,
    zero_point=0,
    low=-128,
    high=127,
    *,
    residual=None,
    residual_zero_point=0,
    residual_mantissa=0,
    residual_shift=0,
):
    """Steps 5 to 8 of the vector engine: int32 `t` (and an int8 `residual`) to int8.

    int64 holds every sum: it is at most 2^31 (2^24 - 1) + 255 (2^24 - 1) 2^31 = 2^63 - 2^39.
    """
    t, mantissa, shift = (np.asarray(x, np.int64) for x in (t, mantissa, shift))
    p = t * mantissa
    if residual is not None:
        q = np.asarray(residual, np.int64) - residual_zero_point
        p = p + (q * np.int64(residual_mantissa) << (shift - np.int64(residual_shift)) % 32)
    r = _round_half_even(p, shift)
    return np.clip(r + zero_point, low, high).astype(np.int8)


def _round_half_even(p, shift):
    """`p / 2^shift` to an integer, ties to the even one, for shift 0..63."""
    floor = p >> shift
    rest = p - (floor << shift)
    tie = 1 << np.maximum(shift - 1, 0)  # shift 0 has no rest, so no tie either
    up = (rest > tie) | ((rest == tie) & (floor & 1 == 1))
    return floor + up


def table(y, entries):
    """`entries[y + 128]`: an int8 from 256 for each int8."""
    return np.asarray(entries, np.int8)[np.asarray(y, np.int64) + 128]


def windows(x, window, stride=(1, 1), padding=NO_PADDING, outside=0):
    """What a sliding window sees: `[n, h, w, c]` gives `[n, h', w', kh, kw, c]`, in x's dtype."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=outside)
    seen = np.lib.stride_tricks.sliding_window_view(x, window, axis=(1, 2))
    return np.moveaxis(seen, 3, -1)[:, :: stride[0], :: stride[1]]


def conv2d(x, weight, stride=(1, 1), padding=NO_PADDING, outside=0, acc=None):
    """Convolution as a matrix product: int8 `[n, h, w, cin]` and `[kh, kw, cin, cout]` to int32.

    `outside` is read in the padding: the zero point of x.
    """
    kh, kw, cin, cout = weight.shape
    seen = windows(x, (kh, kw), stride, padding, outside)
    rows = seen.reshape(*seen.shape[:3], kh * kw * cin)
    return matmul(rows, weight.reshape(kh * kw * cin, cout), acc)


def max_pool(x, window, stride, padding=NO_PADDING):
    """Maximum over windows, -128 outside: int8 to int8."""
    largest = windows(x, window, stride, padding, outside=-128).max(axis=(3, 4))
    return requantize(largest, 1 << 23, 23)


def average_pool(
    x,
    window,
    stride,
    mantissa,
    shift,
    *,
    input_zero_point=0,
    zero_point=0,
    padding=NO_PADDING,
    low=-128,
    high=127,
):
    """Mean over windows, the zero point outside: int8 to int8.

    The scale is `input scale / (window size * output scale)`.
    """
    seen = windows(x, window, stride, padding, outside=input_zero_point)
    total = seen.sum(axis=(3, 4), dtype=np.int64)
    t = add_bias(total, -window[0] * window[1] * input_zero_point)
    return requantize(t, mantissa, shift, zero_point, low, high)


def add(
    a,
    b,
    a_mantissa,
    a_shift,
    b_mantissa,
    b_shift,
    *,
    a_zero_point=0,
    b_zero_point=0,
    zero_point=0,
    low=-128,
    high=127,
):
    """Sum of two int8 tensors, b as the residual: `0 <= a_shift - b_shift <= 31`."""
    return requantize(
        add_bias(a, -a_zero_point),
        a_mantissa,
        a_shift,
        zero_point,
        low,
        high,
        residual=b,
        residual_zero_point=b_zero_point,
        residual_mantissa=b_mantissa,
        residual_shift=b_shift,
    )
