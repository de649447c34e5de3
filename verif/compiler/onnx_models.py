"""Small float ONNX models by name, with random weights, and their quantization by onnxruntime."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gemmary.compiler.frontends.onnx_quantize import quantize_onnx

CASES: dict[str, Callable[["Builder"], str]] = {}


def case(build):
    CASES[build.__name__] = build
    return build


class Builder:
    """Nodes and random weights; methods return the name of their result."""

    def __init__(self, seed: int, shape):
        self.rng, self.shape = np.random.default_rng(seed), shape
        self.nodes, self.constants = [], {}

    def constant(self, array) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def weight(self, *shape) -> str:
        return self.constant(self.rng.normal(0, 1 / np.sqrt(np.prod(shape[1:]) or 1), shape).astype(np.float32))

    def __call__(self, kind: str, *inputs: str, **options) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **options))
        return name

    def conv(self, x: str, cin: int, cout: int, k: int = 3, group: int = 1, **options) -> str:
        weight = self.weight(cout, cin // group, k, k)
        options.setdefault("pads", [k // 2] * 4)
        if "auto_pad" in options:
            del options["pads"]
        return self("Conv", x, weight, self.weight(cout), group=group, **options)

    def model(self, result: str, opset: int) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "case",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *self.shape])],
            [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def float_model(name: str, opset: int = 17, seed: int = 0) -> onnx.ModelProto:
    shape = (16, 64) if name in TOKENS else (8, 12, 12)
    builder = Builder(seed, shape)
    return builder.model(CASES[name](builder), opset)


def inputs_of(name: str, batch: int, seed: int = 1) -> np.ndarray:
    shape = (16, 64) if name in TOKENS else (8, 12, 12)
    return np.random.default_rng(seed).normal(0, 1, (batch, *shape)).astype(np.float32)


def quantized(name: str, opset: int = 17) -> onnx.ModelProto:
    return quantize_onnx(float_model(name, opset), {"x": inputs_of(name, 16, seed=7)})


@case
def conv_relu(b):
    return b("Relu", b.conv("x", 8, 24, strides=[2, 1], dilations=[1, 2], pads=[1, 2, 0, 2]))


@case
def conv_same(b):
    return b("Relu", b.conv("x", 8, 16, k=3, strides=[2, 2], auto_pad="SAME_UPPER"))


@case
def depthwise_hardswish(b):
    return b.conv(b("HardSwish", b.conv(b.conv("x", 8, 16, k=1), 16, 16, group=16)), 16, 8, k=1)


@case
def grouped_clip(b):
    low, high = b.constant(np.float32(0)), b.constant(np.float32(1.5))
    return b("Clip", b.conv("x", 8, 32, group=2), low, high)


@case
def silu(b):
    y = b.conv("x", 8, 16)
    return b.conv(b("Mul", y, b("Sigmoid", y)), 16, 8, k=1)


@case
def residual(b):
    y = b("Relu", b.conv("x", 8, 16, k=1))
    return b("Relu", b("Add", b.conv(b("Relu", b.conv(y, 16, 16)), 16, 16), y))


@case
def batch_norm(b):
    y = b.conv("x", 8, 16)
    numbers = [b.constant(b.rng.uniform(0.5, 2, 16).astype(np.float32)) for _ in range(4)]
    return b("Relu", b("BatchNormalization", y, *numbers))


@case
def max_pool(b):
    y = b("MaxPool", b("Relu", b.conv("x", 8, 16)), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    return b.conv(y, 16, 8, k=1)


@case
def average_pool(b):
    return b("AveragePool", b.conv("x", 8, 16), kernel_shape=[2, 2], strides=[2, 2])


@case
def classifier(b):
    y = b("Relu", b.conv("x", 8, 16, strides=[2, 2]))
    y = b("Flatten", b("GlobalAveragePool", y))
    return b("Gemm", y, b.weight(10, 16), b.weight(10), transB=1)


@case
def flattened(b):
    y = b("MaxPool", b("Relu", b.conv("x", 8, 16)), kernel_shape=[4, 4], strides=[4, 4])
    return b("Gemm", b("Flatten", y), b.weight(144, 20), b.weight(20))


@case
def concat(b):
    left, right = b("Relu", b.conv("x", 8, 16)), b.conv("x", 8, 16, k=1)
    return b.conv(b("Concat", left, right, axis=1), 32, 8, k=1)


@case
def mlp(b):
    y = b("Add", b("MatMul", "x", b.weight(64, 96)), b.weight(96))
    return b("MatMul", b("Tanh", y), b.weight(96, 40))


@case
def unsupported(b):
    """A product of two computed tensors, element by element: the machine has none."""
    y = b("Relu", b.conv("x", 8, 16))
    gate = b("Sigmoid", b.conv(b("GlobalAveragePool", y), 16, 16, k=1))
    return b.conv(b("Mul", y, gate), 16, 8, k=1)


@case
def attention(b):
    """Four heads: the products run on the tensor engine, softmax and the heads' transposes on the host."""
    split = b.constant(np.array([0, 16, 4, 16], np.int64))
    q, k, v = (b("Reshape", b("MatMul", "x", b.weight(64, 64)), split) for _ in range(3))
    q, v = (b("Transpose", each, perm=[0, 2, 1, 3]) for each in (q, v))
    scores = b("Mul", b("MatMul", q, b("Transpose", k, perm=[0, 2, 3, 1])), b.constant(np.float32(0.25)))
    mixed = b("Transpose", b("MatMul", b("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    flat = b("Reshape", mixed, b.constant(np.array([0, 16, 64], np.int64)))
    return b("MatMul", flat, b.weight(64, 64))


TOKENS = ("mlp", "attention")
