"""Random operators of the graph level as models, and what the golden numerics say of them."""

import numpy as np
from xdsl.dialects.builtin import UnitAttr
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block

from gemmary.compiler.ir import GraphContext, Model, new_model
from gemmary.compiler.ir.base import integer, ints, real
from gemmary.compiler.ir.contractions import Conv2D, MatMul
from gemmary.compiler.ir.types import Quantized, tensor_type
from verif.golden import numerics


def model_of(context: GraphContext, args, build) -> Model:
    """A model of one operator: ``build(*arguments)`` yields constants, and the operator last."""
    block = Block(arg_types=args)
    ops = list(build(*block.args))
    block.add_ops([*ops, ReturnOp(ops[-1].results[0])])
    return new_model(context, block, [f"x{i}" for i in range(len(args))], ["y"], 17)


def random_int8(rng, *shape):
    return rng.integers(-128, 128, shape, np.int8)


def random_conv(seed: int) -> tuple[Model, dict, np.ndarray]:
    """(model, inputs, golden result) of a random convolution, with groups, a residual and a table now and then."""
    rng = np.random.default_rng(seed)
    context, groups = GraphContext(), int(rng.choice([1, 1, 2]))
    cin, cout = groups * int(rng.integers(1, 9)), groups * int(rng.integers(1, 9))
    kernel, strides = rng.integers(1, 4, 2), rng.integers(1, 3, 2)
    padding = rng.integers(0, 2, 4)
    height, width = rng.integers(4, 9, 2)
    source = Quantized(0.5, int(rng.integers(-128, 128)))
    x = random_int8(rng, 2, height, width, cin)
    weight = random_int8(rng, *kernel, cin // groups, cout)
    bias = rng.integers(-9999, 9999, cout, np.int32)
    scale = rng.uniform(0.0001, 0.002, cout).astype(np.float32)
    zero, low, high = int(rng.integers(-64, 64)), *sorted(int(n) for n in rng.integers(-128, 128, 2))
    target = Quantized(0.25, zero)
    pads = tuple(map(tuple, padding.reshape(2, 2)))
    each, parts = cin // groups, []
    for g in range(groups):
        outs = slice(g * cout // groups, (g + 1) * cout // groups)
        part = x[..., g * each : (g + 1) * each].astype(np.int16) - source.zero_point.data
        seen = numerics.windows(part, tuple(kernel), tuple(strides), pads, 0)
        parts.append(np.einsum("nhwklc,klco->nhwo", seen.astype(np.int64), weight[..., outs].astype(np.int64)))
    sums = numerics.add_bias(np.concatenate(parts, axis=-1), bias)
    residual = random_int8(rng, *sums.shape) if rng.integers(2) else None
    table = random_int8(rng, 256) if rng.integers(2) else None
    mantissa, shift = numerics.scale_to_mantissa_shift(scale)
    more = {}
    if residual is not None:
        m, s = numerics.scale_to_mantissa_shift(np.float32(0.375))
        more = dict(residual=residual, residual_zero_point=-5, residual_mantissa=m, residual_shift=s)
    y = numerics.requantize(sums, mantissa, shift, zero, low, high, **more)
    if table is not None:
        y = numerics.table(y, table)

    def build(value, other=None):
        constants = [context.constant(n, a) for n, a in (("w", weight), ("b", bias), ("s", scale))]
        tables = [context.constant("t", table)] if table is not None else []
        yield from [*constants, *tables]
        w, b, s = (op.result for op in constants)
        operands = [value, w, [b], [s], [other] if other else [], [op.result for op in tables]]
        properties = {"strides": ints(strides), "padding": ints(padding), "groups": integer(groups)}
        properties |= {"low": integer(low), "high": integer(high)}
        if tables:  # the result's zero point is that of the table's numbers
            properties["zero_point"] = integer(zero)
        if other:
            properties["residual_scale"] = real(0.375)
        result = Quantized(0.125, 77) if tables else target
        yield Conv2D.build(operands=operands, result_types=[tensor_type(y.shape, result)], properties=properties)

    inputs = {"x0": x} | ({"x1": residual} if residual is not None else {})
    args = [tensor_type(x.shape, source)] + [tensor_type(y.shape, Quantized(1.0, -5))] * (residual is not None)
    return model_of(context, args, build), inputs, y


def random_matmul(seed: int) -> tuple[Model, dict, np.ndarray]:
    """(model, inputs, golden result) of a random product: of constant weights, or of heads computed at run time."""
    rng = np.random.default_rng(seed)
    context, (m, k, n) = GraphContext(), rng.integers(1, 24, 3)
    constant, transposed, heads = (bool(b) for b in rng.integers(0, 2, 3))
    outer = [2] if heads else []
    a = random_int8(rng, *outer, m, k)
    b = random_int8(rng, *([] if constant else outer), *((n, k) if transposed and not constant else (k, n)))
    za, zb = (0, 0) if rng.integers(3) else (int(z) for z in rng.integers(-9, 9, 2))
    left = a.astype(np.int64) - za
    right = b.astype(np.int64) if constant else b.astype(np.int64) - zb
    if transposed and not constant:
        right = right.swapaxes(-1, -2)
    sums = numerics.wrap(left @ right)
    mantissa, shift = numerics.scale_to_mantissa_shift(np.float32(0.003))
    y = numerics.requantize(sums, mantissa, shift, 3)

    def build(value, other=None):
        scale = context.constant("s", np.array([0.003], np.float32))
        weight = context.constant("w", b)
        yield scale
        if constant:
            yield weight
        operands = [value, weight.result if constant else other, [], [scale.result], [], []]
        properties = {"transposed": UnitAttr()} if transposed and not constant else {}
        types = [tensor_type(y.shape, Quantized(1.0, 3))]
        yield MatMul.build(operands=operands, result_types=types, properties=properties)

    args = [tensor_type(a.shape, Quantized(1.0, za))] + [tensor_type(b.shape, Quantized(1.0, zb))] * (not constant)
    return model_of(context, args, build), {"x0": a} | ({} if constant else {"x1": b}), y
