"""compile_matmul: one matrix product as a program."""

import numpy as np

from ..config import Config
from ..errors import InputError
from ..isa import DType
from .program import Program
from .single import Single
from .window import Window

MAX_DIMENSION = 1 << 17


def compile_matmul(
    config: Config,
    m: int,
    k: int,
    n: int,
    *,
    weights: np.ndarray | None = None,
    bias: np.ndarray | int = 0,
    scale: np.ndarray | float = 1.0,
    input_zero_point: int = 0,
    zero_point: int = 0,
    low: int = -128,
    high: int = 127,
    table: np.ndarray | None = None,
    result: DType = DType.INT8,
) -> Program:
    """``y = a · b``: ``a`` int8 ``[m, k]``, ``b`` int8 ``[k, n]``, ``y`` int8 or int32 ``[m, n]`` (tensors of these names).

    ``weights`` is ``b`` as a constant; without it ``b`` is an input of the program. ``bias`` (int32 ``[n]`` or an int) is added
    to the sum, from which ``input_zero_point`` times the columns of ``weights`` is taken off. An int8 result is then scaled
    by ``scale`` (float32 ``[n]`` or one), rounded, moved by ``zero_point``, clipped to ``low`` … ``high`` and, with a ``table``
    (int8 ``[256]``), looked up: docs/numerics.md. ``m``, ``k`` and ``n`` are 1 to 131,072.

    InputError for a shape, dtype or value outside these, and for memories that are too small.
    """
    check_shape(m, k, n)
    single = Single(config, "matmul", (k, n), weights, bias, scale, input_zero_point, result)
    requantization = single.requantization(zero_point, low, high, table)
    return single.program((m, k), (m, n), Window(1, 1, m), requantization)


def check_shape(m: int, k: int, n: int) -> None:
    """InputError, naming the size, unless each is 1 to MAX_DIMENSION."""
    for name, size in {"m": m, "k": k, "n": n}.items():
        if not isinstance(size, int) or not 1 <= size <= MAX_DIMENSION:
            raise InputError(f"{name} must be 1 to {MAX_DIMENSION}, not {size}")
