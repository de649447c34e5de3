"""ATen operators as operators of the graph level: what each one means in ONNX.

A handler takes the importer and the node's arguments: SSAValues, torch tensors (constants), or plain Python values.
"""

import operator
from collections.abc import Callable

import torch

from ..ir.types import element_of, numpy_dtype, shape_of

aten = torch.ops.aten

HANDLERS: dict[object, Callable] = {}


class Unknown(Exception):
    """The operator is known, but not with these arguments; the message says why."""


def handles(*targets):
    def register(handler):
        HANDLERS.update(dict.fromkeys(targets, handler))
        return handler

    return register


# What computes on every element.

_UNARY = {
    "Abs": aten.abs.default, "Ceil": aten.ceil.default, "Cos": aten.cos.default, "Erf": aten.erf.default, "Exp": aten.exp.default,
    "Floor": aten.floor.default, "HardSwish": aten.hardswish.default, "Log": aten.log.default, "Mish": aten.mish.default,
    "Neg": aten.neg.default, "Not": aten.logical_not.default, "Reciprocal": aten.reciprocal.default, "Relu": aten.relu.default,
    "Round": aten.round.default, "Selu": aten.selu.default, "Sigmoid": aten.sigmoid.default, "Sign": aten.sign.default,
    "Sin": aten.sin.default, "Sqrt": aten.sqrt.default, "Tanh": aten.tanh.default,
}  # fmt: skip
_BINARY = {
    "Mul": (aten.mul.Tensor, aten.mul.Scalar),
    "Div": (aten.div.Tensor, aten.div.Scalar),
    "Pow": (aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor),
    "Max": (aten.maximum.default, aten.max.other),
    "Min": (aten.minimum.default, aten.min.other),
    "Equal": (aten.eq.Tensor, aten.eq.Scalar),
    "Greater": (aten.gt.Tensor, aten.gt.Scalar),
    "GreaterOrEqual": (aten.ge.Tensor, aten.ge.Scalar),
    "Less": (aten.lt.Tensor, aten.lt.Scalar),
    "LessOrEqual": (aten.le.Tensor, aten.le.Scalar),
    "And": (aten.logical_and.default,),
    "Or": (aten.logical_or.default,),
}

for _name, _target in _UNARY.items():
    HANDLERS[_target] = lambda g, x, kind=_name: g.same(kind, x)
for _name, _targets in _BINARY.items():
    for _target in _targets:
        HANDLERS[_target] = lambda g, a, b, kind=_name: g.binary(kind, a, b)


@handles(aten.add.Tensor, aten.add.Scalar)
def _add(g, a, b, alpha=1):
    return g.binary("Add", a, b if alpha == 1 else g.binary("Mul", b, alpha))


@handles(aten.sub.Tensor, aten.sub.Scalar)
def _sub(g, a, b, alpha=1):
    return g.binary("Sub", a, b if alpha == 1 else g.binary("Mul", b, alpha))


@handles(aten.rsub.Scalar, aten.rsub.Tensor)
def _rsub(g, a, b, alpha=1):
    return _sub(g, b, a, alpha)


@handles(aten.silu.default)
def _silu(g, x):
    return g.binary("Mul", x, g.same("Sigmoid", x))


@handles(aten.gelu.default)
def _gelu(g, x, approximate="none"):
    return g.same("Gelu", x, approximate=approximate)


@handles(aten.rsqrt.default)
def _rsqrt(g, x):
    return g.same("Reciprocal", g.same("Sqrt", x))


@handles(aten.hardsigmoid.default)
def _hardsigmoid(g, x):
    return g.same("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@handles(aten.leaky_relu.default)
def _leaky_relu(g, x, slope=0.01):
    return g.same("LeakyRelu", x, alpha=float(slope))


@handles(aten.elu.default)
def _elu(g, x, alpha=1.0, scale=1.0, input_scale=1.0):
    if scale != 1 or input_scale != 1:
        raise Unknown("scales of elu other than 1")
    return g.same("Elu", x, alpha=float(alpha))


@handles(aten.softplus.default)
def _softplus(g, x, beta=1.0, threshold=20.0):
    if beta != 1:
        raise Unknown("a beta of softplus other than 1")
    return g.same("Softplus", x)


@handles(aten.hardtanh.default)
def _hardtanh(g, x, low=-1.0, high=1.0):
    return _clamp(g, x, low, high)


@handles(aten.relu6.default)
def _relu6(g, x):
    return _clamp(g, x, 0.0, 6.0)


@handles(aten.clamp.default, aten.clamp_min.default)
def _clamp(g, x, low=None, high=None):
    bounds = [None if bound is None else g.scalar(bound, x) for bound in (low, high)]
    while bounds and bounds[-1] is None:
        bounds.pop()
    return g.same("Clip", x, *bounds)


@handles(aten.clamp_max.default)
def _clamp_max(g, x, high):
    return _clamp(g, x, None, high)


@handles(aten.where.self)
def _where(g, condition, a, b):
    return g.float("Where", condition, g.like(a, g.node), g.like(b, g.node))


@handles(aten.masked_fill.Scalar, aten.masked_fill.Tensor)
def _masked_fill(g, x, mask, value):
    return g.float("Where", mask, g.like(value, g.node), x)


@handles(aten._to_copy.default, aten.to.dtype, aten.type_as.default)
def _to(g, x, *_, **__):
    return g.cast(x)


# Sums of products.


@handles(aten.linear.default)
def _linear(g, x, weight, bias=None):
    x, weight = g.value(x), g.value(weight)
    if len(shape_of(x)) == 2:
        return g.float("Gemm", x, weight, *([] if bias is None else [bias]), transB=1)
    product = g.float("MatMul", x, g.transpose(weight, (1, 0)))
    return product if bias is None else g.float("Add", product, bias)


@handles(aten.matmul.default, aten.mm.default, aten.bmm.default)
def _matmul(g, a, b):
    return g.float("MatMul", a, b)


@handles(aten.addmm.default)
def _addmm(g, bias, a, b, beta=1, alpha=1):
    return g.float("Gemm", a, b, bias, alpha=float(alpha), beta=float(beta))


@handles(aten.conv1d.default, aten.conv2d.default)
def _conv(g, x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    axes = len(shape_of(g.value(weight))) - 2
    pads = g.each(padding, axes)
    options = {"strides": g.each(stride, axes), "dilations": g.each(dilation, axes), "group": groups}
    return g.float("Conv", x, weight, *([] if bias is None else [bias]), pads=pads * 2, **options)


@handles(aten.conv1d.padding, aten.conv2d.padding)
def _conv_padding(g, x, weight, bias=None, stride=1, padding="valid", dilation=1, groups=1):
    if padding == "valid":
        return _conv(g, x, weight, bias, stride, 0, dilation, groups)
    kernel = shape_of(g.value(weight))[2:]
    total = [(k - 1) * d for k, d in zip(kernel, g.each(dilation, len(kernel)))]
    pads = [n // 2 for n in total] + [n - n // 2 for n in total]
    options = {"strides": g.each(stride, len(kernel)), "dilations": g.each(dilation, len(kernel)), "group": groups}
    return g.float("Conv", x, weight, *([] if bias is None else [bias]), pads=pads, **options)


@handles(aten.convolution.default)
def _convolution(g, x, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    if transposed:
        raise Unknown("a transposed convolution")
    return _conv(g, x, weight, bias, stride, padding, dilation, groups)


# Windows, means, normalisation.


@handles(aten.max_pool1d.default, aten.max_pool2d.default)
def _max_pool(g, x, kernel, stride=(), padding=0, dilation=1, ceil_mode=False):
    return _pool(g, "MaxPool", x, kernel, stride, padding, ceil_mode, dilations=dilation)


@handles(aten.avg_pool1d.default, aten.avg_pool2d.default)
def _avg_pool(g, x, kernel, stride=(), padding=0, ceil_mode=False, count_include_pad=True, divisor=None):
    if divisor is not None:
        raise Unknown("a divisor of an average")
    return _pool(g, "AveragePool", x, kernel, stride, padding, ceil_mode, count_include_pad=int(count_include_pad))


def _pool(g, kind, x, kernel, stride, padding, ceil_mode, dilations=None, **options):
    axes = len(shape_of(g.value(x))) - 2
    if axes < 1:
        raise Unknown("a pool without a batch")
    kernel = g.each(kernel, axes)
    options |= {"kernel_shape": kernel, "strides": g.each(stride, axes) if stride else kernel}
    if dilations is not None:
        options["dilations"] = g.each(dilations, axes)
    return g.float(kind, x, pads=g.each(padding, axes) * 2, ceil_mode=int(ceil_mode), **options)


@handles(aten.adaptive_avg_pool1d.default, aten.adaptive_avg_pool2d.default)
def _adaptive(g, x, size):
    shape, result = shape_of(g.value(x))[2:], g.shape[2:]
    if all(n == 1 for n in result):
        return g.float("GlobalAveragePool", x)
    if any(n % m for n, m in zip(shape, result)):
        raise Unknown(f"an adaptive average of {list(shape)} to {list(result)}")
    return _avg_pool(g, x, [n // m for n, m in zip(shape, result)])


@handles(aten.mean.dim)
def _mean(g, x, axes, keepdim=False, dtype=None):
    return _reduce(g, "ReduceMean", x, axes, keepdim)


@handles(aten.sum.dim_IntList)
def _sum(g, x, axes, keepdim=False, dtype=None):
    return _reduce(g, "ReduceSum", x, axes, keepdim)


@handles(aten.amax.default)
def _amax(g, x, axes=(), keepdim=False):
    return _reduce(g, "ReduceMax", x, axes, keepdim)


def _reduce(g, kind, x, axes, keepdim):
    rank = len(shape_of(g.value(x)))
    axes = sorted(axis % rank for axis in ([axes] if isinstance(axes, int) else axes or range(rank)))
    return g.float(kind, x, g.integers(axes), keepdims=int(keepdim))


@handles(aten.softmax.int, aten._softmax.default)
def _softmax(g, x, axis, dtype=None):
    return g.float("Softmax", x, axis=axis % len(g.shape))


@handles(aten.layer_norm.default)
def _layer_norm(g, x, shape, weight=None, bias=None, epsilon=1e-5, cudnn=True):
    weight = torch.ones(shape) if weight is None else weight
    bias = torch.zeros(shape) if bias is None else bias
    return g.float("LayerNormalization", x, weight, bias, axis=-len(shape), epsilon=float(epsilon))


@handles(aten.batch_norm.default)
def _batch_norm(g, x, weight, bias, mean, variance, training, momentum, epsilon, cudnn):
    if training:
        raise Unknown("batch normalisation that trains: call model.eval() before")
    weight = torch.ones_like(mean) if weight is None else weight
    bias = torch.zeros_like(mean) if bias is None else bias
    return g.float("BatchNormalization", x, weight, bias, mean, variance, epsilon=float(epsilon))


@handles(aten.group_norm.default)
def _group_norm(g, x, groups, weight=None, bias=None, epsilon=1e-5, cudnn=True):
    channels = shape_of(g.value(x))[1]
    weight = torch.ones(channels) if weight is None else weight
    bias = torch.zeros(channels) if bias is None else bias
    return g.float("GroupNormalization", x, weight, bias, num_groups=groups, epsilon=float(epsilon))


# What moves numbers.


@handles(
    aten.view.default, aten.reshape.default, aten._unsafe_view.default, aten.flatten.using_ints, aten.unflatten.int,
    aten.squeeze.dim, aten.squeeze.dims, aten.squeeze.default, aten.unsqueeze.default,
)  # fmt: skip
def _reshape(g, x, *_):
    return g.reshape(g.value(x), g.shape)


@handles(
    aten.clone.default, aten.contiguous.default, aten.detach.default, aten.alias.default, aten.dropout.default,
    aten.lift_fresh_copy.default, aten.detach_.default,
)  # fmt: skip
def _same(g, x, *_, **__):
    if g.node.target is aten.dropout.default and _[1]:
        raise Unknown("dropout that trains: call model.eval() before")
    return x


@handles(aten.permute.default)
def _permute(g, x, axes):
    x = g.value(x)
    return g.transpose(x, [axis % len(axes) for axis in axes])


@handles(aten.transpose.int)
def _transpose(g, x, a, b):
    x = g.value(x)
    axes = list(range(len(shape_of(x))))
    axes[a], axes[b] = axes[b], axes[a]
    return g.transpose(x, axes)


@handles(aten.t.default, aten.numpy_T.default, aten.mT.default)
def _turn(g, x):
    return _transpose(g, x, -1, -2)


@handles(aten.cat.default)
def _cat(g, values, axis=0):
    return g.concat([g.value(each) for each in values], axis % len(g.shape))


@handles(aten.stack.default)
def _stack(g, values, axis=0):
    axis = axis % len(g.shape)
    shape = [1 if i == axis else n for i, n in enumerate(g.shape)]
    return g.concat([g.reshape(g.value(each), shape) for each in values], axis)


@handles(aten.expand.default)
def _expand(g, x, *_, **__):
    x = g.value(x)
    return x if shape_of(x) == g.shape else g.float("Expand", x, g.integers(g.shape))


@handles(aten.slice.Tensor)
def _slice(g, x, axis=0, start=None, end=None, step=1):
    shape = shape_of(g.value(x))
    first, last, _ = slice(start, end).indices(shape[axis])
    return _part(g, x, axis % len(shape), first, last, step, g.shape)


def _part(g, x, axis, first, last, step, shape):
    x = g.value(x)
    if (first, last, step) == (0, shape_of(x)[axis], 1):
        return x
    places = [g.integers([n]) for n in (first, last, axis, step)]
    return g.float("Slice", x, *places, shape=shape, dtype=numpy_dtype(element_of(x)))


@handles(aten.select.int)
def _select(g, x, axis, index):
    shape = shape_of(g.value(x))
    axis, index = axis % len(shape), index % shape[axis]
    part = [1 if i == axis else n for i, n in enumerate(shape)]
    return g.reshape(_part(g, x, axis, index, index + 1, 1, part), g.shape)


@handles(aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default)
def _split(g, x, _, axis=0):
    parts, first = [], 0
    for each in g.node.meta["val"]:
        shape = tuple(map(int, each.shape))
        size = shape[axis]
        parts.append(_part(g, x, axis % len(shape), first, first + size, 1, shape))
        first += size
    return tuple(parts)


@handles(aten.unbind.int)
def _unbind(g, x, axis=0):
    shape = shape_of(g.value(x))
    axis = axis % len(shape)
    part = [1 if i == axis else n for i, n in enumerate(shape)]
    parts = (_part(g, x, axis, i, i + 1, 1, part) for i in range(shape[axis]))
    return tuple(g.reshape(each, [n for i, n in enumerate(part) if i != axis]) for each in parts)


@handles(operator.getitem)
def _getitem(g, values, index):
    return values[index]


@handles(aten.embedding.default)
def _embedding(g, weight, indices, *_, **__):
    return g.float("Gather", weight, indices, axis=0)


@handles(aten.constant_pad_nd.default, aten.pad.default)
def _pad(g, x, pads, mode="constant", value=None):
    if not isinstance(mode, str):
        mode, value = "constant", mode
    if mode != "constant":
        raise Unknown(f"padding of the kind {mode}")
    rank = len(g.shape)
    sides = [(0, 0)] * (rank - len(pads) // 2) + list(zip(pads[::2], pads[1::2]))[::-1]
    places = g.integers([low for low, _ in sides] + [high for _, high in sides])
    return g.float("Pad", x, places, g.scalar(value or 0, x))


def attention(query, key, value, mask=None, dropout=0.0, is_causal=False, scale=None, enable_gqa=False):
    """``aten.scaled_dot_product_attention`` as two products and a softmax; NotImplemented for what they are not."""
    if dropout or enable_gqa:
        return NotImplemented
    scores = torch.matmul(query, key.transpose(-2, -1)) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        below = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        scores = torch.where(below, scores, float("-inf"))
    if mask is not None:
        scores = torch.where(mask, scores, float("-inf")) if mask.dtype == torch.bool else scores + mask
    return torch.matmul(torch.softmax(scores, -1), value)


DECOMPOSITIONS = {aten.scaled_dot_product_attention.default: attention}
