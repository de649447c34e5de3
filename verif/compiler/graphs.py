"""Random valid models of the graph level, drawn by Hypothesis, so that a failing one shrinks to a small one.

They have every operator of the machine with all that fuses into it, on images and on rows of tokens, chains and branches, int8 and
wide results; and what stays on the host, between two programs.
"""

from importlib.util import find_spec
from math import prod
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from xdsl.dialects.builtin import DictionaryAttr, StringAttr, UnitAttr
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, SSAValue

from gemmary.compiler.ir import GraphContext, Model, new_model
from gemmary.compiler.ir.base import integer, ints, positions, real
from gemmary.compiler.ir.contractions import Conv2D, MatMul
from gemmary.compiler.ir.edges import Dequantize, Float, Quantize, Scale
from gemmary.compiler.ir.normal import LayerNorm, Softmax
from gemmary.compiler.ir.numerics import multiplier
from gemmary.compiler.ir.shapes import Concat, Reshape, Transpose
from gemmary.compiler.ir.types import Quantized, quantization, shape_of, tensor_type
from gemmary.compiler.ir.vector import Add, AveragePool, MaxPool, Table

GATES = ("gate",) if find_spec("onnx") else ()  # which computes float operators
ANY = ("add", "table", "concat", "softmax", "layer_norm", "product", "wide_product", "reshape", "transpose", *GATES)
IMAGES = (
    "conv2d",
    "conv2d",
    "grouped",
    "depthwise",
    "residual",
    "wide",
    "pooled",
    "pooled",
    "max_pool",
    "average_pool",
    "mean",
    "tokens",
    *ANY,
)
TOKENS = ("product", "residual_product", "attention", "image", *ANY)


class Drawn(NamedTuple):
    """A model and its inputs; shown as its text."""

    model: Model
    inputs: dict[str, np.ndarray]

    def __repr__(self) -> str:
        return self.model.text()


@st.composite
def models(draw) -> Drawn:
    """Up to six steps on an image or on rows of tokens; several of its values may be results."""
    return _Drawing(draw).model()


class _Drawing:
    """Methods named in IMAGES and TOKENS append to the model; they return the value, or None where they cannot."""

    def __init__(self, draw):
        self.draw, self.context = draw, GraphContext()
        self.rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
        self.block, self.values, self.wide_results = Block(), [], []

    def model(self) -> Drawn:
        channels = self.draw(st.one_of(st.integers(1, 20), st.sampled_from((8, 16, 24, 32, 40))))
        sides = st.one_of(st.integers(1, 7), st.integers(8, 14))
        shape = (self.number(1, 2), self.draw(sides), self.draw(sides), channels)
        if self.draw(st.booleans()):
            shape = (*self.draw(st.sampled_from((shape[1:2], shape[:2]))), channels)
        self.values.append(self.block.insert_arg(tensor_type(shape, self.quantization()), 0))
        for _ in range(self.number(1, 6)):
            x = self.draw(st.sampled_from(self.values[-3:]))
            kind = self.draw(st.sampled_from(IMAGES if len(shape_of(x)) == 4 else TOKENS))
            value = getattr(self, kind)(x)
            if value is not None and prod(shape_of(value)) <= 1 << 14:
                self.values.append(value)
        outputs = [self.values[-1], *self.wide_results]
        if len(self.values) > 2 and self.draw(st.booleans()):
            outputs.append(self.values[1])
        self.block.add_op(ReturnOp(*outputs))
        model = new_model(self.context, self.block, ["x"], [f"y{i}" for i in range(len(outputs))], 17)
        return Drawn(model.verify(), {"x": self.int8(*shape)})

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def int8(self, *shape) -> np.ndarray:
        return self.rng.integers(-128, 128, shape, np.int8)

    def quantization(self) -> Quantized:
        return Quantized(
            float(np.float32(2.0 ** self.number(-4, 2))), self.draw(st.sampled_from((0, -128, 127, 3, -60)))
        )

    def clip(self) -> dict:
        low, high = self.draw(st.sampled_from(((-128, 127), (-60, 127), (0, 100), (5, 5))))
        return {"low": integer(low), "high": integer(high)}

    def constant(self, array) -> SSAValue:
        return self.add_op(self.context.constant("array", np.asarray(array)))

    def add_op(self, op) -> SSAValue:
        self.block.add_op(op)
        return op.results[0]

    def build(self, kind, operands, shape, q, **properties) -> SSAValue:
        return self.add_op(kind.build(operands=operands, result_types=[tensor_type(shape, q)], properties=properties))

    # Operators on images.

    def conv2d(
        self,
        x: SSAValue,
        groups: int = 1,
        cout: int | None = None,
        residual: SSAValue | None = None,
        wide: bool = False,
        rising: bool = False,
    ) -> SSAValue | None:
        n, h, w, cin = shape_of(x)
        cout = cout or self.number(1, 36)
        kernel = self.draw(st.sampled_from(((1, 1), (3, 3), (2, 3), (1, 5), (5, 2), (7, 7))))
        strides, dilations = (self.number(1, 3), self.number(1, 3)), (self.number(1, 3), self.number(1, 2))
        padding = [self.number(0, max(1, k // 2)) for k in kernel for _ in range(2)]
        if residual is not None:
            kernel = self.draw(st.sampled_from(((3, 3), (1, 1))))
            strides, dilations, padding = (1, 1), (1, 1), [kernel[0] // 2] * 4
        size = positions((h, w), kernel, strides, padding, dilations)
        if min(size) < 1:
            return None
        weight = self.constant(self.int8(*kernel, cin // groups, cout))
        geometry = {"strides": ints(strides), "dilations": ints(dilations), "padding": ints(padding)}
        geometry["groups"] = integer(groups)
        if wide:
            operands, shape = [x, weight, self.bias(cout), [], [], []], (n, *size, cout)
            return self.scaled(self.build(Conv2D, operands, shape, np.dtype(np.int32), **geometry))
        drain, q, more = self.drain(cout, residual, rising=rising)
        return self.build(Conv2D, [x, weight, *drain], (n, *size, cout), q, **geometry, **more)

    def bias(self, channels: int) -> list[SSAValue]:
        numbers = self.rng.integers(-9999, 9999, channels, np.int32)
        return [self.constant(numbers)] if self.draw(st.booleans()) else []

    def drain(self, cout: int, residual: SSAValue | None, q: Quantized | None = None, rising: bool = False):
        """(bias, scale, residual, table), the result's quantization, and the properties of what follows a sum. ``rising``: a table,
        if there is one, often never falls."""
        scale = self.rng.uniform(0.0005, 0.004, cout if self.draw(st.booleans()) else 1).astype(np.float32)
        bias, table, more = self.bias(cout), [], self.clip()
        if self.draw(st.booleans()):
            entries = self.int8(256)
            entries = np.sort(entries) if rising and self.number(0, 3) else entries
            table, more["zero_point"] = [self.constant(entries)], integer(self.number(-128, 127))
        if residual is not None:
            more["residual_scale"] = real(self.draw(st.sampled_from((0.7, 1.0, 3.3))))
        drain = [bias, [self.constant(scale)], [residual] if residual is not None else [], table]
        return drain, q or self.quantization(), more

    def scaled(self, sums: SSAValue) -> SSAValue:
        """int32 sums are a result, and go on as int8 that the host makes of them."""
        self.wide_results.append(sums)
        unit = self.constant(np.array([self.rng.uniform(0.001, 0.01)], np.float32))
        floats = self.build(Scale, [sums, unit], shape_of(sums), np.dtype(np.float32), axis=integer(0))
        return self.build(Quantize, [floats], shape_of(sums), self.quantization())

    def wide(self, x: SSAValue) -> SSAValue | None:
        return self.conv2d(x, wide=True)

    def grouped(self, x: SSAValue) -> SSAValue | None:
        channels = shape_of(x)[3]
        groups = self.draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
        return self.conv2d(x, groups, groups * self.number(1, 3))

    def depthwise(self, x: SSAValue) -> SSAValue | None:
        return self.conv2d(x, shape_of(x)[3], shape_of(x)[3])

    def residual(self, x: SSAValue) -> SSAValue | None:
        return self.conv2d(x, cout=shape_of(x)[3], residual=x)

    def _pool(self, x: SSAValue):
        window = (self.number(1, 3), self.number(1, 3))
        strides, padding = (
            (self.number(1, 2), self.number(1, 2)),
            [self.number(0, k - 1) for k in window for _ in range(2)],
        )
        size = positions(shape_of(x)[1:3], window, strides, padding)
        geometry = {"window": ints(window), "strides": ints(strides), "padding": ints(padding)}
        return (shape_of(x)[0], *size, shape_of(x)[3]) if min(size) > 0 else None, geometry

    def max_pool(self, x: SSAValue) -> SSAValue | None:
        shape, geometry = self._pool(x)
        return shape and self.build(MaxPool, [x], shape, quantization(x), **geometry)

    def pooled(self, x: SSAValue) -> SSAValue | None:
        """A convolution and the max pool behind it, which most of the time become one."""
        y = self.conv2d(x, rising=True)
        if y is None:
            return None
        if not self.number(0, 5):
            self.values.append(y)
        return self.max_pool(y) or y

    def average_pool(self, x: SSAValue) -> SSAValue | None:
        shape, geometry = self._pool(x)
        scale = real(self.rng.uniform(0.05, 0.5))
        return shape and self.build(
            AveragePool, [x], shape, self.quantization(), scale=scale, **geometry, **self.clip()
        )

    def mean(self, x: SSAValue) -> SSAValue:
        n, h, w, c = shape_of(x)
        scale = real(self.rng.uniform(0.5, 2) / (h * w))
        return self.build(
            AveragePool, [x], (n, 1, 1, c), self.quantization(), scale=scale, window=ints((h, w)), strides=ints((1, 1))
        )

    def tokens(self, x: SSAValue) -> SSAValue:
        n, h, w, c = shape_of(x)
        shape = self.draw(st.sampled_from(((n, h * w, c), (n * h * w, c), (n, h * w * c))))
        return self.build(Reshape, [x], shape, quantization(x))

    # Operators on whatever has channels.

    def add(self, x: SSAValue) -> SSAValue:
        same = [value for value in self.values if shape_of(value) == shape_of(x)]
        scales = {name: real(self.rng.uniform(0.2, 1.5)) for name in ("left_scale", "right_scale")}
        assert (
            abs(multiplier(scales["left_scale"].value.data)[1] - multiplier(scales["right_scale"].value.data)[1]) < 31
        )
        other = self.draw(st.sampled_from(same))
        return self.build(Add, [x, other], shape_of(x), self.quantization(), **scales, **self.clip())

    def table(self, x: SSAValue) -> SSAValue:
        return self.build(Table, [x, self.constant(self.int8(256))], shape_of(x), self.quantization())

    def concat(self, x: SSAValue) -> SSAValue:
        q = quantization(x)
        same = [v for v in self.values if shape_of(v)[:-1] == shape_of(x)[:-1] and quantization(v) == q]
        parts = [self.draw(st.sampled_from(same)) for _ in range(self.number(1, 3))]
        shape = (*shape_of(x)[:-1], sum(shape_of(part)[-1] for part in parts))
        return self.build(Concat, [parts], shape, q, axis=integer(len(shape) - 1))

    def softmax(self, x: SSAValue) -> SSAValue:
        return self.build(Softmax, [x], shape_of(x), self.quantization())

    def layer_norm(self, x: SSAValue) -> SSAValue:
        channels = shape_of(x)[-1]
        weights = [self.constant(self.rng.normal(1, 1, channels).astype(np.float32)) for _ in range(2)]
        return self.build(LayerNorm, [x, *weights], shape_of(x), self.quantization(), epsilon=real(1e-3))

    def reshape(self, x: SSAValue) -> SSAValue:
        """With its channels, or without."""
        *outer, c = shape_of(x)
        shape = self.draw(
            st.sampled_from(((prod(outer), c), (1, prod(outer), c), (1, 1, prod(outer), c), (prod(outer) * c, 1)))
        )
        return self.build(Reshape, [x], shape, quantization(x))

    def transpose(self, x: SSAValue) -> SSAValue:
        shape = shape_of(x)
        axes = self.draw(st.permutations(range(len(shape))))
        return self.build(Transpose, [x], [shape[i] for i in axes], quantization(x), permutation=ints(axes))

    def gate(self, x: SSAValue) -> SSAValue:
        """A product with a factor for each channel, as in squeeze and excitation: on the host."""
        one = [
            value for value in self.values if shape_of(value)[-1] == shape_of(x)[-1] and prod(shape_of(value)[:-1]) == 1
        ]
        factors = self.draw(st.sampled_from([x, *one]))
        sides = [self.build(Dequantize, [v], shape_of(v), np.dtype(np.float32)) for v in (x, factors)]
        shape = np.broadcast_shapes(*map(shape_of, sides))
        options = {
            "kind": StringAttr("Mul"),
            "options": DictionaryAttr({}),
            "absent": ints([]),
            "domain": StringAttr(""),
        }
        kind = tensor_type(shape, np.dtype(np.float32))
        product = self.add_op(Float.build(operands=[sides], result_types=[[kind]], properties=options))
        return self.build(Quantize, [product], shape, self.quantization())

    # Products.

    def product(self, x: SSAValue, channels: int | None = None, residual=None, q: Quantized | None = None) -> SSAValue:
        *outer, k = shape_of(x)
        n = channels or self.number(1, 36)
        drain, q, more = self.drain(n, residual, q)
        return self.build(MatMul, [x, self.constant(self.int8(k, n)), *drain], (*outer, n), q, **more)

    def wide_product(self, x: SSAValue) -> SSAValue:
        *outer, k = shape_of(x)
        n = self.number(1, 36)
        operands = [x, self.constant(self.int8(k, n)), self.bias(n), [], [], []]
        return self.scaled(self.build(MatMul, operands, (*outer, n), np.dtype(np.int32)))

    def residual_product(self, x: SSAValue) -> SSAValue:
        return self.product(x, shape_of(x)[-1], x)

    def image(self, x: SSAValue) -> SSAValue:
        *outer, c = shape_of(x)
        n = prod(outer)
        height = self.draw(st.sampled_from([k for k in range(1, n + 1) if n % k == 0]))
        return self.build(Reshape, [x], (1, height, n // height, c), quantization(x))

    def attention(self, x: SSAValue) -> SSAValue | None:
        """softmax(q · kᵀ) · v of one or several heads, in the channels or apart; zero points 0, or the machine cannot."""
        heads, width = self.number(1, 3), self.draw(st.sampled_from((4, 8, 16, 5)))
        zero = Quantized(0.03125, 0 if self.number(0, 9) else 3)
        *outer, rows, _ = shape_of(x)
        if heads * prod(outer) * rows * rows > 1 << 14:  # scores: as large as any value
            return None
        q, k, v = (self.product(x, heads * width, q=zero) for _ in range(3))
        split = heads > 1
        if split and self.draw(st.booleans()):  # heads as an axis, which the host transposes
            split = False
            q, k, v = (self.apart(each, heads, width) for each in (q, k, v))
            outer = [*outer, heads]
        elif split:
            outer = [*outer, heads]
        places = {"heads": integer(heads)} if split else {}
        scale = [self.constant(np.array([self.rng.uniform(0.0005, 0.004)], np.float32))]
        properties = places | ({"joined": ints((0, 1))} if split else {}) | {"transposed": UnitAttr()}
        operands = [q, k, [], scale, [], []]
        scores = self.build(MatMul, operands, (*outer, rows, rows), Quantized(0.0625, 0), **properties)
        weights = self.build(Softmax, [scores], shape_of(scores), Quantized(0.0078125, 0))
        properties = places | ({"joined": ints((1, 2))} if split else {})
        shape = (*outer[:-1], rows, heads * width) if split else (*outer, rows, shape_of(v)[-1])
        return self.build(MatMul, [weights, v, [], scale, [], []], shape, self.quantization(), **properties)

    def apart(self, x: SSAValue, heads: int, width: int) -> SSAValue:
        *outer, rows, _ = shape_of(x)
        split = self.build(Reshape, [x], (*outer, rows, heads, width), quantization(x))
        rank = len(outer)
        axes = [*range(rank), rank + 1, rank, rank + 2]
        return self.build(Transpose, [split], (*outer, heads, rows, width), quantization(x), permutation=ints(axes))
