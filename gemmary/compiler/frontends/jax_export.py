"""JAX in: a function that jax.export gives becomes a model of the graph level, walking the MLIR objects of its StableHLO.

Products of int8 with int32 sums (``dot_general``, ``convolution``) become the operators of the machine, with wide results;
everything else a ``graph.float`` of the ONNX operator that means the same, on plain numbers. The pass raise-integers finds
``clip(round(x · scale) + zero_point)`` behind them. Calls are inlined, what depends on constants only is computed here.

The source of an operator is the name that JAX gives it, counted; ``locations`` has its line of Python.
"""

from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np
from jax._src.interpreters import mlir as jax_mlir  # the context with the dialects that JAX registers
from jax.export import Exported
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo
from xdsl.ir import SSAValue

from ...errors import InputError
from ..ir import Model
from ..ir.edges import Float, Reinterpret
from ..ir.types import Quantized, element_of, i8, numpy_dtype, quantization, shape_of, tensor_type
from .building import Builder
from .jax_source import location_of, name_of
from .jax_stablehlo import HANDLERS, Unknown

UNIT = 1.0
"""The scale of int8 tensors: nobody says what JAX's integers stand for."""


def import_exported(exported: Exported) -> Model:
    """The function at the graph level, its inputs and outputs in the order of the flattened arguments and results.

    InputError, naming the operator, for symbolic sizes, dtypes and operators that it does not know.
    """
    for each in (*exported.in_avals, *exported.out_avals):
        if not all(isinstance(n, int) for n in each.shape):
            raise InputError(f"the function's sizes {list(each.shape)} are symbolic: export it with fixed ones")
    with jax_mlir.make_ir_context() as context, ir.Location.unknown(context):
        module = stablehlo.deserialize_portable_artifact(context, exported.mlir_module_serialized)
        return _Importer(module).run()


class _Importer(Builder):
    """What handlers see: ``op`` is the current one; ``shape`` and ``dtype`` are those of its result."""

    def __init__(self, module: ir.Module):
        super().__init__()
        self.functions = {op.name.value: op for op in module.body.operations if op.operation.name == "func.func"}
        self.values: dict[ir.Value, SSAValue | np.ndarray] = {}
        self.counts: dict[str, count] = {}

    def run(self) -> Model:
        main = self.functions["main"]
        (block,) = main.regions[0].blocks
        names = []
        for i, argument in enumerate(block.arguments):
            name = name_of(argument.location, f"arg{i}")
            names.append(name if name not in names else f"{name}.{i}")
            kind = ir.RankedTensorType(argument.type)
            self.values[argument] = self.input(names[-1], kind.shape, self.dtype_of(kind))
        results = self._block(block)
        self.source = ""
        outputs = {f"output{i}" if len(results) > 1 else "output": self.value(each) for i, each in enumerate(results)}
        return self.model(names, outputs, "import")

    def _block(self, block: ir.Block) -> list:
        """What the block returns."""
        for op in block.operations:
            op = op.operation
            if op.name in ("func.return", "stablehlo.return"):
                return [self.values[each] for each in op.operands]
            results = self._operation(op)
            self.values |= dict(zip(op.results, results, strict=True))
        raise InputError("a function without a return")

    def _operation(self, op: ir.Operation) -> list:
        operands = [self.values[each] for each in op.operands]
        if op.name == "stablehlo.constant":
            return [np.array(op.attributes["value"])]
        outer, name = self.source, name_of(op.location, op.name.rpartition(".")[2])
        computed = any(isinstance(each, SSAValue) for each in operands)
        number = next(self.counts.setdefault(name, count())) if computed and op.name != "func.call" else 0
        self.locate(f"{name}_{number}" if number else name, location_of(op.location) or self.locations.get(outer))
        if op.name == "func.call":
            (block,) = self.functions[op.attributes["callee"].value].regions[0].blocks
            inner = dict(zip(block.arguments, operands, strict=True))
            kept, self.values = self.values, self.values | inner
            results = self._block(block)
            self.values, self.source = kept, outer
            return results
        self.op = op
        if op.name not in HANDLERS:
            raise InputError(f"{self.origin}: {op.name} is not supported")
        try:
            result = HANDLERS[op.name](self, *operands)
        except Unknown as reason:
            raise InputError(f"{self.origin}: {reason}") from None
        return [result if isinstance(result, SSAValue) else np.asarray(result)]

    # What handlers use.

    @property
    def origin(self) -> str:
        line = self.locations.get(self.source)
        return f"operator {self.source!r}" + (f" ({line})" if line else "")

    @property
    def kind(self) -> ir.RankedTensorType:
        return ir.RankedTensorType(self.op.results[0].type)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.kind.shape)

    @property
    def dtype(self) -> np.dtype:
        return self.dtype_of(self.kind)

    def dtype_of(self, kind: ir.RankedTensorType) -> np.dtype:
        name = str(kind.element_type)
        if name not in _DTYPES:
            raise InputError(f"{self.origin}: dtype {name} is not supported: use int8, int32 or float32")
        return np.dtype(_DTYPES[name])

    def value(self, given) -> SSAValue:
        return given if isinstance(given, SSAValue) else self.constant(np.ascontiguousarray(given))

    def compact(self, given) -> SSAValue:
        """An operand of an operator on every element: a constant has size 1 where it is repeated."""
        if isinstance(given, SSAValue):
            return given
        part = tuple(slice(0, 1) if n > 1 and step == 0 else slice(None) for n, step in zip(given.shape, given.strides))
        return self.constant(np.ascontiguousarray(given[part]) if given.ndim else given)

    def ints(self, name: str, default: Sequence[int]) -> list[int]:
        """An attribute of the current operator."""
        return list(self.op.attributes[name]) if name in self.op.attributes else list(default)

    def float(self, kind: str, *operands, shape=None, dtype=None, **options) -> SSAValue:
        values = [self.value(each) for each in operands]
        return super().float(kind, values, self.shape if shape is None else shape, dtype or self.dtype, **options)

    def elementwise(self, kind: str, *operands, dtype=None) -> SSAValue:
        return super().float(kind, [self.compact(each) for each in operands], self.shape, dtype or self.dtype)

    def as_result(self, given):
        """With the dtype of the result: products of int8 do not fit int8."""
        return given.astype(self.dtype) if isinstance(given, np.ndarray) else self.cast(given, self.dtype)

    def cast(self, given, dtype) -> SSAValue:
        return self.cast_to(self.value(given), dtype)

    def move(self, given, axes=None, shape=None):
        """Transposed, then reshaped; of a constant, at once."""
        if isinstance(given, np.ndarray):
            given = given if axes is None else given.transpose(axes)
            return given if shape is None else given.reshape(shape)
        given = given if axes is None else self.transpose(given, axes)
        return given if shape is None else self.reshape(given, shape)

    # int8.

    def int8(self, given) -> tuple[SSAValue | np.ndarray, int] | None:
        """(plain int8 tensor, zero point) of an operand of a product: int8 itself, or int8 less a constant in int32."""
        if isinstance(given, np.ndarray):
            fits = given.dtype.kind == "i" and -128 <= given.min(initial=0) <= given.max(initial=0) <= 127
            return (given.astype(np.int8), 0) if fits else None
        if element_of(given) == i8:
            return given, 0
        zero, value = 0, given
        if isinstance(value.owner, Float) and value.owner.kind.data in ("Sub", "Add"):
            value, other = value.owner.inputs
            constant = self.context.array(other)
            if constant is None or constant.size != 1 or constant.dtype.kind != "i":
                return None
            zero = int(constant.reshape(())) * (1 if given.owner.kind.data == "Sub" else -1)
        if (
            isinstance(value.owner, Float)
            and value.owner.kind.data == "Cast"
            and numpy_dtype(element_of(value)).kind == "i"
        ):
            value = value.owner.inputs[0]
        return (value, zero) if element_of(value) == i8 and -128 <= zero <= 127 else None

    def quantized(self, value: SSAValue, zero: int) -> SSAValue:
        """A plain int8 tensor as ``!graph.q``."""
        return self.build(Reinterpret, [value], tensor_type(shape_of(value), Quantized(UNIT, zero)))

    def plain(self, value: SSAValue) -> SSAValue:
        if quantization(value) is None:
            return value
        return self.build(Reinterpret, [value], tensor_type(shape_of(value), np.int8))


_DTYPES: Mapping[str, str] = {
    "f32": "float32", "f64": "float64", "i1": "bool", "i8": "int8", "ui8": "uint8", "i32": "int32", "i64": "int64",
}  # fmt: skip
