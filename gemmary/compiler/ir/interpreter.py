"""The reference of the graph level: every operator in NumPy, as docs/numerics.md says. Knows no code generator."""

from collections.abc import Callable, Mapping

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase
from xdsl.ir import Operation, SSAValue

from ...errors import InputError
from . import numerics
from .base import GraphOperation
from .contractions import Conv2D, MatMul
from .dialect import GraphContext
from .edges import Constant, Dequantize, Float, Observe, Quantize, Reinterpret, Scale
from .floats import evaluate_float
from .model import Model
from .normal import LayerNorm, Softmax
from .shapes import Concat, Reshape, Transpose
from .types import numpy_dtype, quantization, shape_of
from .vector import Add, AveragePool, MaxPool, Table

Arrays = Mapping[SSAValue, np.ndarray]


def interpret(
    model: Model,
    inputs: Mapping[str, np.ndarray],
    observe: Callable[[Operation, tuple[np.ndarray, ...]], None] = lambda op, results: None,
) -> dict[str, np.ndarray]:
    """The outputs by name. ``observe`` is called with every operator and its results. InputError for wrong inputs."""
    inputs = {name: np.asarray(array) for name, array in inputs.items()}
    model.check_inputs(inputs)
    values = {value: inputs[name] for name, value in model.inputs.items()}
    outputs = model.outputs
    left = {value: len(list(value.uses)) for op in model.operations for value in op.operands}
    for op in model.operations:
        results = evaluate(model.context, op, values, model.opset)
        for value, array in zip(op.results, results):
            values[value] = array
        observe(op, results)
        for value in op.operands:  # what nobody reads any more makes room
            left[value] -= 1
            if not left[value] and value not in outputs.values():
                values.pop(value, None)
    return {name: read(model.context, values, value) for name, value in outputs.items()}


def read(context: GraphContext, values: Arrays, value: SSAValue) -> np.ndarray:
    return values[value] if value in values else context.array(value)


def evaluate(context: GraphContext, op: GraphOperation, values: Arrays, opset: int) -> tuple[np.ndarray, ...]:
    """The results of one operator, from the arrays of its operands (constants need none)."""

    def get(operand: SSAValue | None) -> np.ndarray | None:
        return None if operand is None else read(context, values, operand)

    try:
        compute = _COMPUTE[type(op)]
    except KeyError:
        raise InputError(f"{op.name}: no reference is known") from None
    if compute is evaluate_float:
        return evaluate_float(op, [get(operand) for operand in op.inputs], opset)
    return (compute(op, get),)


def _constant(op: Constant, get):
    return get(op.result)


def _quantize(op: Quantize, get):
    q = quantization(op.result)
    return numerics.quantize(get(op.input), q.scale.data, q.zero_point.data)


def _dequantize(op: Dequantize, get):
    q = quantization(op.input)
    array = numerics.dequantize(get(op.input), q.scale.data, q.zero_point.data)
    return array.astype(numpy_dtype(op.result.type.element_type))


def _scale(op: Scale, get):
    array, scales = get(op.input), get(op.scales)
    shape = [1] * array.ndim
    if scales.size > 1:
        shape[op.axis.value.data] = -1
    return array.astype(np.float32) * scales.reshape(shape)


def _reinterpret(op: Reinterpret, get):
    array = get(op.input)
    if array.dtype == np.uint8:
        return (array.astype(np.int16) - 128).astype(np.int8)
    if numpy_dtype(op.result.type.element_type) == np.uint8:
        return (array.astype(np.int16) + 128).astype(np.uint8)
    return array


def _conv2d(op: Conv2D, get):
    strides, dilations, padding = (n.get_values() for n in (op.strides, op.dilations, op.padding))
    x, zero = get(op.input), quantization(op.input).zero_point.data
    x = x.astype(np.int16) - zero
    y = _drain(op, numerics.convolve(x, get(op.weight), strides, padding, dilations, op.groups.value.data, 0), get)
    return y if op.pool is None else _maximum(y, op.pool, op.pool_strides, op.pool_padding)


def _matmul(op: MatMul, get):
    a = _split(op, 0, get(op.input)).astype(np.int16) - quantization(op.input).zero_point.data
    b = _split(op, 1, get(op.weight)).astype(np.int16)
    if not op.constant:
        b = b - quantization(op.weight).zero_point.data
        b = b if op.transposed is None else b.swapaxes(-1, -2)
    result = _drain(op, numerics.products(a, b), get)
    if 2 in op.joined.get_values():
        result = np.ascontiguousarray(result.swapaxes(-2, -3)).reshape(shape_of(op.result))
    return result


def _split(op: MatMul, place: int, array: np.ndarray) -> np.ndarray:
    """The heads of an operand that has them in its channels as an outer axis."""
    if place not in op.joined.get_values():
        return array
    heads = op.heads.value.data
    return array.reshape(*array.shape[:-1], heads, array.shape[-1] // heads).swapaxes(-2, -3)


def _drain(op: Conv2D | MatMul, sums: np.ndarray, get):
    bias, result = get(op.bias), quantization(op.result)
    sums = numerics.wrap(sums if bias is None else sums + bias)
    if result is None:
        return sums
    residual = None
    if op.residual is not None:
        zero = quantization(op.residual).zero_point.data
        residual = get(op.residual), zero, op.residual_scale.value.data
    zero, low, high = op.drain_zero_point, op.low.value.data, op.high.value.data
    y = numerics.requantize(sums, get(op.scale), zero, low, high, residual)
    return y if op.table is None else _look_up(get(op.table), y)


def _look_up(table: np.ndarray, y: np.ndarray) -> np.ndarray:
    return table[y.astype(np.int16) + 128]


def _max_pool(op: MaxPool, get):
    return _maximum(get(op.input), op.window, op.strides, op.padding)


def _maximum(x: np.ndarray, *geometry: DenseArrayBase) -> np.ndarray:
    return numerics.windows(x, *(numbers.get_values() for numbers in geometry), outside=-128).max(axis=(3, 4))


def _average_pool(op: AveragePool, get):
    window, strides, padding = (n.get_values() for n in (op.window, op.strides, op.padding))
    zero = quantization(op.input).zero_point.data
    seen = numerics.windows(get(op.input), window, strides, padding, outside=zero)
    sums = numerics.wrap(seen.sum(axis=(3, 4), dtype=np.int64) - window[0] * window[1] * zero)
    clip = quantization(op.result).zero_point.data, op.low.value.data, op.high.value.data
    return numerics.requantize(sums, op.scale.value.data, *clip)


def _add(op: Add, get):
    sides = []
    for value, scale in ((op.left, op.left_scale), (op.right, op.right_scale)):
        sides.append((get(value), quantization(value).zero_point.data, scale.value.data))
    sides.sort(key=lambda side: side[2])  # the residual's shift may not be the larger one
    (array, zero, scale), residual = sides
    clip = quantization(op.result).zero_point.data, op.low.value.data, op.high.value.data
    return numerics.requantize(array.astype(np.int64) - zero, scale, *clip, residual)


def _table(op: Table, get):
    return _look_up(get(op.table), get(op.input))


def _reshape(op: Reshape, get):
    return get(op.input).reshape(shape_of(op.result))


def _transpose(op: Transpose, get):
    return np.ascontiguousarray(get(op.input).transpose(op.permutation.get_values()))


def _concat(op: Concat, get):
    return np.concatenate([get(value) for value in op.inputs], axis=op.axis.value.data)


def _observe(op: Observe, get):
    return get(op.input)


def _real(value: SSAValue, get) -> np.ndarray:
    q, array = quantization(value), get(value).astype(np.float64)
    return array if q is None else (array - q.zero_point.data) * q.scale.data


def _rounded(array: np.ndarray, result: SSAValue) -> np.ndarray:
    q = quantization(result)
    if q is None:
        return array.astype(np.float32)
    return np.clip(np.rint(array / q.scale.data) + q.zero_point.data, -128, 127).astype(np.int8)


def _softmax(op: Softmax, get):
    x = _real(op.input, get)
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return _rounded(powers / powers.sum(axis=-1, keepdims=True), op.result)


def _layer_norm(op: LayerNorm, get):
    x = _real(op.input, get)
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + op.epsilon.value.data)
    return _rounded(x * get(op.gamma) + get(op.beta), op.result)


_COMPUTE = {
    Constant: _constant, Quantize: _quantize, Dequantize: _dequantize, Scale: _scale, Reinterpret: _reinterpret,
    Observe: _observe, Float: evaluate_float, Conv2D: _conv2d, MatMul: _matmul, MaxPool: _max_pool, AveragePool: _average_pool,
    Add: _add, Table: _table, Reshape: _reshape, Transpose: _transpose, Concat: _concat, Softmax: _softmax,
    LayerNorm: _layer_norm,
}  # fmt: skip
