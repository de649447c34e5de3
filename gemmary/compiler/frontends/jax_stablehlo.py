"""Operators of StableHLO as operators of the graph level. A handler takes the importer and the operands: SSAValues, or NumPy
arrays where they are constant."""

from collections.abc import Callable
from math import prod

import numpy as np
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo
from xdsl.ir import SSAValue

from ..ir.base import integer, ints
from ..ir.contractions import Conv2D, MatMul
from ..ir.types import shape_of, tensor_type
from ..ir.vector import MaxPool

HANDLERS: dict[str, Callable] = {}


class Unknown(Exception):
    """The operator is known, but not like this; the message says why."""


def handles(*names):
    def register(handler):
        HANDLERS.update({f"stablehlo.{name}": handler for name in names})
        return handler

    return register


# What computes on every element: the ONNX operator, and NumPy's function for constants.

_UNARY = {
    "abs": ("Abs", np.abs), "ceil": ("Ceil", np.ceil), "cosine": ("Cos", np.cos), "exponential": ("Exp", np.exp),
    "floor": ("Floor", np.floor), "log": ("Log", np.log), "negate": ("Neg", np.negative), "not": ("Not", np.logical_not),
    "round_nearest_even": ("Round", np.rint), "sign": ("Sign", np.sign), "sine": ("Sin", np.sin), "sqrt": ("Sqrt", np.sqrt),
    "tanh": ("Tanh", np.tanh),
    "logistic": ("Sigmoid", lambda x: 1 / (1 + np.exp(-x))),
}  # fmt: skip
_BINARY = {
    "add": ("Add", np.add), "and": ("And", np.logical_and), "divide": ("Div", np.divide), "maximum": ("Max", np.maximum),
    "minimum": ("Min", np.minimum), "multiply": ("Mul", np.multiply), "or": ("Or", np.logical_or), "power": ("Pow", np.power),
    "subtract": ("Sub", np.subtract),
}  # fmt: skip
_COMPARE = {
    "EQ": ("Equal", np.equal), "GT": ("Greater", np.greater), "GE": ("GreaterOrEqual", np.greater_equal),
    "LT": ("Less", np.less), "LE": ("LessOrEqual", np.less_equal),
}  # fmt: skip


def _register(name: str, kind: str, function) -> None:
    def handler(g, *operands):
        if all(isinstance(each, np.ndarray) for each in operands):
            return function(*operands).astype(g.dtype)
        return g.elementwise(kind, *operands)

    HANDLERS[f"stablehlo.{name}"] = handler


for _name, (_kind, _function) in {**_UNARY, **_BINARY}.items():
    _register(_name, _kind, _function)


@handles("rsqrt")
def _rsqrt(g, x):
    return g.elementwise("Reciprocal", g.elementwise("Sqrt", x))


@handles("compare")
def _compare(g, a, b):
    direction = stablehlo.ComparisonDirectionAttr(g.op.attributes["comparison_direction"]).value
    if direction == "NE":
        return g.elementwise("Not", g.elementwise("Equal", a, b))
    kind, function = _COMPARE[direction]
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return function(a, b)
    return g.elementwise(kind, a, b)


@handles("select")
def _select(g, condition, a, b):
    if all(isinstance(each, np.ndarray) for each in (condition, a, b)):
        return np.where(condition, a, b)
    return g.elementwise("Where", condition, a, b)


@handles("clamp")
def _clamp(g, low, x, high):
    return g.elementwise("Min", g.elementwise("Max", x, low), high)


@handles("convert")
def _convert(g, x):
    if isinstance(x, np.ndarray):
        return x.astype(g.dtype)
    return g.cast(x, g.dtype)


# Products.


@handles("dot_general")
def _dot_general(g, a, b):
    numbers = stablehlo.DotDimensionNumbers(g.op.attributes["dot_dimension_numbers"])
    batches = list(numbers.lhs_batching_dimensions), list(numbers.rhs_batching_dimensions)
    inner = list(numbers.lhs_contracting_dimensions), list(numbers.rhs_contracting_dimensions)
    if isinstance(a, np.ndarray) and isinstance(b, SSAValue):  # the right operand may be the constant one
        rows = a.ndim - len(batches[0]) - len(inner[0])
        product = _product(g, b, a, batches[::-1], inner[::-1])
        outer, rank = len(batches[0]), len(g.shape)
        columns = rank - outer - rows
        axes = [*range(outer), *range(outer + columns, rank), *range(outer, outer + columns)]
        return g.move(product, axes)
    return _product(g, a, b, batches, inner)


def _product(g, a, b, batches, inner):
    """[batches, what is left of a, what is left of b]."""
    free = [[i for i in range(_rank(x)) if i not in o and i not in k] for x, o, k in zip((a, b), batches, inner)]
    sizes = [[_shape(x)[i] for i in axes] for x, axes in zip((a, b), free)]
    outer, k = [_shape(a)[i] for i in batches[0]], prod(_shape(a)[i] for i in inner[0])
    constant = isinstance(b, np.ndarray) and not outer
    rows = sizes[0] if constant and sizes[0] else [prod(sizes[0])]
    left = g.move(a, [*batches[0], *free[0], *inner[0]], [*outer, *rows, k])
    right = g.move(b, [*batches[1], *inner[1], *free[1]], [*outer, k, prod(sizes[1])])
    shape = [*outer, *rows, prod(sizes[1])]
    return g.move(_matmul(g, left, right, shape), None, [*outer, *sizes[0], *sizes[1]])


def _matmul(g, left, right, shape):
    sides = [g.int8(each) for each in (left, right)] if g.dtype == np.int32 else [None, None]
    if None in sides or isinstance(left, np.ndarray):
        return g.float("MatMul", *(g.as_result(each) for each in (left, right)), shape=shape)
    (x, zero), (weight, other) = sides
    operands = [g.quantized(x, zero), g.value(weight) if isinstance(weight, np.ndarray) else g.quantized(weight, other)]
    return g.build(MatMul, [*operands, [], [], [], []], tensor_type(shape, np.int32))


@handles("convolution")
def _convolution(g, x, weight):
    numbers = stablehlo.ConvDimensionNumbers(g.op.attributes["dimension_numbers"])
    axes = len(numbers.input_spatial_dimensions)
    strides, dilations = g.ints("window_strides", [1] * axes), g.ints("rhs_dilation", [1] * axes)
    if max(g.ints("lhs_dilation", [1])) > 1 or any(g.ints("window_reversal", [])):
        raise Unknown("a transposed convolution is not supported")
    if axes not in (1, 2) or g.op.attributes["batch_group_count"].value != 1:
        raise Unknown(f"a convolution over {axes} axes, or with groups of the batch, is not supported")
    if not isinstance(weight, np.ndarray):
        raise Unknown("the weights of a convolution must be constant: close over them instead of passing them")
    pads = np.zeros((axes, 2), int)
    if "padding" in g.op.attributes:
        pads = np.array(ir.DenseElementsAttr(g.op.attributes["padding"])).reshape(axes, 2)
    groups = g.op.attributes["feature_group_count"].value
    order = [numbers.input_batch_dimension, *numbers.input_spatial_dimensions, numbers.input_feature_dimension]
    back = [numbers.output_batch_dimension, *numbers.output_spatial_dimensions, numbers.output_feature_dimension]
    weight = weight.transpose(
        *numbers.kernel_spatial_dimensions,
        numbers.kernel_input_feature_dimension,
        numbers.kernel_output_feature_dimension,
    )
    result = [g.shape[i] for i in back]
    sides = (g.int8(x), g.int8(weight)) if g.dtype == np.int32 else (None, None)
    if None in sides or (pads < 0).any():
        channels_first = [order[0], order[-1], *order[1:-1]]
        kernel = np.ascontiguousarray(np.moveaxis(weight, (-1, -2), (0, 1)))
        options = {"pads": [int(n) for n in (*pads[:, 0], *pads[:, 1])], "strides": strides, "dilations": dilations}
        single, shape = np.dtype(np.float32), [result[0], result[-1], *result[1:-1]]
        x, kernel = g.cast(g.move(x, channels_first), single), kernel.astype(single)
        y = g.cast(g.float("Conv", x, kernel, shape=shape, dtype=single, group=groups, **options), g.dtype)
        return g.move(g.move(y, [0, *range(2, axes + 2), 1]), list(np.argsort(back)))
    (x, zero), (weight, _) = sides
    x = g.move(x, order)
    if axes == 1:
        n, w, c = shape_of(x)
        x, weight, pads = g.reshape(x, (n, 1, w, c)), weight[None], np.array([[0, 0], *pads])
        strides, dilations, machine = [1, *strides], [1, *dilations], [result[0], 1, *result[1:]]
    else:
        machine = result
    y = g.build(
        Conv2D, [g.quantized(x, zero), g.value(weight), [], [], [], []], tensor_type(machine, np.int32),
        strides=ints(strides), dilations=ints(dilations), padding=ints(pads.ravel()), groups=integer(groups),
    )  # fmt: skip
    return g.move(g.move(y, None, result), list(np.argsort(back)))


# Windows and sums.


@handles("reduce")
def _reduce(g, *operands):
    if len(operands) != 2:
        raise Unknown("a reduction of several tensors is not supported")
    x, _ = operands
    kind, axes = (
        _body(g, {"add": "ReduceSum", "maximum": "ReduceMax", "minimum": "ReduceMin"}),
        g.ints("dimensions", []),
    )
    return g.float(kind, x, np.array(axes, np.int64), keepdims=0)


@handles("reduce_window")
def _reduce_window(g, *operands):
    x, _ = operands
    kind = _body(g, {"maximum": "MaxPool", "add": "AveragePool"})
    shape, window = shape_of(x), g.ints("window_dimensions", [])
    strides = g.ints("window_strides", [1] * len(shape))
    pads = np.zeros((len(shape), 2), int)
    if "padding" in g.op.attributes:
        pads = np.array(ir.DenseElementsAttr(g.op.attributes["padding"])).reshape(-1, 2)
    axes = [i for i, (k, s) in enumerate(zip(window, strides)) if k > 1 or s > 1 or pads[i].any()]
    dilated = max(g.ints("base_dilations", [1])) > 1 or max(g.ints("window_dilations", [1])) > 1
    if len(shape) != 4 or len(axes) > 2 or dilated:
        raise Unknown(f"a window of {window} over {list(shape)} is not supported")
    others = [i for i in range(1, 4) if i not in axes]  # the batch comes first, channels are what no window moves over
    channels = others[-1] if len(axes) < 2 or others else None
    if 0 in axes or channels is None:
        raise Unknown(f"a window of {window} over {list(shape)} is not supported")
    spatial = [i for i in range(1, 4) if i != channels]
    order, result = [0, *spatial, channels], g.shape
    back = list(np.argsort(order))
    if kind == "MaxPool" and g.dtype == np.int8:
        geometry = {
            "window": ints(window[i] for i in spatial),
            "strides": ints(strides[i] for i in spatial),
            "padding": ints(pads[spatial].ravel()),
        }
        value = g.quantized(g.move(x, order), 0)
        pool = g.build(MaxPool, [value], tensor_type([result[i] for i in order], value.type.element_type), **geometry)
        return g.move(g.plain(pool), back)
    first = [0, channels, *spatial]
    options = {
        "kernel_shape": [window[i] for i in spatial],
        "strides": [strides[i] for i in spatial],
        "pads": [int(n) for n in (*pads[spatial, 0], *pads[spatial, 1])],
    }
    if kind == "AveragePool":
        options["count_include_pad"] = 1
    y = g.cast(g.move(x, first), np.float32)
    y = g.float(kind, y, shape=[result[i] for i in first], dtype=np.dtype(np.float32), **options)
    if kind == "AveragePool":
        y = g.float("Mul", y, np.float32(prod(window)), shape=shape_of(y), dtype=np.dtype(np.float32))
        y = g.float("Round", y, shape=shape_of(y), dtype=np.dtype(np.float32)) if g.dtype.kind == "i" else y
    return g.move(g.cast(y, g.dtype), list(np.argsort(first)))


def _body(g, known: dict[str, str]) -> str:
    (block,) = g.op.regions[0].blocks
    name, *more = [op.operation.name.removeprefix("stablehlo.") for op in block.operations]
    if more != ["return"] or name not in known:
        raise Unknown(f"a reduction by {name} is not supported")
    return known[name]


# What moves numbers.


@handles("broadcast_in_dim")
def _broadcast(g, x):
    places = g.ints("broadcast_dimensions", [])
    shape = [1] * len(g.shape)
    for axis, place in enumerate(places):
        shape[place] = _shape(x)[axis]
    x = g.move(x, None, shape)
    if isinstance(x, np.ndarray):
        return np.broadcast_to(x, g.shape)
    return x if tuple(shape) == g.shape else g.float("Expand", x, np.array(g.shape, np.int64))


@handles("reshape")
def _reshape(g, x):
    return g.move(x, None, g.shape)


@handles("transpose")
def _transpose(g, x):
    return g.move(x, g.ints("permutation", []))


@handles("concatenate")
def _concatenate(g, *values):
    axis = g.op.attributes["dimension"].value
    if all(isinstance(each, np.ndarray) for each in values):
        return np.concatenate(values, axis)
    return g.concat([g.value(each) for each in values], axis)


@handles("slice")
def _slice(g, x):
    bounds = [g.ints(name, []) for name in ("start_indices", "limit_indices", "strides")]
    if isinstance(x, np.ndarray):
        return x[tuple(slice(*each) for each in zip(*bounds))]
    starts, ends, steps = (np.array(each, np.int64) for each in bounds)
    return g.float("Slice", x, starts, ends, np.arange(len(starts)), steps)


@handles("pad")
def _pad(g, x, value):
    low, high, inside = (g.ints(name, []) for name in ("edge_padding_low", "edge_padding_high", "interior_padding"))
    if any(inside) or not isinstance(value, np.ndarray):
        raise Unknown("padding between elements, or with a computed value, is not supported")
    if isinstance(x, np.ndarray) and min(low + high) >= 0:
        return np.pad(x, list(zip(low, high)), constant_values=value)
    return g.float("Pad", x, np.array([*low, *high], np.int64), value)


@handles("iota")
def _iota(g):
    axis = g.op.attributes["iota_dimension"].value
    shape = [n if i == axis else 1 for i, n in enumerate(g.shape)]
    return np.broadcast_to(np.arange(g.shape[axis]).astype(g.dtype).reshape(shape), g.shape)


def _shape(x) -> tuple[int, ...]:
    return x.shape if isinstance(x, np.ndarray) else shape_of(x)


def _rank(x) -> int:
    return len(_shape(x))
