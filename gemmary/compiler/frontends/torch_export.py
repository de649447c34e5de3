"""PyTorch in: an exported program whose tensors are quantized becomes a model of the graph level, operator by operator.

It is what torchao's PT2E leaves behind: float operators of ATen between ``quantized_decomposed.quantize_per_tensor`` and
``dequantize_per_tensor``, weights dequantized per tensor or per channel. Quantization becomes the operators of ``edges``, every
other operator a ``graph.float`` of the ONNX operator that means the same: the passes raise them as those of ONNX models.

The source of an operator is the module that it stands in and its name; ``locations`` has its line of Python.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.fx import Node
from torch.utils import _pytree as pytree
from xdsl.ir import SSAValue

from ...errors import InputError
from ..ir import Model
from ..ir.base import integer
from ..ir.edges import Dequantize, Quantize, Reinterpret, Scale
from ..ir.types import Quantized, element_of, numpy_dtype, quantization, shape_of, tensor_type
from .building import Builder
from .torch_aten import DECOMPOSITIONS, HANDLERS, Unknown
from .torch_quantized import per_channel, per_tensor, quantize_per_tensor
from .torch_source import location_of, source_of

QUANTIZE, PER_TENSOR, PER_CHANNEL = (frozenset(each) for each in (quantize_per_tensor, per_tensor, per_channel))
FOLDED = 1 << 24
"""Bytes of a result that is computed while compiling, at most."""


@dataclass(frozen=True)
class Imported:
    """``model``, and how the program's arguments and results lie in its inputs and outputs."""

    model: Model
    in_spec: pytree.TreeSpec
    out_spec: pytree.TreeSpec


def import_program(program: ExportedProgram) -> Imported:
    """The program at the graph level, with the names, shapes and dtypes of its inputs.

    InputError, naming the operator, for dynamic sizes, dtypes and operators that it does not know.
    """
    program = decomposed(program)
    signature = program.graph_signature
    changed = {*signature.buffers_to_mutate.values(), *signature.user_inputs_to_mutate.values()}
    if changed:
        raise InputError(
            f"the model changes {sorted(changed)[0]!r} while it runs: call model.eval() before exporting it"
        )
    arrays = {**program.constants, **program.state_dict}
    held = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    constants, inputs = {}, []
    for node in program.graph.nodes:
        if node.op == "placeholder":
            if node.name in held:
                constants[node] = arrays[held[node.name]].detach()
            else:
                inputs.append(node)
    model = import_graph(program.graph_module, inputs, constants)
    return Imported(model, program.call_spec.in_spec, program.call_spec.out_spec)


def decomposed(program: ExportedProgram, known=None) -> ExportedProgram:
    """Without operators that write to their operands, and with those that are not ``known`` (to the front end) in terms of
    simpler ones, where PyTorch has such."""
    known, rules = known or is_known, torch.export.default_decompositions()
    targets = {node.target for node in program.graph.nodes if node.op == "call_function"}
    table = {target: rule for target, rule in DECOMPOSITIONS.items() if target in targets}
    table |= {t: rules[t] for t in targets if not known(t) and t not in table and t in rules}
    writes = any(isinstance(t, torch._ops.OpOverload) and t._schema.is_mutable for t in targets)
    if not table and not writes:
        return program
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's own
        return program.run_decompositions(table)


def is_known(target) -> bool:
    return target in HANDLERS or is_quantization(target)


def is_quantization(target) -> bool:
    return target in QUANTIZE or target in PER_TENSOR or target in PER_CHANNEL


def import_graph(module: torch.fx.GraphModule, inputs: Sequence[Node], constants: Mapping[Node, torch.Tensor]) -> Model:
    """The model of a graph of ATen operators. ``inputs`` are the placeholders that vary, ``constants`` the others."""
    return _Importer(module, dict(constants)).run(inputs)


class _Importer(Builder):
    """What handlers see: ``node`` is the current one, ``shape`` the sizes of its result."""

    def __init__(self, module: torch.fx.GraphModule, constants: dict[Node, torch.Tensor]):
        super().__init__()
        self.module, self.values = module, constants
        self.names = {node: source_of(node) for node in module.graph.nodes}

    def run(self, inputs: Sequence[Node]) -> Model:
        for node in inputs:
            self.node, self.source = node, node.name
            if not isinstance(node.meta.get("val"), torch.Tensor):
                raise InputError(f"input {node.name!r} must be a tensor: fix it before exporting the model")
            self.values[node] = self.input(node.name, self.shape, self.dtype)
        for node in self.module.graph.nodes:
            self.node = node
            self.locate(self.names[node], location_of(node) if node.op == "call_function" else None)
            if node.op == "call_function":
                self.values[node] = self._call(node)
            elif node.op == "get_attr":
                self.values[node] = _attribute(self.module, node.target)
            elif node.op == "output":
                results = [self.values[each] for each in pytree.tree_leaves(node.args[0]) if isinstance(each, Node)]
        self.source = ""
        outputs = {f"output{i}" if len(results) > 1 else "output": each for i, each in enumerate(results)}
        values = {name: self._plain(each) for name, each in outputs.items()}
        return self.model([node.name for node in inputs], values, "import")

    def _call(self, node: Node):
        args = pytree.tree_map_only(Node, self.values.__getitem__, node.args)
        kwargs = pytree.tree_map_only(Node, self.values.__getitem__, node.kwargs)
        leaves = pytree.tree_leaves((args, kwargs))
        if node.target in QUANTIZE:
            return self._quantize(*args)
        if node.target in PER_TENSOR or node.target in PER_CHANNEL:
            return self._dequantize(node.target in PER_CHANNEL, *args)
        if not any(isinstance(each, SSAValue) for each in leaves) and _size(leaves) < FOLDED:
            return node.target(*args, **kwargs)
        if node.target not in HANDLERS:
            raise InputError(f"{self._origin()}: PyTorch's operator {node.target} is not supported")
        kwargs = {name: each for name, each in kwargs.items() if name not in ("memory_format", "pin_memory")}
        try:
            return HANDLERS[node.target](self, *args, **kwargs)
        except Unknown as reason:
            raise InputError(f"{self._origin()}: {reason} is not supported") from None

    def _origin(self) -> str:
        line = self.locations.get(self.source)
        return f"operator {self.source!r}" + (f" ({line})" if line else "")

    # What handlers use.

    @property
    def shape(self) -> tuple[int, ...]:
        shape = self.node.meta["val"].shape
        if not all(isinstance(n, int) for n in shape):
            raise InputError(f"{self._origin()}: its sizes {list(shape)} are dynamic: export the model with fixed ones")
        return tuple(shape)

    @property
    def dtype(self) -> np.dtype:
        return _numpy_dtype(self.node.meta["val"].dtype, self._origin())

    def value(self, given) -> SSAValue:
        """A value of the graph level: constants become ``graph.constant``."""
        if isinstance(given, SSAValue):
            return given
        if isinstance(given, torch.Tensor):
            _numpy_dtype(given.dtype, self._origin())
            return self.constant(given.detach().cpu().numpy())
        return self.constant(np.asarray(given, np.float32 if isinstance(given, float) else np.int64))

    def scalar(self, number, like) -> SSAValue:
        """A number as a constant of the dtype of ``like``."""
        if isinstance(number, torch.Tensor):
            number = number.item()
        return self.constant(np.asarray(number, numpy_dtype(element_of(self.value(like)))))

    def like(self, given, node: Node) -> SSAValue:
        """``given`` with the dtype of a node's result."""
        if isinstance(given, SSAValue):
            return given
        dtype = _numpy_dtype(node.meta["val"].dtype, self._origin())
        return self.constant(
            (given.detach().cpu().numpy() if isinstance(given, torch.Tensor) else np.asarray(given)).astype(dtype)
        )

    def integers(self, numbers) -> SSAValue:
        return self.constant(np.asarray(list(numbers), np.int64))

    def each(self, numbers, axes: int) -> list[int]:
        """One number for each axis."""
        numbers = [numbers] if isinstance(numbers, int) else list(numbers)
        return numbers * axes if len(numbers) == 1 else numbers

    def float(self, kind: str, *operands, shape=None, dtype=None, **options) -> SSAValue:
        values = [None if each is None else self._plain(each) for each in operands]
        return super().float(kind, values, self.shape if shape is None else shape, dtype or self.dtype, **options)

    def same(self, kind: str, x, *more, **options) -> SSAValue:
        """An operator on every element of ``x``."""
        return self.float(kind, x, *more, **options)

    def binary(self, kind: str, a, b) -> SSAValue:
        """An operator on two tensors, or a tensor and a number, which takes the tensor's dtype."""
        sides = [each if isinstance(each, SSAValue) else None for each in (a, b)]
        other = next(each for each in sides if each is not None)
        dtype = numpy_dtype(element_of(other))
        for i, each in enumerate((a, b)):
            if sides[i] is None:
                array = each.detach().cpu().numpy() if isinstance(each, torch.Tensor) else np.asarray(each)
                sides[i] = self.constant(array.astype(dtype))
        return self.float(kind, *sides)

    def cast(self, x) -> SSAValue:
        return self.cast_to(self.value(x), self.dtype)

    # Quantization.

    def _plain(self, given) -> SSAValue:
        """As plain numbers: outside what is quantized nobody knows ``!graph.q``."""
        value = self.value(given)
        if quantization(value) is None:
            return value
        dtype = np.uint8 if value in self._unsigned else np.int8
        return self.build(Reinterpret, [value], tensor_type(shape_of(value), dtype))

    @property
    def _unsigned(self) -> set[SSAValue]:
        return self.__dict__.setdefault("unsigned", set())

    def _quantized(self, scale, zero, dtype) -> Quantized:
        if dtype not in (torch.int8, torch.uint8):
            raise InputError(f"{self._origin()}: quantization to {dtype} is not supported: use int8 or uint8")
        scale, zero = (each.item() if isinstance(each, torch.Tensor) else each for each in (scale, zero))
        return Quantized(float(np.float32(scale)), int(zero) - 128 * (dtype == torch.uint8))

    def _quantize(self, x, scale, zero, low, high, dtype) -> SSAValue:
        q, value = self._quantized(scale, zero, dtype), self.value(x)
        limits = torch.iinfo(dtype)
        if (low, high) != (limits.min, limits.max):
            raise InputError(
                f"{self._origin()}: activations quantized to {low} … {high} are not supported: use all of {dtype}"
            )
        self.source += ".int8"
        result = self.build(Quantize, [value], tensor_type(shape_of(value), q))
        if dtype == torch.uint8:
            self._unsigned.add(result)
        return result

    def _dequantize(self, channels: bool, x, scale, zero, *more, **_) -> SSAValue:
        axis, dtype = (more[0], more[3]) if channels else (0, more[2])
        if isinstance(x, torch.Tensor):
            return self._weights(x, scale, zero, axis)
        value, q = self.value(x), self._quantized(scale, zero, dtype)
        if quantization(value) is not None and quantization(value) != q:
            value = self._plain(value)
        if quantization(value) is None:
            value = self.build(Reinterpret, [value], tensor_type(shape_of(value), q))
        return self.build(Dequantize, [value], tensor_type(shape_of(value), np.float32))

    def _weights(self, x: torch.Tensor, scale, zero, axis: int) -> SSAValue:
        scales = np.atleast_1d(np.asarray(scale, np.float32))
        zeros = np.atleast_1d(np.asarray(0 if zero is None else zero)).astype(np.int32)
        shape = [-1 if i == axis and zeros.size > 1 else 1 for i in range(x.ndim)]
        shifted = x.numpy().astype(np.int32) - zeros.reshape(shape)
        if x.dtype in (torch.int8, torch.uint8) and -128 <= shifted.min() <= shifted.max() <= 127:
            shifted = shifted.astype(np.int8)
        name = self.names[next(iter(self.node.users))] if self.node.users else self.source
        integers = self.constant(shifted, f"{name}.weight")
        kind = tensor_type(x.shape, np.float32)
        return self.build(Scale, [integers, self.constant(scales, f"{name}.scale")], kind, axis=integer(axis))


def _numpy_dtype(dtype: torch.dtype, origin: str) -> np.dtype:
    try:
        return np.dtype({torch.bool: "bool"}.get(dtype) or str(dtype).removeprefix("torch."))
    except TypeError:
        raise InputError(f"{origin}: dtype {dtype} is not supported: use float32, int8 or uint8") from None


def _attribute(module: torch.nn.Module, name: str) -> torch.Tensor:
    for part in name.split("."):
        module = getattr(module, part)
    return module.detach() if isinstance(module, torch.Tensor) else module


def _size(leaves) -> int:
    return sum(each.nbytes for each in leaves if isinstance(each, torch.Tensor))
