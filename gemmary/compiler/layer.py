"""compile_layer: one layer of a workload as a program, with random constants."""

from dataclasses import replace

import numpy as np

from ..config import Config
from ..isa import DType
from ..performance.model import Timing
from ..workloads import Conv, Layer
from .assemble import assemble
from .contraction import Contraction
from .depthwise import TAPS, fits_window, lower_depthwise, streamed_rows, window_weights
from .diagonal import diagonal_weights, lower_diagonal
from .first import compile_first
from .layout import Layout
from .lowering import lower_contraction
from .operands import KeyOperand, RowOperand
from .program import Program
from .requantization import ResidualOperand
from .tensor import Stack, Tensor, Turned
from .tiled import Tiled, TiledLayer
from .tiling import estimated_cycles
from .values import RESIDUAL_ZERO_POINT, Values, residual_scale
from .window import Window


def compile_layer(config: Config, layer: Layer, *, seed: int = 0, timing: Timing | None = None) -> Program:
    """A program of one layer: inputs ``a``, ``b`` (a right operand computed at run time) and ``residual``, result ``y``.

    Weights, bias and scales are drawn from ``seed``; ``reference_layer`` computes the result of the same seed, and
    ``layer_inputs`` draws inputs. Tensors have the shapes of the layer, those of a convolution with one image in front.
    ``timing`` is the memory to decide for (by default that of the cycle model). InputError for what is not supported.
    """
    return _LayerCompiler(config, layer, seed, timing or Timing(config)).compile()


class _LayerCompiler:
    def __init__(self, config: Config, layer: Layer, seed: int, timing: Timing):
        self.config, self.layer, self.timing = config, layer, timing
        self.layout, self.values = Layout(config), Values.of(layer, seed)
        self.dtype = DType.INT8 if layer.output == "int8" else DType.INT32

    def compile(self) -> Program:
        if isinstance(self.layer, Conv):
            parts = self._convolution()
        else:
            operations = self._products() if self.layer.constant else self._products_of_run_time()
            parts = lower_contraction(self.config, *operations, timing=self.timing)
        layer = TiledLayer(self.layer.name, "y", self.layer.macs, parts)
        inputs = tuple(name for name in ("a", "b", "residual") if name in self.layout.tensors)
        return assemble(self.layout, (layer,), inputs, ("y",), self.timing)

    def _convolution(self) -> tuple[Tiled, ...]:
        layer, layout = self.layer, self.layout
        top, bottom, left, right = layer.padding
        padding = (top, bottom), (left, right)
        window = Window(1, layer.height, layer.width, layer.kernel, layer.stride, padding=padding)
        target = layout.tensor("y", (1, *layer.output_shape), self.dtype)
        weights, outside = self.values.weights, self.values.input_zero_point
        if window.taps > 1 and layer.groups == 1 and not layer.residual:
            operands = window, weights, self.values.requantization(layer), target, outside
            if parts := compile_first(self.config, layout, "a", *operands, timing=self.timing):
                return parts
        source = layout.tensor("a", (1, *layer.input_shape))
        residual = layout.tensor("residual", target.shape) if layer.residual else None
        if layer.groups > 1:
            return self._groups(source, weights, target, window, residual)
        operation = self._contraction(source, weights, target, window, slice(None), residual)
        return lower_contraction(self.config, operation, timing=self.timing)

    def _groups(self, source: Tensor, weights: np.ndarray, target: Tensor, window: Window, residual: Tensor | None):
        """Single channels with the array's window, or groups within a word as the blocks of diagonal tiles, whichever takes fewer
        rows; else so many groups as make whole words are one contraction."""
        layer, rows = self.layer, self.config.rows
        cin, cout = layer.cin // layer.groups, layer.cout // layer.groups
        diagonal_rows = window.taps * window.positions
        if cin == cout == 1 and fits_window(self.config, window) and streamed_rows(window) <= diagonal_rows:
            taps = window_weights(weights)
            operation = self._contraction(source, taps, target, window, slice(None), residual, rows=TAPS)
            return lower_depthwise(replace(operation, window=window), self.timing)
        if cin == cout and rows % cin == 0:
            weights = diagonal_weights(weights, layer.groups, rows)
            operation = self._contraction(source, weights, target, window, slice(None), residual)
            return lower_diagonal(replace(operation, diagonal=True), self.timing)
        whole = [n for n in range(1, layer.groups) if n * cin % rows == n * cout % rows == layer.groups % n == 0]
        size = min(whole, default=layer.groups)
        operations = []
        for i in range(layer.groups // size):
            inputs, outputs = (slice(i * size * n, (i + 1) * size * n) for n in (cin, cout))
            block = diagonal_weights(weights[..., outputs], size, size * cin)
            views = source.part(inputs), block, target.part(outputs), window, outputs
            operations.append(self._contraction(*views, residual and residual.part(outputs)))
        return lower_contraction(self.config, *operations, timing=self.timing)

    def _products(self) -> list[Contraction]:
        """A contraction a head, with constant weights."""
        layer = self.layer
        sources, targets = self._heads("a", (layer.m, layer.k)), self._heads("y", (layer.m, layer.n), self.dtype)
        residuals = self._heads("residual", (layer.m, layer.n)) if layer.residual else [None] * layer.batch
        window = Window(1, 1, layer.m)
        return [
            self._contraction(sources[i], self.values.weights[i], targets[i], window, i, residuals[i])
            for i in range(layer.batch)
        ]

    def _contraction(
        self, source, weights: np.ndarray, target, window: Window, part, residual: Tensor | None, rows=None
    ):
        """With constant weights in tiles of ``rows``, and those channels of the constants that are ``part``."""
        operand = residual and ResidualOperand(residual, RESIDUAL_ZERO_POINT, *residual_scale())
        requantization = self.values.requantization(self.layer, part, operand)
        tiles = self.layout.weights("weights", weights.shape, weights, rows)
        addresses = self.layout.requantization(requantization, weights.shape[-1])
        operands = source, tiles, target, window.folded(), requantization, *addresses, self.values.input_zero_point
        return Contraction(*operands)

    def _products_of_run_time(self) -> list[Contraction]:
        """A contraction a head, its weights read from ``b`` as it lies. With few rows and a transposed ``b`` the layer is
        computed as b · aᵀ, where that takes fewer cycles; its result then lies transposed."""
        layer = self.layer
        shape = (layer.n, layer.k) if layer.transposed else (layer.k, layer.n)
        a = self._heads("a", (layer.m, layer.k))
        b = self._heads("b", shape, multiple=1 if layer.transposed else self.config.rows)
        residual = self._heads("residual", (layer.m, layer.n)) if layer.residual else None
        table = self.layout.table(self.values.requantization(layer))
        straight = a, b, self._stack("y", (layer.m, layer.n), self.dtype)
        turned = b, a, self._stack("y", (layer.n, layer.m), self.dtype, kind=Turned)

        def cycles(operands):
            estimate = estimated_cycles(self.timing, self._product(*operands, residual, 0, table))
            return float("inf") if estimate is None else estimate

        turn = layer.transposed and not layer.residual and cycles(turned) < cycles(straight)
        left, right, target = turned if turn else straight
        target = self.layout.place(target)
        return [self._product(left, right, target, residual, i, table) for i in range(layer.batch)]

    def _product(self, left: Stack, right: Stack, target: Stack, residual: Stack | None, i: int, table: int | None):
        """Head ``i`` with the right operand that was computed at run time."""
        operand = residual and ResidualOperand(residual[i], RESIDUAL_ZERO_POINT, *residual_scale())
        kind = KeyOperand if self.layer.transposed else RowOperand
        weights = kind(right[i], self.config.rows, self.config.columns)
        requantization = self.values.requantization(self.layer, residual=operand)
        window = Window(1, 1, left[i].positions)
        return Contraction(left[i], weights, target[i], window, requantization, 0, table)

    def _stack(self, name: str, shape: tuple[int, int], dtype: DType = DType.INT8, kind=Tensor, **options) -> Stack:
        word = self.config.rows if dtype == DType.INT8 else self.config.columns
        return Stack(kind(name, shape, dtype, 0, word, **options), self.layer.batch)

    def _heads(self, *arguments, **options) -> Stack:
        """A matrix for each of the layer's heads, in its place."""
        return self.layout.place(self._stack(*arguments, **options))
