"""ATen operators that move numbers."""

import operator

from ..ir.types import element_of, numpy_dtype, shape_of
from .torch_handlers import Unknown, aten, handles


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
