"""ONNX in: a model with QuantizeLinear and DequantizeLinear becomes one of the graph level, operator by operator.

Quantization becomes the operators of ``edges``, what only moves numbers those of ``shapes``, and every other operator a
``graph.float`` of its name: the passes raise to the machine's operators what they can. uint8 activations become int8 by
subtracting 128 from values and zero points.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from xdsl.dialects.builtin import StringAttr, TensorType
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue

from ...errors import InputError
from ..ir import GraphContext, Model, new_model
from ..ir.base import integer, ints
from ..ir.edges import Dequantize, Float, Quantize, Reinterpret, Scale
from ..ir.floats import evaluate_onnx, options_of
from ..ir.shapes import Concat, Reshape, Transpose
from ..ir.types import Quantized, element_of, quantization, shape_of, tensor_type
from .onnx_shapes import fix_sizes, known_shapes, opset_of

FOLDED = 1 << 24
"""Bytes of a result that is computed while compiling, at most."""

_RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
_SAME = ("Identity", "Dropout")


def load_onnx(path: Path) -> onnx.ModelProto:
    """InputError for a file that is no ONNX model."""
    try:
        return onnx.load(str(path))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except Exception as error:  # protobuf's own, and whatever it finds in a file that is none
        raise InputError(f"{path} is no ONNX model: {' '.join(str(error).split())[:200]}") from None


def import_onnx(model: onnx.ModelProto, sizes: Mapping[str, int] | None = None, batch: int | None = None) -> Model:
    """The model at the graph level. Inputs and outputs keep names, shapes and order of axes.

    InputError, naming the operator, for opsets, dtypes, dynamic sizes and control flow that it does not know.
    """
    opset = opset_of(model)
    return _Importer(fix_sizes(model, sizes or {}, batch), opset).run()


class _Importer:
    def __init__(self, model: onnx.ModelProto, opset: int):
        self.graph, self.opset, self.context = model.graph, opset, GraphContext()
        self.shapes = known_shapes(model)
        self.arrays = {each.name: numpy_helper.to_array(each) for each in self.graph.initializer}
        self.values: dict[str, SSAValue] = {}
        self.block, self.source = Block(), ""

    def run(self) -> Model:
        inputs = [value.name for value in self.graph.input if value.name not in self.arrays]
        for i, name in enumerate(inputs):
            self.values[name] = self.block.insert_arg(self._type(name), i)
            self.values[name].name_hint = None
        for i, node in enumerate(self.graph.node):
            self.source = node.name or f"{node.op_type}_{i}"
            self._node(node)
        outputs = [value.name for value in self.graph.output]
        results = [self._plain(name) for name in outputs]
        self.block.add_op(ReturnOp(*results))
        return new_model(self.context, self.block, inputs, outputs, self.opset).verify("import")

    def _node(self, node: onnx.NodeProto) -> None:
        options = {each.name: self._option(each) for each in node.attribute}
        if node.op_type == "Constant" and not node.domain:
            (value,) = options.values()
            self.arrays[node.output[0]] = np.asarray(value)
        elif node.op_type == "Shape" and node.input[0] in self.shapes:
            shape = self.shapes[node.input[0]][0][options.get("start", 0) : options.get("end")]
            self.arrays[node.output[0]] = np.array(shape, np.int64)
        elif self._foldable(node):
            arrays = [self.arrays[name] for name in node.input if name]
            absent = [i for i, name in enumerate(node.input) if not name]
            results = evaluate_onnx(node.op_type, options, arrays, len(node.output), self.opset, absent, node.domain)
            self.arrays |= dict(zip(node.output, map(np.asarray, results)))
        elif node.op_type == "QuantizeLinear":
            self._quantize(node, options)
        elif node.op_type == "DequantizeLinear":
            self._dequantize(node, options)
        elif node.op_type in _SAME:
            self.values[node.output[0]] = self._value(node.input[0])
        elif node.op_type in _RESHAPES or node.op_type in ("Transpose", "Concat"):
            self._move(node, options)
        else:
            self._float(node, options)

    def _foldable(self, node: onnx.NodeProto) -> bool:
        if node.op_type == "DequantizeLinear" or not all(name in self.arrays for name in node.input if name):
            return False
        if node.op_type.startswith("Random") or node.op_type == "Loop":
            return False
        return sum(self.arrays[name].nbytes for name in node.input if name) < FOLDED

    def _option(self, attribute: onnx.AttributeProto):
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            return numpy_helper.to_array(value)
        if isinstance(value, onnx.GraphProto):
            raise InputError(f"operator {self.source!r}: control flow (attribute {attribute.name}) is not supported")
        return value.decode() if isinstance(value, bytes) else list(value) if hasattr(value, "__len__") else value

    # Values.

    def _type(self, name: str) -> TensorType:
        if name not in self.shapes:
            raise InputError(f"operator {self.source!r}: the shape of its result {name!r} depends on the data")
        shape, dtype = self.shapes[name]
        try:
            return tensor_type(shape, onnx.helper.tensor_dtype_to_np_dtype(dtype))
        except KeyError:
            kind = onnx.TensorProto.DataType.Name(dtype)
            raise InputError(f"tensor {name!r}: dtype {kind} is not supported: use FLOAT, INT8 or UINT8") from None

    def _value(self, name: str) -> SSAValue:
        if name not in self.values:
            array = self.arrays.get(name)
            if array is None:
                raise InputError(f"operator {self.source!r}: nothing computes its input {name!r}")
            try:
                self.values[name] = self._add(self.context.constant(name, array))
            except KeyError:
                raise InputError(f"tensor {name!r}: dtype {array.dtype} is not supported") from None
        return self.values[name]

    def _add(self, op: Operation) -> SSAValue:
        if self.source:
            op.attributes["source"] = StringAttr(self.source)
        self.block.add_op(op)
        return op.results[0]

    def _plain(self, name: str) -> SSAValue:
        """A value as a tensor of plain numbers: outside what is quantized nobody knows ``!graph.q``."""
        value = self._value(name)
        if quantization(value) is None:
            return value
        return self._build(Reinterpret, [value], self._type(name))

    def _build(self, kind, operands, result: Attribute, **properties) -> SSAValue:
        return self._add(kind.build(operands=operands, result_types=[result], properties=properties))

    # Quantization.

    def _parameters(self, node: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray]:
        """(scales, zero points) as arrays; those of uint8 still as they are."""
        for name in node.input[1:]:
            if name and name not in self.arrays:
                raise InputError(f"operator {self.source!r}: scale and zero point must be constant")
        scale = self.arrays[node.input[1]]
        zero = self.arrays[node.input[2]] if len(node.input) > 2 and node.input[2] else None
        if zero is None:
            zero = np.zeros(scale.shape, np.uint8 if node.op_type == "QuantizeLinear" else self._dtype(node.input[0]))
        if zero.dtype not in (np.int8, np.uint8, np.int32):
            raise InputError(
                f"operator {self.source!r}: quantization to {zero.dtype} is not supported: use int8 or uint8"
            )
        return np.atleast_1d(scale).astype(np.float32), np.atleast_1d(zero)

    def _dtype(self, name: str) -> np.dtype:
        return self.arrays[name].dtype if name in self.arrays else np.dtype(np.int8)

    def _quantized(self, scale: np.ndarray, zero: np.ndarray) -> Quantized:
        if scale.size != 1:
            raise InputError(f"operator {self.source!r}: activations take one scale, not {scale.size}")
        offset = 128 if zero.dtype == np.uint8 else 0
        return Quantized(float(scale[0]), int(zero[0]) - offset)

    def _quantize(self, node: onnx.NodeProto, options: dict) -> None:
        scale, zero = self._parameters(node)
        q = self._quantized(scale, zero)
        value = self._value(node.input[0])
        self.values[node.output[0]] = self._build(Quantize, [value], tensor_type(shape_of(value), q))

    def _dequantize(self, node: onnx.NodeProto, options: dict) -> None:
        scale, zero = self._parameters(node)
        name, output = node.input[0], node.output[0]
        if name in self.arrays:
            self._constant_weights(name, output, scale, zero, options.get("axis", 1))
            return
        value, q = self._value(name), self._quantized(scale, zero)
        shape = shape_of(value)
        if quantization(value) is not None and quantization(value) != q:  # the same numbers, read in another way
            value = self._plain(name)
        if quantization(value) is None:
            value = self._build(Reinterpret, [value], tensor_type(shape, q))
        self.values[output] = self._build(Dequantize, [value], tensor_type(shape, np.float32))

    def _constant_weights(self, name: str, output: str, scale, zero, axis: int) -> None:
        array = self.arrays[name]
        axis = axis % array.ndim if array.ndim and scale.size > 1 else 0
        zero = zero.astype(np.int32).reshape([-1 if i == axis and zero.size > 1 else 1 for i in range(array.ndim)])
        shifted = array.astype(np.int32) - zero
        if array.dtype != np.int32 and -128 <= shifted.min(initial=0) <= shifted.max(initial=0) <= 127:
            shifted = shifted.astype(np.int8)
        integers = self._add(self.context.constant(name, shifted))
        scales = self._add(self.context.constant(f"{name}.scale", scale))
        kind = tensor_type(array.shape, np.float32)
        self.values[output] = self._build(Scale, [integers, scales], kind, axis=integer(axis))

    # What moves numbers, and everything else.

    def _move(self, node: onnx.NodeProto, options: dict) -> None:
        values = [self._value(name) for name in (node.input if node.op_type == "Concat" else node.input[:1])]
        kind = TensorType(element_of(values[0]), self._type(node.output[0]).get_shape())
        rank = len(kind.get_shape())
        if node.op_type == "Transpose":
            axes = options.get("perm") or list(range(rank))[::-1]
            result = self._build(Transpose, values, kind, permutation=ints(axes))
        elif node.op_type == "Concat":
            result = self._build(Concat, [values], kind, axis=integer(options["axis"] % rank))
        else:
            result = self._build(Reshape, values, kind)
        self.values[node.output[0]] = result

    def _float(self, node: onnx.NodeProto, options: dict) -> None:
        try:
            attributes = options_of(options)
        except TypeError as error:
            raise InputError(f"operator {self.source!r} ({node.op_type}): {error}") from None
        values = [self._plain(name) for name in node.input if name]
        absent = [i for i, name in enumerate(node.input) if not name]
        outputs = [name for name in node.output if name]
        properties = {"kind": StringAttr(node.op_type), "options": attributes, "absent": ints(absent)}
        properties["domain"] = StringAttr(node.domain)
        types = [self._type(name) for name in outputs]
        op = Float.build(operands=[values], result_types=[types], properties=properties)
        self._add(op)
        self.values |= dict(zip(outputs, op.results))
