"""ATen operators that sum: products, windows, means, normalisation."""

import torch

from ..ir.types import shape_of
from .torch_handlers import Unknown, aten, handles


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
