"""Random constants and inputs for a layer of a workload, and what the layer makes of them."""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..isa import DType
from ..workloads import Conv, Layer, Matmul
from .requantization import Requantization
from .scales import mantissa_and_shift
from .weights import folded_bias

UNIFORM = 74.0
"""Standard deviation of a random int8."""

BIAS = 1 << 15
"""Random biases are smaller."""

SPREAD = 50.0
"""Standard deviation of an int8 result, before it is clipped."""

RESIDUAL_SCALE, RESIDUAL_ZERO_POINT = 0.375, -5


@dataclass(frozen=True)
class Values:
    """The constants of a layer. ``weights`` is int8, ``[batch, k, n]`` of a matmul (None: computed at run time) or
    ``[kh, kw, cin / groups, cout]``; ``bias`` int32 is the plain one and ``folded`` the one with the input's zero point in it,
    ``[cout]`` or ``[batch, n]``; ``mantissa``, ``shift`` likewise. With weights of run time all three are single numbers.
    """

    weights: np.ndarray | None
    bias: np.ndarray | int
    folded: np.ndarray | int
    mantissa: np.ndarray | int
    shift: np.ndarray | int
    input_zero_point: int
    zero_point: int
    low: int
    high: int
    table: np.ndarray | None

    @classmethod
    def of(
        cls,
        layer: Layer,
        seed: int,
        *,
        input_zero_point: int | None = None,
        spread: float = UNIFORM,
        scalar: bool = False,
    ) -> "Values":
        """Drawn from ``seed``, so that int8 results spread over their range, for inputs that ``spread`` (root mean square) around
        ``input_zero_point``, or around one that is drawn too. ``scalar``: with one scale for all channels."""
        if layer.output == "int32" and (layer.activation != "none" or layer.residual):
            raise InputError(f"layer {layer.name!r}: an int32 output takes neither an activation nor a residual")
        rng = np.random.default_rng([seed, 1])
        sums = UNIFORM * spread * np.sqrt(layer.k)
        scale, zero_point = SPREAD / sums, int(rng.integers(-16, 17))
        low = zero_point if layer.activation in ("relu", "relu6") else -128
        high = min(127, zero_point + 96) if layer.activation == "relu6" else 127
        table = _gelu(zero_point) if layer.activation == "gelu" else None
        rest = {"zero_point": zero_point, "low": low, "high": high, "table": table}
        if isinstance(layer, Matmul) and not layer.constant:
            mantissa, shift = map(int, mantissa_and_shift(scale))
            return cls(None, 0, 0, mantissa, shift, 0, **rest)
        if isinstance(layer, Conv):
            shape, channels = (*layer.kernel, layer.cin // layer.groups, layer.cout), (layer.cout,)
        else:
            shape, channels = (layer.batch, layer.k, layer.n), (layer.batch, layer.n)
        weights, zero_in = rng.integers(-128, 128, shape, np.int8), int(rng.integers(-16, 17))
        zero_in = zero_in if input_zero_point is None else input_zero_point
        limit = BIAS if spread == UNIFORM else min(BIAS, int(sums))
        bias = rng.integers(-limit, limit, channels).astype(np.int32)
        scales = (rng.uniform(0.5, 1.5, channels) * scale).astype(np.float32)
        mantissa, shift = map(int, mantissa_and_shift(scale)) if scalar else mantissa_and_shift(scales)
        if isinstance(layer, Conv):
            folded = folded_bias(weights, bias, zero_in)
        else:
            folded = np.stack([folded_bias(*pair, zero_in) for pair in zip(weights, bias)])
        return cls(weights, bias, folded, mantissa, shift, zero_in, **rest)

    def requantization(self, layer: Layer, part=slice(None), residual=None) -> Requantization:
        """For the channels ``part`` of the constants; ``residual`` is the operand to add."""
        each = [np.asarray(v)[part] if np.ndim(v) else v for v in (self.folded, self.mantissa, self.shift)]
        settings = self.zero_point, self.low, self.high, residual, self.table
        return Requantization(DType.INT8 if layer.output == "int8" else DType.INT32, *each, *settings)


def residual_scale() -> tuple[int, int]:
    """Mantissa and shift of the residual operand."""
    mantissa, shift = mantissa_and_shift(RESIDUAL_SCALE)
    return int(mantissa), int(shift)


def layer_inputs(layer: Layer, seed: int = 0) -> dict[str, np.ndarray]:
    """Random int8 inputs by name, in the shapes that ``compile_layer`` asks for."""
    rng = np.random.default_rng([seed, 2])
    shapes = {"a": _image(layer, layer.input_shape)}
    if isinstance(layer, Matmul) and not layer.constant:
        matrix = (layer.n, layer.k) if layer.transposed else (layer.k, layer.n)
        shapes["b"] = matrix if layer.batch == 1 else (layer.batch, *matrix)
    if layer.residual:
        shapes["residual"] = _image(layer, layer.output_shape)
    return {name: rng.integers(-128, 128, shape, np.int8) for name, shape in shapes.items()}


def reference_layer(layer: Layer, seed: int, inputs: dict[str, np.ndarray], values: Values | None = None) -> np.ndarray:
    """What the program of ``compile_layer`` with this seed, or one with these ``values``, makes of ``inputs``, by NumPy alone
    (docs/numerics.md)."""
    values = values or Values.of(layer, seed)
    a = inputs["a"].astype(np.int16) - values.input_zero_point
    sums = (
        _convolve(layer, a[0], values.weights)[None] if isinstance(layer, Conv) else _multiply(layer, a, values, inputs)
    )
    shape, bias = sums.shape, np.asarray(values.bias)
    if bias.ndim == 2:  # [batch, n]
        bias = bias[:, None] if layer.batch > 1 else bias[0]
    total = (sums + bias).astype(np.int32)
    if layer.output == "int32":
        return total
    mantissa, shift = (_channels(layer, np.asarray(v, np.int64)) for v in (values.mantissa, values.shift))
    product = total * mantissa
    if layer.residual:
        factor, residual_shift = residual_scale()
        residual = (inputs["residual"].astype(np.int64) - RESIDUAL_ZERO_POINT) * factor
        product += residual << (shift - residual_shift)
    result = np.clip(rounded(product, shift) + values.zero_point, values.low, values.high).reshape(shape)
    return (result if values.table is None else values.table[result + 128]).astype(np.int8)


def _image(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1, *shape) if isinstance(layer, Conv) else shape


def _channels(layer: Layer, array: np.ndarray) -> np.ndarray:
    if array.ndim < 2:
        return array
    return array[:, None] if layer.batch > 1 else array[0]


def _gelu(zero_point: int) -> np.ndarray:
    """The table of GELU (its tanh form) for inputs and outputs of scale 1/32, outputs around −64."""
    x = (np.arange(-128, 128) - zero_point) / 32
    y = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return np.clip(np.rint(y * 32) - 64, -128, 127).astype(np.int8)


def _multiply(layer: Matmul, a: np.ndarray, values: Values, inputs) -> np.ndarray:
    """Exact sums as int64: below 2^53, so float64 takes the fast path."""
    if layer.constant:
        b = values.weights if layer.batch > 1 else values.weights[0]
    else:
        b = np.swapaxes(inputs["b"], -1, -2) if layer.transposed else inputs["b"]
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)


def _convolve(layer: Conv, image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums of a convolution whose zero is 0, tap by tap; int64 ``[height, width, cout]``."""
    (kh, kw), (sy, sx), (top, bottom, left, right) = layer.kernel, layer.stride, layer.padding
    padded = np.pad(image, ((top, bottom), (left, right), (0, 0))).astype(np.float64)
    height, width, cout = layer.output_shape
    total = np.zeros((height * width, cout))
    cin, each = layer.cin // layer.groups, layer.cout // layer.groups
    for ky in range(kh):
        for kx in range(kw):
            seen = padded[ky : ky + (height - 1) * sy + 1 : sy, kx : kx + (width - 1) * sx + 1 : sx]
            seen, weight = seen.reshape(height * width, layer.cin), weights[ky, kx].astype(np.float64)
            if cin == each == 1:
                total += seen * weight
                continue
            for g in range(layer.groups):
                columns = slice(g * each, (g + 1) * each)
                total[:, columns] += seen[:, g * cin : (g + 1) * cin] @ weight[:, columns]
    return total.astype(np.int64).reshape(height, width, cout)


def rounded(value: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """``value / 2^shift``, half to even."""
    floor = value >> shift
    rest = value - (floor << shift)
    half = np.int64(1) << np.maximum(shift - 1, 0)
    return floor + ((rest > half) | ((rest == half) & (floor & 1 == 1)))
