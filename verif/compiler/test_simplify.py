"""What exporters write out becomes the operator that was meant: the same numbers, from fewer nodes."""

from collections import Counter

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra onnx: pip install 'gemmary[onnx]'")

from onnx import TensorProto  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from gemmary.compiler.frontends.onnx_simplify import simplify_onnx  # noqa: E402
from verif.compiler.onnx_models import Builder  # noqa: E402

CASES = {}


def case(kinds: str, shape=(1, 4, 6), dtype=TensorProto.FLOAT, opset: int = 15, seed: int = 0):
    """Of a function that adds nodes behind ``x``: the kinds of nodes that are left, as ``Kind`` or ``Kind*2``."""

    def add(build):
        CASES[build.__name__] = build, kinds.split(), shape, dtype, opset, seed
        return build

    return add


def number(b, value, dtype=np.float32):
    return b.constant(np.array(value, dtype))


@case("Clip Add Gather", (2, 5), TensorProto.INT32)
def one_hot(b):
    """Of codes beside 0 … 8 too: rows of zeros."""
    codes = b("Unsqueeze", "x", number(b, [2], np.int64))
    wide = b("Expand", codes, number(b, [2, 5, 9], np.int64))
    hot = b("Cast", b("Equal", wide, b.constant(np.arange(9, dtype=np.int32).reshape(1, 1, 9))), to=TensorProto.FLOAT)
    return b("MatMul", hot, b.weight(9, 3))


@case("Abs Gather Identity", (2, 5), TensorProto.INT32)
def functions_of_an_embedding(b):
    y = b("Gather", b.weight(9, 3), b("Abs", "x"))
    return b("Identity", b("Mul", b("Tanh", b("Add", y, b.weight(1, 1, 3))), number(b, 0.5)))


@case("HardSwish", opset=13)
def hard_swish(b):
    clip = b("Clip", b("Add", "x", number(b, 3)), number(b, 0), number(b, 6))
    return b("Div", b("Mul", "x", clip), number(b, 6))


@case("Add Clip Mul Div", opset=13)
def another_swish(b):
    """Not its numbers: it stays."""
    clip = b("Clip", b("Add", "x", number(b, 3)), number(b, 0), number(b, 5))
    return b("Div", b("Mul", "x", clip), number(b, 6))


def tanh_gelu(b, cubic=0.044715):
    cube = b("Mul", "x", b("Mul", "x", b("Mul", number(b, cubic), "x")))
    gate = b("Tanh", b("Mul", number(b, np.sqrt(2 / np.pi)), b("Add", "x", cube)))
    return b("Mul", "x", b("Mul", number(b, 0.5), b("Add", number(b, 1), gate)))


@case("Gelu")
def gelu(b):
    return tanh_gelu(b)


@case("Mul*6 Add*2 Tanh")
def another_gelu(b):
    return tanh_gelu(b, 0.05)


def written_norm(b, axis, n):
    """As JAX exports it."""
    shape = number(b, [1 if i == axis else k for i, k in enumerate((1, 4, 6))], np.int64)
    axes, inverse = number(b, [axis], np.int64), number(b, 1 / n)
    mean = b("Mul", b("ReduceSum", "x", axes, keepdims=0), inverse)
    squares = b("Mul", b("ReduceSum", b("Mul", "x", "x"), axes, keepdims=0), inverse)
    variance = b("Reshape", b("Max", number(b, 0), b("Sub", squares, b("Mul", mean, mean))), shape)
    factor = b("Reciprocal", b("Sqrt", b("Add", variance, number(b, 1e-6))))
    weights = [
        b.constant(b.rng.normal(1, 1, [n if i == axis else 1 for i in range(3)]).astype(np.float32)) for _ in "γβ"
    ]
    centred = b("Sub", "x", b("Reshape", mean, shape))
    return b("Add", b("Mul", centred, b("Mul", factor, weights[0])), weights[1])


@case("LayerNormalization")
def layer_norm(b):
    return written_norm(b, 2, 6)


@case("Transpose*2 LayerNormalization")
def layer_norm_of_another_axis(b):
    return written_norm(b, 1, 4)


@case("Softmax")
def softmax(b):
    axes = number(b, [2], np.int64)
    largest = b("Max", number(b, -np.inf), b("ReduceMax", "x", axes=[2], keepdims=1))
    powers = b("Exp", b("Sub", "x", largest))
    return b("Div", powers, b("ReduceSum", powers, axes, keepdims=1))


@case("Conv Squeeze", (1, 4, 6, 1))
def bias_behind_a_squeeze(b):
    y = b("Conv", "x", b.weight(5, 4, 3, 1))
    return b("Add", b("Squeeze", y, number(b, [3], np.int64)), b.weight(1, 5, 1))


@case("MatMul Add")
def bias_of_a_product(b):
    return b("Add", b("MatMul", "x", b.weight(6, 3)), b.weight(1, 1, 3))


@case("Relu Slice")
def moves_that_change_nothing(b):
    """All but the reversal."""
    whole = [number(b, v, np.int64) for v in ([0, 0], [9, 9], [1, 2], [1, 1])]
    y = b("Relu", "x")
    y = b("Reshape", b("Slice", y, *whole), b("Shape", b("Slice", y, *whole)))
    back = [number(b, v, np.int64) for v in ([-1], [-9], [2], [-1])]
    return b("Slice", y, *back)


@pytest.mark.parametrize("name", CASES)
def test_simplified(name):
    build, kinds, shape, dtype, opset, seed = CASES[name]
    builder = Builder(seed, shape[1:])
    result = build(builder)
    model = builder.model(result, opset)
    tensor = model.graph.input[0].type.tensor_type
    tensor.elem_type = dtype
    tensor.shape.dim[0].dim_value = shape[0]
    simple = simplify_onnx(model)
    onnx.checker.check_model(simple, full_check=True)
    expected = Counter({k.partition("*")[0]: int(k.partition("*")[2] or 1) for k in kinds})
    assert Counter(node.op_type for node in simple.graph.node) == expected
    rng = np.random.default_rng(1)
    x = rng.normal(0, 2, shape).astype(np.float32)
    if dtype == TensorProto.INT32:
        x = rng.integers(-3 if name == "one_hot" else 0, 13 if name == "one_hot" else 9, shape).astype(np.int32)
    (before,), (after,) = (ReferenceEvaluator(each).run(None, {"x": x}) for each in (model, simple))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
