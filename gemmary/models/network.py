"""A quantized network as plain data: what the code generator reads and the golden model runs.

Activations are int8 tensors in NHWC order, `[batch, height, width, channel]`. Layers refer to them
by name. A tensor stands for the values `scale * (q - zero_point)`, with one `Quantization` each.
Every layer computes what docs/numerics.md says and rounds once.

Weights are symmetric (zero point 0). A layer's `bias` is the plain one, in units of
`input scale * weight scale`: the term `-zero_point * sum(weight)` of the input's zero point is NOT
in it, whoever computes the layer adds that. Padding stands for the value 0, so what is read outside
an image is the input's zero point (for `MaxPool`: -128).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Shape = tuple[int, ...]
"""Of one image, so without the batch: `(height, width, channel)` or `(channel,)`."""

Padding = tuple[tuple[int, int], tuple[int, int]]
"""`((top, bottom), (left, right))`, as for `numpy.pad`."""

NO_PADDING: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True)
class Quantization:
    """What the int8 values of a tensor stand for: `scale * (q - zero_point)`.

    `scale` is a float32 held in a Python float; -128 <= `zero_point` <= 127.
    """

    scale: float
    zero_point: int


@dataclass(frozen=True, eq=False)
class Scale:
    """The factor of a requantization: `real`, exactly `mantissa * 2**-shift`.

    For each output channel: `real` float32, `mantissa` uint32, `shift` uint8, all of shape
    `[cout]`. For all channels at once: `float`, `int`, `int`. (A `real` below 2**-40 is rounded to
    a mantissa for shift 63, as docs/numerics.md says.)
    """

    real: np.ndarray | float
    mantissa: np.ndarray | int
    shift: np.ndarray | int


@dataclass(frozen=True, eq=False)
class Residual:
    """A tensor of the output's shape, added to a layer's result before the one rounding.

    `scale` is a single one: the tensor's scale over the output's scale. Its shift is at most the
    layer's own in every channel, and less by at most 31.
    """

    tensor: str
    scale: Scale


@dataclass(frozen=True, eq=False)
class Conv2D:
    """Convolution, plus a residual if there is one, clipped to `low`..`high`.

    `weight` is int8 `[kh, kw, cin, cout]`, `bias` int32 `[cout]`, `weight_scale` float32 `[cout]`.
    `scale` has one entry for each output channel: float32 of the exact
    `input scale * weight_scale / output scale`. ReLU is `low` = the output's zero point.
    """

    name: str
    input: str
    output: str
    weight: np.ndarray
    bias: np.ndarray
    weight_scale: np.ndarray
    scale: Scale
    stride: tuple[int, int] = (1, 1)
    padding: Padding = NO_PADDING
    residual: Residual | None = None
    low: int = -128
    high: int = 127

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = shape
        kh, kw, cin, cout = self.weight.shape
        if channels != cin:
            raise ValueError(f"{self.name}: {channels} input channels, but the weight has {cin}")
        return (*_positions((height, width), (kh, kw), self.stride, self.padding), cout)


@dataclass(frozen=True, eq=False)
class Dense:
    """Fully connected layer; the input is flattened in NHWC order.

    `weight` is int8 `[cin, cout]`; the rest is as for `Conv2D`.
    """

    name: str
    input: str
    output: str
    weight: np.ndarray
    bias: np.ndarray
    weight_scale: np.ndarray
    scale: Scale
    residual: Residual | None = None
    low: int = -128
    high: int = 127

    def output_shape(self, shape: Shape) -> Shape:
        cin, cout = self.weight.shape
        if np.prod(shape) != cin:
            raise ValueError(f"{self.name}: input of shape {shape}, but the weight has {cin} rows")
        return (cout,)


@dataclass(frozen=True)
class MaxPool:
    """Maximum over a window. Output and input share one quantization; padding never wins."""

    name: str
    input: str
    output: str
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = NO_PADDING

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = shape
        return (*_positions((height, width), self.window, self.stride, self.padding), channels)


@dataclass(frozen=True, eq=False)
class AveragePool:
    """Mean over a window, padding included (as the value 0).

    `scale` is a single one: `input scale / (window size * output scale)`.
    """

    name: str
    input: str
    output: str
    window: tuple[int, int]
    stride: tuple[int, int]
    scale: Scale
    padding: Padding = NO_PADDING
    low: int = -128
    high: int = 127

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = shape
        return (*_positions((height, width), self.window, self.stride, self.padding), channels)


@dataclass(frozen=True, eq=False)
class Add:
    """Sum of two tensors of one shape, the second one as the residual.

    `scale` is a single one: `input scale / output scale`. Whichever operand has the smaller scale
    is the input, as the residual's shift may not be the larger one.
    """

    name: str
    input: str
    output: str
    scale: Scale
    residual: Residual
    low: int = -128
    high: int = 127

    def output_shape(self, shape: Shape) -> Shape:
        return shape


Layer = Conv2D | Dense | MaxPool | AveragePool | Add


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in the order in which they run, each one reading tensors that exist by then.

    `input_shape` is that of one image of the tensor `input`; `output` is the last result.
    `quantization` has every tensor by name. Raises `ValueError` for a network that does not fit
    together.
    """

    name: str
    input: str
    input_shape: Shape
    output: str
    quantization: Mapping[str, Quantization]
    layers: tuple[Layer, ...]

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of every tensor, without the batch."""
        shapes = {self.input: self.input_shape}
        for layer in self.layers:
            if layer.input not in shapes:
                raise ValueError(f"{layer.name}: no tensor {layer.input!r} yet")
            if layer.output in shapes:
                raise ValueError(f"{layer.name}: writes {layer.output!r} a second time")
            shape = layer.output_shape(shapes[layer.input])
            residual = getattr(layer, "residual", None)
            if residual and shapes.get(residual.tensor) != shape:
                raise ValueError(f"{layer.name}: residual {residual.tensor!r} is not {shape}")
            shapes[layer.output] = shape
        return shapes

    def __post_init__(self):
        if self.shapes.keys() != self.quantization.keys():
            missing = sorted(self.shapes.keys() ^ self.quantization.keys())
            raise ValueError(f"tensors without quantization, or the reverse: {missing}")
        if self.output not in self.shapes:
            raise ValueError(f"no layer writes the output {self.output!r}")
        for layer in self.layers:
            self._check(layer)

    def _check(self, layer: Layer):
        residual = getattr(layer, "residual", None)
        if residual:
            distance = np.asarray(layer.scale.shift, np.int64) - residual.scale.shift
            if distance.min() < 0 or distance.max() > 31:
                raise ValueError(f"{layer.name}: shift - residual shift is not within 0..31")
        same = self.quantization[layer.input] == self.quantization[layer.output]
        if isinstance(layer, MaxPool) and not same:
            raise ValueError(f"{layer.name}: a max pool cannot change the quantization")


def _positions(size, window, stride, padding) -> tuple[int, int]:
    """How many places a window takes along height and width."""
    return tuple(
        (n + before + after - k) // step + 1
        for n, k, step, (before, after) in zip(size, window, stride, padding, strict=True)
    )
