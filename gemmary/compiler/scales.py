"""Scales as the vector engine takes them: mantissa · 2^−shift (docs/numerics.md)."""

import numpy as np

from ..errors import InputError

MANTISSA_BITS = 24
MAX_SHIFT = 63


def mantissa_and_shift(scale) -> tuple[np.ndarray, np.ndarray]:
    """Two int64 arrays of the shape of ``scale`` (float32): ``scale == mantissa * 2.0**-shift``.

    Below 2^−40 the mantissa is rounded, half to even, for shift 63. InputError for a scale that is negative, not finite, or
    2^24 and above.
    """
    scale = np.asarray(scale, np.float32).astype(np.float64)
    if not (np.isfinite(scale) & (scale >= 0)).all():
        raise InputError("scale must be finite and not negative")
    if (scale >= 1 << MANTISSA_BITS).any():
        raise InputError(f"scale must be below 2^{MANTISSA_BITS}, not {scale.max():g}")
    _, exponent = np.frexp(scale)  # scale is in 2^(exponent − 1) … 2^exponent
    shift = np.where(scale == 0, 0, np.minimum(MANTISSA_BITS - exponent, MAX_SHIFT)).astype(np.int64)
    return np.rint(np.ldexp(scale, shift)).astype(np.int64), shift
