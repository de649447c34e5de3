"""Float operators of the model on the host, as the reference implementation of ONNX computes them."""

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, DictionaryAttr, FloatAttr, IntegerAttr, StringAttr, f32, i64
from xdsl.ir import Attribute

from ...errors import InputError
from .edges import Float
from .types import element_of, numpy_dtype


class NoReference(InputError):
    """ONNX's reference does not know the operator."""


def options_of(values: dict) -> DictionaryAttr:
    """An operator's attributes: ints, floats, strings, and lists of ints or floats. TypeError for anything else."""
    return DictionaryAttr({name: _attribute(value) for name, value in values.items()})


def _attribute(value) -> Attribute:
    if isinstance(value, bytes | str):
        return StringAttr(value.decode() if isinstance(value, bytes) else value)
    if isinstance(value, int | np.integer):
        return IntegerAttr(int(value), 64)
    if isinstance(value, float):
        return FloatAttr(value, f32)
    if isinstance(value, list | tuple) and all(isinstance(n, int) for n in value):
        return DenseArrayBase.from_list(i64, list(value))
    if isinstance(value, list | tuple) and all(isinstance(n, int | float) for n in value):
        return DenseArrayBase.from_list(f32, [float(n) for n in value])
    raise TypeError(f"no attribute of the graph level holds a {type(value).__name__}")


def options_from(attribute: DictionaryAttr) -> dict:
    """The reverse."""
    return {name: _value(each) for name, each in attribute.data.items()}


def _value(attribute: Attribute):
    match attribute:
        case StringAttr():
            return attribute.data
        case IntegerAttr() | FloatAttr():
            return attribute.value.data
        case DenseArrayBase():
            return list(attribute.get_values())
    raise InputError(f"an option of a float operator cannot be {attribute}")


def evaluate_float(op: Float, arrays: Sequence[np.ndarray], opset: int) -> tuple[np.ndarray, ...]:
    """The results of a float operator. InputError where the package onnx is missing, or does not know the operator."""
    kind, options = op.kind.data, options_from(op.options)
    results = evaluate_onnx(kind, options, arrays, len(op.outputs), opset, op.absent.get_values(), op.domain.data)
    return tuple(np.asarray(each, numpy_dtype(element_of(value))) for each, value in zip(results, op.outputs))


def evaluate_onnx(kind: str, options: dict, arrays, outputs: int, opset: int, absent=(), domain: str = "") -> list:
    """What ONNX's reference says of one operator."""
    try:
        import onnx
        from onnx.reference import ReferenceEvaluator
    except ModuleNotFoundError:
        raise InputError(
            f"the float operator {kind} needs the Python package onnx: pip install 'gemmary[onnx]'"
        ) from None
    present = iter(f"x{i}" for i in range(len(arrays)))
    names = ["" if i in absent else next(present) for i in range(len(arrays) + len(absent))]
    results = [f"y{i}" for i in range(outputs)]
    node = onnx.helper.make_node(kind, names, results, domain=domain, **options)
    values = [onnx.helper.make_tensor_value_info(f"x{i}", _onnx_type(a), a.shape) for i, a in enumerate(arrays)]
    unknown = [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in results]
    opsets = [onnx.helper.make_opsetid("", opset)] + ([onnx.helper.make_opsetid(domain, 1)] if domain else [])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "one", values, unknown), opset_imports=opsets)
    try:
        with np.errstate(all="ignore"):
            return ReferenceEvaluator(model).run(None, {f"x{i}": a for i, a in enumerate(arrays)})
    except (NotImplementedError, onnx.checker.ValidationError) as error:
        raise NoReference(f"no reference of the float operator {kind} is known: {error}") from None


def _onnx_type(array: np.ndarray) -> int:
    import onnx

    return onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
