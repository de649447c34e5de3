"""Random valid models of the graph level, drawn by Hypothesis, so that a failing one shrinks to a small one."""

import numpy as np
from hypothesis import strategies as st
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, SSAValue

from gemmary.compiler.ir import GraphContext, Model, new_model
from gemmary.compiler.ir.base import integer, ints, positions, real
from gemmary.compiler.ir.contractions import Conv2D, MatMul
from gemmary.compiler.ir.normal import Softmax
from gemmary.compiler.ir.numerics import multiplier
from gemmary.compiler.ir.shapes import Concat, Reshape
from gemmary.compiler.ir.types import Quantized, quantization, shape_of, tensor_type
from gemmary.compiler.ir.vector import Add, AveragePool, MaxPool, Table

KINDS = (
    "conv2d",
    "conv2d",
    "grouped",
    "depthwise",
    "residual",
    "max_pool",
    "average_pool",
    "add",
    "table",
    "concat",
    "softmax",
)


@st.composite
def models(draw) -> tuple[Model, dict[str, np.ndarray]]:
    """(model, inputs): up to six operators on images, perhaps a dense layer at the end, perhaps wide."""
    return _Drawing(draw).model()


class _Drawing:
    def __init__(self, draw):
        self.draw, self.context = draw, GraphContext()
        self.rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
        self.block = Block()

    def model(self) -> tuple[Model, dict[str, np.ndarray]]:
        shape = self.number(1, 2), self.number(1, 7), self.number(1, 7), self.number(1, 20)
        value = self.block.insert_arg(tensor_type(shape, self.quantization()), 0)
        self.values = [value]
        for _ in range(self.number(1, 6)):
            kind = self.draw(st.sampled_from(KINDS))
            value = getattr(self, kind)(self.draw(st.sampled_from(self.values[-2:])))
            if value is not None:
                self.values.append(value)
        result = self.values[-1]
        if self.draw(st.booleans()) and len(self.values) > 1:
            result = self.dense(result)
        outputs = [result] + ([self.values[1]] if len(self.values) > 2 and self.draw(st.booleans()) else [])
        self.block.add_op(ReturnOp(*outputs))
        model = new_model(self.context, self.block, ["x"], [f"y{i}" for i in range(len(outputs))], 17)
        return model.verify(), {"x": self.int8(*shape)}

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
        self, x: SSAValue, groups: int = 1, cout: int | None = None, residual: SSAValue | None = None
    ) -> SSAValue | None:
        n, h, w, cin = shape_of(x)
        cout = cout or self.number(1, 20)
        kernel = (self.number(1, 3), self.number(1, 3))
        strides, dilations = (self.number(1, 2), self.number(1, 2)), (self.number(1, 2), self.number(1, 2))
        padding = [self.number(0, 1) for _ in range(4)]
        if residual is not None:
            kernel, strides, dilations, padding = (3, 3), (1, 1), (1, 1), [1] * 4
        size = positions((h, w), kernel, strides, padding, dilations)
        if min(size) < 1:
            return None
        weight = self.constant(self.int8(*kernel, cin // groups, cout))
        scale = self.rng.uniform(0.0005, 0.004, cout if self.draw(st.booleans()) else 1).astype(np.float32)
        bias = [self.constant(self.rng.integers(-9999, 9999, cout, np.int32))] if self.draw(st.booleans()) else []
        table, q, more = [], self.quantization(), self.clip()
        if self.draw(st.booleans()):
            table, more["zero_point"] = [self.constant(self.int8(256))], integer(self.number(-128, 127))
        if residual is not None:
            more["residual_scale"] = real(0.7)
        operands = [x, weight, bias, [self.constant(scale)], [residual] if residual is not None else [], table]
        geometry = {"strides": ints(strides), "dilations": ints(dilations), "padding": ints(padding)}
        return self.build(Conv2D, operands, (n, *size, cout), q, groups=integer(groups), **geometry, **more)

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

    def average_pool(self, x: SSAValue) -> SSAValue | None:
        shape, geometry = self._pool(x)
        scale = real(self.rng.uniform(0.05, 0.5))
        return shape and self.build(
            AveragePool, [x], shape, self.quantization(), scale=scale, **geometry, **self.clip()
        )

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
        same = [v for v in self.values if shape_of(v)[:3] == shape_of(x)[:3] and quantization(v) == q]
        parts = [self.draw(st.sampled_from(same)) for _ in range(self.number(1, 3))]
        shape = (*shape_of(x)[:3], sum(shape_of(part)[3] for part in parts))
        return self.build(Concat, [parts], shape, q, axis=integer(3))

    def softmax(self, x: SSAValue) -> SSAValue:
        return self.build(Softmax, [x], shape_of(x), self.quantization())

    def dense(self, x: SSAValue) -> SSAValue:
        n, h, w, c = shape_of(x)
        flat = self.build(Reshape, [x], (n, h * w * c), quantization(x))
        weight, outputs = self.int8(h * w * c, k := self.number(1, 20)), (n, k)
        bias = [self.constant(self.rng.integers(-9999, 9999, k, np.int32))]
        if self.draw(st.booleans()):
            return self.build(MatMul, [flat, self.constant(weight), bias, [], [], []], outputs, np.dtype(np.int32))
        scale = [self.constant(np.array([0.001], np.float32))]
        return self.build(MatMul, [flat, self.constant(weight), bias, scale, [], []], outputs, self.quantization())
