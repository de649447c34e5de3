"""A program of one contraction, with its operands as arrays: what compile_matmul and compile_conv2d share."""

from math import prod

import numpy as np

from ..config import Config
from ..errors import InputError
from ..isa import DType
from .assemble import assemble
from .contraction import Contraction
from .first import compile_first
from .layout import Layout
from .lowering import lower_contraction
from .program import Program
from .requantization import Requantization
from .scales import mantissa_and_shift
from .tensor import Tensor, check_array
from .tiled import TiledLayer
from .weights import check_int8, folded_bias
from .window import Window


class Single:
    """Checks weights ``[…, cin, cout]`` (None: an input of the program), bias and scale. Raises InputError."""

    def __init__(self, config: Config, name: str, shape, weights, bias, scale, input_zero_point: int, result: DType):
        if result not in (DType.INT8, DType.INT32):
            raise InputError(f"result must be INT8 or INT32, not {result}")
        channels = shape[-1]
        if weights is not None:
            check_array("weights", weights, tuple(shape), np.dtype(np.int8))
        self.config, self.name, self.shape, self.weights, self.result = config, name, tuple(shape), weights, result
        self.mantissa, self.shift = mantissa_and_shift(_per_channel("scale", scale, channels, np.float32))
        self.bias = _per_channel("bias", bias, channels, np.int32)
        self.input_zero_point = check_int8("input_zero_point", input_zero_point)
        if input_zero_point:
            if weights is None:
                raise InputError("input_zero_point needs weights that are known when compiling")
            self.bias = folded_bias(weights, self.bias, input_zero_point)

    def requantization(self, zero_point: int, low: int, high: int, table: np.ndarray | None) -> Requantization:
        return Requantization(
            self.result, self.bias, self.mantissa, self.shift, zero_point, low, high, table=table
        )  # fmt: skip

    def program(self, source_shape, result_shape, window: Window, requantization: Requantization) -> Program:
        """From tensor ``a`` (and ``b``) to tensor ``y``."""
        layout, known = Layout(self.config), self.weights is not None
        target = layout.tensor("y", result_shape, self.result)
        parts = None
        if known and window.taps > 1:
            first = "a", window, self.weights, requantization, target, self.input_zero_point
            parts = compile_first(self.config, layout, *first)
        parts = parts or self._contraction(layout, source_shape, target, window, requantization)
        layer = TiledLayer(self.name, "y", window.positions * prod(self.shape), parts)
        return assemble(layout, (layer,), ("a",) if known else ("a", "b"), ("y",))

    def _contraction(self, layout: Layout, source_shape, target: Tensor, window: Window, requantization):
        source = layout.tensor("a", source_shape)
        tiles = layout.weights("b", self.shape, self.weights)
        addresses = layout.requantization(requantization, self.shape[-1])
        operands = source, tiles, target, window.folded(), requantization
        return lower_contraction(self.config, Contraction(*operands, *addresses, self.input_zero_point))


def _per_channel(name: str, value, channels: int, dtype) -> np.ndarray:
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
