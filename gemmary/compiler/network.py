"""compile_network: a quantized network, layer by layer."""

import numpy as np

from ..config import Config
from ..errors import InputError
from ..isa import Reduction
from ..models.network import Add, AveragePool, Conv2D, Dense, MaxPool, Network
from .assemble import assemble
from .contraction import Contraction
from .elementwise import Elementwise, lower_elementwise
from .first import compile_first
from .layout import Layout
from .lowering import lower_contraction
from .pooling import Pooling, lower_pooling
from .program import Program
from .requantization import Requantization, ResidualOperand
from .tensor import Tensor
from .tiled import Tiled, TiledLayer
from .weights import folded_bias
from .window import Window


def compile_network(config: Config, network: Network, batch: int) -> Program:
    """A program for ``batch`` images, with every tensor of the network under its name, ``[batch, …]``.

    InputError, naming the layer, for a layer that the machine does not know or that does not fit its memories.
    """
    if batch < 1:
        raise InputError(f"batch must be at least 1, not {batch}")
    layout = Layout(config)
    for name, shape in network.shapes.items():
        if name != network.input:
            layout.tensor(name, (batch, *shape))
    layers = tuple(_LayerCompiler(config, network, layout, layer, batch).compile() for layer in network.layers)
    return assemble(layout, layers, (network.input,), (network.output,))


class _LayerCompiler:
    """One layer of a network."""

    def __init__(self, config: Config, network: Network, layout: Layout, layer, batch: int):
        self.config, self.network, self.layout, self.layer, self.batch = config, network, layout, layer, batch
        self.result = layout.tensors[layer.output]
        self.zero_in = network.quantization[layer.input].zero_point
        self.zero_out = network.quantization[layer.output].zero_point
        self.quantization = network.quantization

    def compile(self) -> TiledLayer:
        lower = {
            Conv2D: self._convolution,
            Dense: self._dense,
            MaxPool: self._max_pool,
            AveragePool: self._average_pool,
            Add: self._add,
        }.get(type(self.layer))
        if lower is None:
            raise InputError(f"layer {self.layer.name!r}: no code is known for a {type(self.layer).__name__}")
        try:
            macs, parts = lower()
        except InputError as error:
            raise InputError(f"layer {self.layer.name!r}: {error}") from None
        return TiledLayer(self.layer.name, self.layer.output, macs, parts)

    def _tensor(self, name: str) -> Tensor:
        """The tensor ``name``; the network's input gets its place when it is first asked for."""
        if name not in self.layout.tensors:
            self.layout.tensor(name, (self.batch, *self.network.shapes[name]))
        return self.layout.tensors[name]

    def _window(self, **shape) -> Window:
        *size, _ = self.network.shapes[self.layer.input]
        return Window(self.batch, *(size or (1, 1)), **shape)

    def _convolution(self) -> tuple[int, tuple[Tiled, ...]]:
        layer = self.layer
        window = self._window(kernel=layer.weight.shape[:2], stride=layer.stride, padding=layer.padding)
        users = [name for other in self.network.layers for name in _reads(other)]
        if layer.input == self.network.input and users.count(layer.input) == 1 and layer.residual is None:
            requantization = self._requantization(folded_bias(layer.weight, layer.bias, self.zero_in))
            operands = window, layer.weight, requantization, self.result, self.zero_in
            if parts := compile_first(self.config, self.layout, layer.input, *operands):
                return window.positions * layer.weight.size, parts
        return self._contraction(window, layer.weight)

    def _dense(self) -> tuple[int, tuple[Tiled, ...]]:
        """A convolution whose kernel is the whole image."""
        *size, channels = self.network.shapes[self.layer.input]
        size = tuple(size) or (1, 1)
        weight = self.layer.weight.reshape(*size, channels, -1)
        return self._contraction(self._window(kernel=size), weight)

    def _contraction(self, window: Window, weight: np.ndarray) -> tuple[int, tuple[Tiled, ...]]:
        layer, layout, channels = self.layer, self.layout, weight.shape[-1]
        requantization = self._requantization(folded_bias(weight, layer.bias, self.zero_in))
        weights = layout.weights(f"{layer.name}.weight", weight.shape, weight)
        addresses = layout.requantization(requantization, channels)
        contraction = Contraction(
            self._tensor(self.layer.input),
            weights,
            self.result,
            window.folded(),
            requantization,
            *addresses,
            self.zero_in,
        )
        return window.positions * weight.size, lower_contraction(self.config, contraction)

    def _requantization(self, bias: np.ndarray | int) -> Requantization:
        layer = self.layer
        residual = getattr(layer, "residual", None)
        return Requantization(
            bias=bias,
            mantissa=layer.scale.mantissa,
            shift=layer.scale.shift,
            zero_point=self.zero_out,
            low=layer.low,
            high=layer.high,
            residual=residual
            and ResidualOperand(
                self._tensor(residual.tensor),
                self.quantization[residual.tensor].zero_point,
                int(residual.scale.mantissa),
                int(residual.scale.shift),
            ),
        )

    def _pool(
        self, reduction: Reduction, constant: int, requantization: Requantization
    ) -> tuple[int, tuple[Tiled, ...]]:
        layer = self.layer
        window = self._window(kernel=layer.window, stride=layer.stride, padding=layer.padding).folded()
        pooling = Pooling(self._tensor(self.layer.input), self.result, window, reduction, constant, requantization)
        return 0, lower_pooling(self.config, pooling)

    def _max_pool(self) -> tuple[int, tuple[Tiled, ...]]:
        return self._pool(Reduction.MAX, -128, Requantization())

    def _average_pool(self) -> tuple[int, tuple[Tiled, ...]]:
        kh, kw = self.layer.window
        return self._pool(Reduction.SUM, self.zero_in, self._requantization(-kh * kw * self.zero_in))

    def _add(self) -> tuple[int, tuple[Tiled, ...]]:
        requantization = self._requantization(-self.zero_in)
        return 0, lower_elementwise(
            self.config, Elementwise(self._tensor(self.layer.input), self.result, requantization)
        )


def _reads(layer) -> list[str]:
    """Names of the tensors that a layer reads."""
    residual = getattr(layer, "residual", None)
    return [layer.input] + ([residual.tensor] if residual else [])
