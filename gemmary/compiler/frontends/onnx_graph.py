"""An ONNX graph to rewrite: its nodes, its constants, and who makes and reads what."""

import math
from collections import Counter
from operator import attrgetter

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..ir.floats import NoReference, evaluate_onnx
from .onnx_shapes import known_shapes

_name = attrgetter("name")

FOLDED = 1 << 24
"""Bytes of a constant that is made while folding, at most."""

SMALL = 64
"""Numbers of a constant that shape inference may want to see, at most."""


class OnnxGraph:
    """``nodes`` in order, ``constants`` by name, ``shapes`` as (shape, dtype) of the values whose sizes are known."""

    def __init__(self, model: onnx.ModelProto):
        self.given = model
        self.nodes: list[onnx.NodeProto] = [_copy(node) for node in model.graph.node]
        self.constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.outputs = {value.name for value in model.graph.output}
        self.shapes: dict[str, tuple[tuple[int, ...], int]] = {}
        self.taken = {name for node in self.nodes for name in node.output} | set(self.constants)
        self.infer()

    def model(self, largest: float = math.inf) -> onnx.ModelProto:
        """As it is now; constants of more than ``largest`` numbers are inputs."""
        given = self.given.graph
        inputs, initializers = [value for value in given.input if value.name not in self.constants], []
        used = {name for node in self.nodes for name in node.input} | self.outputs
        for name in used & self.constants.keys():
            array = self.constants[name]
            if array.size > largest:
                kind = helper.np_dtype_to_tensor_dtype(array.dtype)
                inputs.append(helper.make_tensor_value_info(name, kind, array.shape))
            else:
                initializers.append(numpy_helper.from_array(array, name))
        graph = helper.make_graph(self.nodes, given.name, inputs, given.output, sorted(initializers, key=_name))
        options = {"opset_imports": self.given.opset_import, "ir_version": self.given.ir_version}
        result = helper.make_model(graph, functions=self.given.functions, **options)
        for value in result.graph.output:
            if value.name in self.shapes:
                value.type.CopyFrom(
                    helper.make_tensor_type_proto(self.shapes[value.name][1], self.shapes[value.name][0])
                )
        return result

    def infer(self) -> None:
        """Shapes, makers and readers anew."""
        try:
            inferred = onnx.shape_inference.infer_shapes(self.model(SMALL), data_prop=True)
        except onnx.shape_inference.InferenceError:
            inferred = self.given
        self.shapes = known_shapes(inferred)
        self.index()

    def index(self) -> None:
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.reads = Counter(name for node in self.nodes for name in node.input)
        self.reads.update(self.outputs)
        self.present = {id(node) for node in self.nodes}

    def has(self, node: onnx.NodeProto) -> bool:
        return id(node) in self.present

    # Questions.

    def maker(self, name: str, *kinds: str) -> onnx.NodeProto | None:
        """The node that makes a value, if it is of one of ``kinds``."""
        node = self.makers.get(name)
        return node if node is not None and not node.domain and (not kinds or node.op_type in kinds) else None

    def shape(self, name: str) -> tuple[int, ...] | None:
        if name in self.constants:
            return self.constants[name].shape
        return self.shapes[name][0] if name in self.shapes else None

    def number(self, name: str) -> float | None:
        """A constant that has one number."""
        array = self.constants.get(name)
        return float(array.reshape(())) if array is not None and array.size == 1 and array.dtype.kind in "fiu" else None

    def split(self, node: onnx.NodeProto) -> tuple[str, np.ndarray] | None:
        """(computed operand, constant) of a node that has one of each."""
        computed = [name for name in node.input if name and name not in self.constants]
        constant = [name for name in node.input if name in self.constants]
        return (computed[0], self.constants[constant[0]]) if len(computed) == len(constant) == 1 else None

    # Changes.

    def constant(self, name: str, array: np.ndarray) -> str:
        name = self._unique(name)
        self.constants[name] = np.asarray(array)
        return name

    def replace(self, node: onnx.NodeProto, *nodes: onnx.NodeProto) -> None:
        """``nodes`` for one; the last makes what it made. The rest of a pattern goes when nobody reads it."""
        place = next(i for i, each in enumerate(self.nodes) if each is node)
        nodes[-1].output[0] = node.output[0]
        self.nodes[place : place + 1] = nodes
        self._sweep()
        self.infer()

    def node(self, kind: str, *inputs: str, name: str = "", **options) -> onnx.NodeProto:
        """A node that is not in the graph yet; ``output[0]`` names its result."""
        result = self._unique(f"{name or kind.lower()}.{kind.lower()}")
        return helper.make_node(kind, list(inputs), [result], name=result, **options)

    def _unique(self, name: str) -> str:
        unique, i = name, 1
        while unique in self.taken:
            unique, i = f"{name}.{i}", i + 1
        self.taken.add(unique)
        return unique

    def _sweep(self) -> None:
        """Nodes that nobody reads go."""
        self.index()
        kept = []
        for node in reversed(self.nodes):
            if any(self.reads[name] for name in node.output):
                kept.append(node)
            else:
                self.reads.subtract(node.input)
        self.nodes = kept[::-1]
        self.index()

    def fold(self) -> None:
        """Constants that nodes make of constants, and of known shapes; nodes that change nothing go."""
        renamed: dict[str, str] = {}
        kept = []
        for node in self.nodes:
            for i, name in enumerate(node.input):
                node.input[i] = renamed.get(name, name)
            if self._fold(node):
                continue
            same = self._same(node)
            if same is not None and node.output[0] not in self.outputs:
                renamed[node.output[0]] = same
            else:
                kept.append(node)
        self.nodes = kept
        self._sweep()
        self.infer()

    def _fold(self, node: onnx.NodeProto) -> bool:
        if node.domain or len(node.output) != 1 or node.output[0] in self.outputs:
            return False
        options = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        options = {k: numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for k, v in options.items()}
        if node.op_type == "Constant":
            (value,) = options.values()
            self.constants[node.output[0]] = np.asarray(value)
            return True
        if node.op_type == "Shape" and self.shape(node.input[0]) is not None:
            shape = self.shape(node.input[0])[options.get("start", 0) : options.get("end")]
            self.constants[node.output[0]] = np.array(shape, np.int64)
            return True
        if not node.input or not all(name in self.constants for name in node.input if name):
            return False
        if node.op_type.startswith("Random") or any(isinstance(v, onnx.GraphProto) for v in options.values()):
            return False
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            return False
        arrays = [self.constants[name] for name in node.input if name]
        absent = [i for i, name in enumerate(node.input) if not name]
        try:
            (result,) = evaluate_onnx(node.op_type, options, arrays, 1, self.opset, absent)
        except NoReference:
            return False
        result = np.asarray(result)
        if result.nbytes > max(FOLDED, *(array.nbytes for array in arrays)):
            return False
        self.constants[node.output[0]] = result
        return True

    def _same(self, node: onnx.NodeProto) -> str | None:
        """What a node only hands on."""
        if node.domain or not node.output or not node.input:
            return None
        before, after = node.input[0], node.output[0]
        if node.op_type == "Identity":
            return before
        alike = before in self.shapes and self.shapes.get(after) == self.shapes[before]
        if node.op_type in ("Expand", "Reshape", "Cast", "Squeeze", "Unsqueeze", "Flatten"):
            return before if alike else None
        if node.op_type == "Slice" and alike:
            steps = self.constants.get(node.input[4]) if len(node.input) > 4 else np.ones(1)
            return before if steps is not None and (steps > 0).all() else None
        return None


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
