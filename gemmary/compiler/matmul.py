"""compile_matmul: one matrix product as a program."""

import numpy as np

from ..config import Config
from ..errors import InputError
from ..isa import DType
from .contraction import Contraction
from .layout import Layout
from .lowering import lower_contraction
from .program import Layer, Program
from .requantization import Requantization
from .scales import mantissa_and_shift
from .tensor import check_array
from .weights import check_int8, folded_bias
from .window import Window

MAX_DIMENSION = 4096


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
    (int8 ``[256]``), looked up: docs/numerics.md. ``m``, ``k`` and ``n`` are 1 to 4096.

    InputError for a shape, dtype or value outside these, and for memories that are too small.
    """
    for name, size in {"m": m, "k": k, "n": n}.items():
        if not isinstance(size, int) or not 1 <= size <= MAX_DIMENSION:
            raise InputError(f"{name} must be 1 to {MAX_DIMENSION}, not {size}")
    if result not in (DType.INT8, DType.INT32):
        raise InputError(f"result must be INT8 or INT32, not {result}")
    bias = per_channel("bias", bias, n, np.int32)
    mantissa, shift = mantissa_and_shift(per_channel("scale", scale, n, np.float32))
    if check_int8("input_zero_point", input_zero_point):
        if weights is None:
            raise InputError("input_zero_point needs weights that are known when compiling")
        check_array("weights", weights, (k, n), np.dtype(np.int8))
        bias = folded_bias(weights, bias, input_zero_point)
    requantization = Requantization(result, bias, mantissa, shift, zero_point, low, high, table=table)

    layout = Layout(config)
    source = layout.tensor("a", (m, k))
    tiles = layout.weights("b" if weights is None else "weights", (k, n), weights)
    target = layout.tensor("y", (m, n), result)
    contraction = Contraction(
        source, tiles, target, Window(1, 1, m).folded(), requantization, *layout.requantization(requantization, n)
    )
    layer = Layer("matmul", "y", m * k * n, lower_contraction(config, contraction))
    return layout.program((layer,), inputs=("a",) if weights is not None else ("a", "b"), outputs=("y",))


def per_channel(name: str, value, channels: int, dtype) -> np.ndarray:
    """``value``, a number or an array ``[channels]``, as an array of ``dtype``. InputError for another shape or kind."""
    array = np.asarray(value)
    kind = np.integer if np.issubdtype(dtype, np.integer) else np.number
    if not np.issubdtype(array.dtype, kind):
        raise InputError(f"{name} must be {np.dtype(dtype).name}, not {array.dtype}")
    if array.shape not in ((), (channels,)):
        raise InputError(f"{name} must be one number or have the shape [{channels}], not {list(array.shape)}")
    if kind is np.integer and (array.min() < np.iinfo(dtype).min or array.max() > np.iinfo(dtype).max):
        raise InputError(f"{name} must fit {np.dtype(dtype).name}")
    return np.broadcast_to(array.astype(dtype), (channels,))
