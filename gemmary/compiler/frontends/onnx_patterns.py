"""Patterns of ``onnx_simplify``: each takes a graph and the last node of what it looks for, and returns the change, or None."""

from collections.abc import Callable

import numpy as np
from onnx import NodeProto, helper

from ..ir.floats import NoReference, evaluate_onnx
from ..passes.raise_tables import ELEMENTWISE
from .onnx_graph import OnnxGraph

Change = Callable[[], None] | None


def one_hot(graph: OnnxGraph, node: NodeProto) -> Change:
    """``cast(codes == [0 … k − 1]) @ matrix``: what is no code has a row of zeros, on either side."""
    matrix = graph.constants.get(node.input[1]) if node.op_type == "MatMul" else None
    if matrix is None or matrix.ndim != 2:
        return None
    cast = graph.maker(node.input[0], "Cast")
    equal = graph.maker(cast.input[0], "Equal") if cast else None
    parts = graph.split(equal) if equal else None
    if parts is None:
        return None
    codes, numbers = parts
    if (expand := graph.maker(codes, "Expand")) is not None:
        codes = expand.input[0]
    shape, whole = graph.shape(codes), graph.shape(equal.output[0])
    counted = numbers.ndim and numbers.size == numbers.shape[-1] == len(matrix)
    if not counted or not np.array_equal(numbers.ravel(), np.arange(len(matrix))):
        return None
    if shape is None or whole is None or shape != (*whole[:-1], 1):
        return None

    def change() -> None:
        name, kind = node.output[0], numbers.dtype
        rows = graph.constant(f"{name}.rows", np.pad(matrix, ((1, 1), (0, 0))))
        low, high, one = (
            graph.constant(f"{name}.{k}", np.array(v, kind))
            for k, v in (("low", -1), ("high", len(matrix)), ("one", 1))
        )
        given, nodes = codes, []
        while (moved := graph.maker(given, "Reshape", "Unsqueeze")) is not None:
            given = moved.input[0]
        if graph.shape(given) != shape[:-1]:
            target = graph.constant(f"{name}.shape", np.array(shape[:-1], np.int64))
            nodes.append(graph.node("Reshape", codes, target, name=name))
            given = nodes[0].output[0]
        nodes.append(graph.node("Clip", given, low, high, name=name))
        nodes.append(graph.node("Add", nodes[-1].output[0], one, name=name))
        graph.replace(node, *nodes, graph.node("Gather", rows, nodes[-1].output[0], name=name))

    return change


def function_of_gather(graph: OnnxGraph, node: NodeProto) -> Change:
    """``f(gather(matrix, codes))`` with f of each number, or with a row of constants."""
    if node.domain or node.op_type not in ELEMENTWISE or node.output[0] in graph.outputs:
        return None
    computed = {name for name in node.input if name and name not in graph.constants}
    gather = graph.maker(computed.pop(), "Gather") if len(computed) == 1 else None
    if gather is None or graph.reads[gather.output[0]] > sum(name == gather.output[0] for name in node.input):
        return None
    matrix, options = graph.constants.get(gather.input[0]), _options(gather)
    if matrix is None or matrix.ndim != 2 or options.get("axis", 0) != 0:
        return None
    arrays = []
    for name in node.input:
        array = matrix if name == gather.output[0] else graph.constants.get(name)
        if array is None or array is not matrix and array.size > 1 and array.shape[-1] != array.size:
            return None
        arrays.append(
            array if array is matrix else array.reshape(array.shape[-1:]) if array.size > 1 else array.reshape(())
        )
    try:
        (result,) = evaluate_onnx(node.op_type, _options(node), arrays, 1, graph.opset)
    except NoReference:
        return None
    result = np.asarray(result)
    if result.shape != matrix.shape:
        return None

    def change() -> None:
        name = graph.constant(f"{node.output[0]}.rows", result)
        graph.replace(node, graph.node("Gather", name, gather.input[1], name=node.name))

    return change


def hard_swish(graph: OnnxGraph, node: NodeProto) -> Change:
    factors = _factors(graph, node)
    if factors is None or len(factors[1]) != 2 or not _near(factors[0], 1 / 6):
        return None
    for x, clipped in (factors[1], factors[1][::-1]):
        clip = graph.maker(clipped, "Clip")
        if clip is None or [graph.number(name) for name in clip.input[1:]] != [0.0, 6.0]:
            continue
        shifted = graph.maker(clip.input[0], "Add")
        if shifted is not None and _term(graph, shifted, x) == 3.0:
            return lambda x=x: graph.replace(node, graph.node("HardSwish", x, name=node.name))
    return None


def gelu_tanh(graph: OnnxGraph, node: NodeProto) -> Change:
    """``x · (0.5 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))))``, its factors in any order."""
    factors = _factors(graph, node)
    if factors is None or len(factors[1]) != 2 or not _near(factors[0], 0.5):
        return None
    for x, gate in (factors[1], factors[1][::-1]):
        one = graph.maker(gate, "Add")
        inner = graph.split(one) if one is not None else None
        tanh = graph.maker(inner[0], "Tanh") if inner and inner[1].size == 1 and inner[1].item() == 1 else None
        scaled = _factors(graph, graph.makers.get(tanh.input[0])) if tanh is not None else None
        if scaled is None or len(scaled[1]) != 1 or not _near(scaled[0], np.sqrt(2 / np.pi)):
            continue
        total = graph.maker(scaled[1][0], "Add")
        if total is None or x not in total.input:
            continue
        other = next((name for name in total.input if name != x), None)
        cube = _factors(graph, graph.makers.get(other))
        if cube is not None and cube[1] == [x, x, x] and _near(cube[0], 0.044715):
            return lambda x=x: graph.replace(node, graph.node("Gelu", x, name=node.name, approximate="tanh"))
    return None


def layer_norm(graph: OnnxGraph, node: NodeProto) -> Change:
    """``(x − mean) · (γ / √(max(0, mean(x²) − mean²) + ε)) + β``, as JAX writes it: γ and β along the one axis of the means."""
    beta = graph.split(node) if node.op_type == "Add" else None
    product = graph.maker(beta[0], "Mul") if beta else None
    if product is None:
        return None
    for centred, factor in (product.input, product.input[::-1]):
        sub, scale = graph.maker(centred, "Sub"), graph.maker(factor, "Mul")
        gamma = graph.split(scale) if scale is not None else None
        found = _inverse_deviation(graph, gamma[0]) if sub is not None and gamma else None
        x, rank = sub.input[0] if sub is not None else "", len(graph.shape(node.output[0]) or ())
        if found is None or found[0] != x or not _is_mean(graph, sub.input[1], x, found[1]):
            continue
        _, axis, epsilon = found
        n = graph.shape(x)[axis]
        rows = [_along(array, rank, axis, n) for array in (gamma[1], beta[1])]
        if all(row is not None for row in rows):
            return lambda x=x, rows=rows, axis=axis, e=epsilon: _put_layer_norm(graph, node, x, rows, axis, e)
    return None


def _put_layer_norm(graph: OnnxGraph, node: NodeProto, x: str, rows, axis: int, epsilon: float) -> None:
    name, rank = node.output[0], len(graph.shape(x))
    constants = [graph.constant(f"{name}.{part}", row) for part, row in zip(("gamma", "beta"), rows)]
    nodes, swapped = [], [i for i in range(rank) if i != axis] + [axis]
    if axis != rank - 1:
        nodes.append(graph.node("Transpose", x, name=name, perm=swapped))
        x = nodes[-1].output[0]
    nodes.append(graph.node("LayerNormalization", x, *constants, name=name, axis=-1, epsilon=epsilon))
    if axis != rank - 1:
        back = [swapped.index(i) for i in range(rank)]
        nodes.append(graph.node("Transpose", nodes[-1].output[0], name=name, perm=back))
    graph.replace(node, *nodes)


def softmax(graph: OnnxGraph, node: NodeProto) -> Change:
    """``exp(x − max(x)) / sum(exp(x − max(x)))`` over one axis."""
    powers = graph.maker(node.input[0], "Exp") if node.op_type == "Div" and len(node.input) == 2 else None
    total = graph.maker(_moved(graph, node.input[1]), "ReduceSum") if powers is not None else None
    if total is None or total.input[0] != powers.output[0]:
        return None
    shifted, axis = graph.maker(powers.input[0], "Sub"), _axis(graph, total)
    largest = graph.maker(_moved(graph, shifted.input[1]), "Max", "ReduceMax") if shifted is not None else None
    if largest is not None and largest.op_type == "Max":  # with −∞, as JAX writes it
        parts = graph.split(largest)
        alone = parts is not None and np.all(parts[1] == -np.inf)
        largest = graph.maker(_moved(graph, parts[0]), "ReduceMax") if alone else None
    if largest is None or axis is None or largest.input[0] != shifted.input[0] or _axis(graph, largest) != axis:
        return None
    return lambda: graph.replace(node, graph.node("Softmax", shifted.input[0], name=node.name, axis=axis))


def sum_of_squeezed(graph: OnnxGraph, node: NodeProto) -> Change:
    """``squeeze(y) + constant`` → ``squeeze(y + constant)``."""
    parts = graph.split(node) if node.op_type == "Add" else None
    squeeze = graph.maker(parts[0], "Squeeze") if parts else None
    if squeeze is None or graph.reads[squeeze.output[0]] > 1 or len(squeeze.input) < 2:
        return None
    axes, shape = graph.constants.get(squeeze.input[1]), graph.shape(squeeze.input[0])
    if axes is None or shape is None or parts[1].ndim != len(shape) - len(axes):
        return None
    axes = sorted(int(axis) % len(shape) for axis in axes)

    def change() -> None:
        name = node.output[0]
        spread = graph.constant(f"{name}.constant", np.expand_dims(parts[1], tuple(axes)))
        add = graph.node("Add", squeeze.input[0], spread, name=name)
        graph.replace(node, add, graph.node("Squeeze", add.output[0], squeeze.input[1], name=name))

    return change


def bias(graph: OnnxGraph, node: NodeProto) -> Change:
    """``conv(x, weights) + constant`` of each channel: its bias."""
    parts = graph.split(node) if node.op_type == "Add" else None
    conv = graph.maker(parts[0], "Conv") if parts else None
    if conv is None or graph.reads[conv.output[0]] > 1:
        return None
    weights, rank = graph.constants.get(conv.input[1]), len(graph.shape(node.output[0]) or ())
    before = graph.constants.get(conv.input[2]) if len(conv.input) > 2 else None
    if weights is None or (len(conv.input) > 2 and before is None):
        return None
    row = _along(parts[1], rank, 1, len(weights))
    if row is None:
        return None

    def change() -> None:
        name = graph.constant(f"{node.output[0]}.bias", row if before is None else before + row)
        graph.replace(node, graph.node("Conv", *conv.input[:2], name, name=conv.name, **_options(conv)))

    return change


def flat_bias(graph: OnnxGraph, node: NodeProto) -> Change:
    """``product + constant`` of each column, whose axes of size 1 go: onnxruntime quantizes no other."""
    parts = graph.split(node) if node.op_type == "Add" else None
    if parts is None or graph.maker(parts[0], "MatMul") is None or parts[1].ndim < 2:
        return None
    if parts[1].shape[-1] != parts[1].size or parts[1].ndim > len(graph.shape(parts[0]) or ()):
        return None

    def change() -> None:
        name = graph.constant(f"{node.output[0]}.bias", parts[1].reshape(-1))
        graph.replace(node, graph.node("Add", parts[0], name, name=node.name))

    return change


# What patterns are made of.


def _options(node: NodeProto) -> dict:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-4 * abs(b)


def _factors(graph: OnnxGraph, node: NodeProto | None) -> tuple[float, list[str]] | None:
    """(number, computed factors) of a product, through those that only it reads; a single factor stays itself."""
    if node is None or node.domain or node.op_type not in ("Mul", "Div"):
        return None
    number, computed = 1.0, []
    for place, name in enumerate(node.input):
        constant = graph.number(name)
        divides = node.op_type == "Div" and place == 1
        if constant is not None:
            number = number / constant if divides else number * constant
            continue
        if divides or name in graph.constants:
            return None
        inner = _factors(graph, graph.makers.get(name)) if graph.reads[name] == 1 else None
        number, computed = (number * inner[0], computed + inner[1]) if inner else (number, [*computed, name])
    return number, computed


def _term(graph: OnnxGraph, node: NodeProto, x: str) -> float | None:
    """The number that is added to ``x``."""
    parts = graph.split(node)
    return float(parts[1].reshape(())) if parts and parts[0] == x and parts[1].size == 1 else None


def _moved(graph: OnnxGraph, name: str) -> str:
    """What a value is before it only got axes of size 1, or was spread along one."""
    while (node := graph.maker(name, "Reshape", "Unsqueeze", "Squeeze", "Expand")) is not None:
        name = node.input[0]
    return name


def _mean_of(graph: OnnxGraph, name: str) -> tuple[str, int] | None:
    """(tensor, axis) of a mean over one axis."""
    node = graph.maker(_moved(graph, name), "Mul", "Div", "ReduceMean")
    if node is None:
        return None
    if node.op_type == "ReduceMean":
        axis = _axis(graph, node)
        return None if axis is None else (node.input[0], axis)
    factors = _factors(graph, node)
    total = graph.maker(factors[1][0], "ReduceSum") if factors and len(factors[1]) == 1 else None
    axis = None if total is None else _axis(graph, total)
    if axis is None or not _near(factors[0], 1 / graph.shape(total.input[0])[axis]):
        return None
    return total.input[0], axis


def _axis(graph: OnnxGraph, node: NodeProto) -> int | None:
    axes = _options(node).get("axes")
    if axes is None and len(node.input) > 1 and node.input[1] in graph.constants:
        axes = graph.constants[node.input[1]].ravel().tolist()
    shape = graph.shape(node.input[0])
    return int(axes[0]) % len(shape) if axes is not None and len(axes) == 1 and shape else None


def _is_mean(graph: OnnxGraph, name: str, x: str, axis: int) -> bool:
    return _mean_of(graph, name) == (x, axis)


def _square_of(graph: OnnxGraph, name: str) -> str | None:
    node = graph.maker(name, "Mul")
    return node.input[0] if node is not None and node.input[0] == node.input[1] else None


def _inverse_deviation(graph: OnnxGraph, name: str) -> tuple[str, int, float] | None:
    """(x, axis, ε) of ``1 / √(max(0, mean(x²) − mean(x)²) + ε)``."""
    reciprocal = graph.maker(_moved(graph, name), "Reciprocal")
    root = graph.maker(reciprocal.input[0], "Sqrt") if reciprocal is not None else None
    add = graph.maker(root.input[0], "Add") if root is not None else None
    parts = graph.split(add) if add is not None else None
    if parts is None or parts[1].size != 1:
        return None
    bounded = graph.maker(_moved(graph, parts[0]), "Max")
    inner = graph.split(bounded) if bounded is not None else None
    if inner is None or inner[1].size != 1 or inner[1].item() != 0:
        return None
    difference = graph.maker(inner[0], "Sub")
    if difference is None:
        return None
    squares, mean = _mean_of(graph, difference.input[0]), _square_of(graph, difference.input[1])
    of_mean = _mean_of(graph, mean) if mean else None
    if squares is None or of_mean is None or squares[1] != of_mean[1] or _square_of(graph, squares[0]) != of_mean[0]:
        return None
    return *of_mean, float(parts[1].reshape(()))


def _along(array: np.ndarray, rank: int, axis: int, n: int) -> np.ndarray | None:
    """Constants that go along ``axis`` only, as ``[n]``."""
    shape = (1,) * (rank - array.ndim) + array.shape
    if shape != tuple(n if i == axis else 1 for i in range(rank)):
        return None
    return np.ascontiguousarray(array.reshape(n))
