"""compile_layer: one layer of a workload as a program, with random constants."""

from ..config import Config
from ..errors import InputError
from ..isa import DType
from ..performance.model import Timing
from ..workloads import Conv, Layer, Matmul
from .contraction import Contraction
from .first import compile_first
from .layout import Layout
from .lowering import lower_contraction
from .program import Layer as CompiledLayer
from .program import Program
from .requantization import ResidualOperand
from .runs import Run
from .tensor import Tensor
from .values import RESIDUAL_ZERO_POINT, Values, residual_scale
from .window import Window


def compile_layer(config: Config, layer: Layer, *, seed: int = 0, timing: Timing | None = None) -> Program:
    """A program of one layer: inputs ``a``, ``b`` (a right operand computed at run time) and ``residual``, result ``y``.

    Weights, bias and scales are drawn from ``seed``; ``reference_layer`` computes the result of the same seed, and
    ``layer_inputs`` draws inputs. Tensors have the shapes of the layer, those of a convolution with one image in front.
    ``timing`` is the memory to decide for (by default that of the cycle model). InputError for what is not supported.
    """
    return _LayerCompiler(config, layer, seed, timing).compile()


class _LayerCompiler:
    def __init__(self, config: Config, layer: Layer, seed: int, timing: Timing | None):
        self.config, self.layer, self.timing = config, layer, timing
        self.layout, self.values = Layout(config), Values.of(layer, seed)
        self.dtype = DType.INT8 if layer.output == "int8" else DType.INT32

    def compile(self) -> Program:
        runs = self._convolution() if isinstance(self.layer, Conv) else self._matmul()
        layer = CompiledLayer(self.layer.name, "y", self.layer.macs, runs)
        inputs = tuple(name for name in ("a", "b", "residual") if name in self.layout.tensors)
        return self.layout.program((layer,), inputs, ("y",))

    def _convolution(self) -> tuple[Run, ...]:
        layer, layout = self.layer, self.layout
        if layer.groups > 1:
            raise InputError(f"layer {layer.name!r}: groups are not supported yet")
        top, bottom, left, right = layer.padding
        window = Window(
            1, layer.height, layer.width, layer.kernel, layer.stride, padding=((top, bottom), (left, right))
        )
        target = layout.tensor("y", (1, *layer.output_shape), self.dtype)
        weights, outside = self.values.weights, self.values.input_zero_point
        if window.taps > 1 and not layer.residual:
            requantization = self.values.requantization(layer)
            operands = window, weights, requantization, target, outside
            if runs := compile_first(self.config, layout, "a", *operands):
                return runs
        source = layout.tensor("a", (1, *layer.input_shape))
        return self._contraction(source, weights, target, window)

    def _matmul(self) -> tuple[Run, ...]:
        layer: Matmul = self.layer
        if layer.batch > 1 or layer.transposed:
            raise InputError(f"layer {layer.name!r}: batch and transposed are not supported yet")
        source = self.layout.tensor("a", layer.input_shape)
        target = self.layout.tensor("y", layer.output_shape, self.dtype)
        weights = self.values.weights[0] if layer.constant else None
        return self._contraction(source, weights, target, Window(1, 1, layer.m))

    def _contraction(self, source: Tensor, weights, target: Tensor, window: Window) -> tuple[Run, ...]:
        layer, part = self.layer, 0 if isinstance(self.layer, Matmul) else slice(None)
        requantization = self.values.requantization(layer, part, self._residual())
        shape = (layer.k, layer.n) if weights is None else weights.shape
        tiles = self.layout.weights("b", shape, weights)
        addresses = self.layout.requantization(requantization, layer.n)
        operands = source, tiles, target, window.folded(), requantization, *addresses, self.values.input_zero_point
        return lower_contraction(self.config, Contraction(*operands))

    def _residual(self) -> ResidualOperand | None:
        if not self.layer.residual:
            return None
        tensor = self.layout.tensor("residual", self.layout.tensors["y"].shape)
        return ResidualOperand(tensor, RESIDUAL_ZERO_POINT, *residual_scale())
