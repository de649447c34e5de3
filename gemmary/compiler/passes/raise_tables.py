"""Whatever depends on one int8 number only becomes a table: ReLU, Clip, Sigmoid, HardSwish, GELU, changes of scale, and chains
and products of them, such as ``x · sigmoid(x)``. The 256 entries are computed by the reference of the float operators.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from ..ir import numerics
from ..ir.dialect import GraphContext
from ..ir.edges import Dequantize, Float, Quantize
from ..ir.floats import NoReference, evaluate_onnx, options_from
from ..ir.types import quantization, shape_of
from ..ir.vector import Table
from .matching import insert, operations, real_constant, replace

ELEMENTWISE = frozenset(
    [
        "Abs",
        "Acos",
        "Add",
        "Asin",
        "Atan",
        "BiasGelu",
        "Ceil",
        "Celu",
        "Clip",
        "Cos",
        "Cosh",
        "Div",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Log",
        "Max",
        "Mean",
        "Min",
        "Mish",
        "Mul",
        "Neg",
        "Pow",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Sigmoid",
        "Sign",
        "Sin",
        "Sinh",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Sub",
        "Sum",
        "Tan",
        "Tanh",
        "ThresholdedRelu",
    ]
)
EVERY = np.arange(-128, 128, dtype=np.int8)


class _NoTable(Exception):
    """It depends on more than one int8 number."""


@dataclass(frozen=True)
class RaiseTables(ModulePass):
    name = "raise-tables"
    opset: int = 21

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        opset = _opset(op, self.opset)
        for quantize in operations(op, Quantize):
            try:
                root, entries = _Function(ctx, opset).of(quantize)
            except _NoTable:
                continue
            if shape_of(root) != shape_of(quantize.result):
                continue
            if quantization(root) == quantization(quantize.result) and np.array_equal(entries, EVERY):
                replace(quantize, root)
                continue
            function = quantize.input.owner
            source = function.source if isinstance(function, Float) else quantize.source
            table = insert(quantize, ctx.constant(f"{source}.table", entries), source)
            result = [quantize.result.type]
            replace(quantize, insert(quantize, Table.build(operands=[root, table], result_types=result), source))


class _Function:
    """A value as a function of one int8 tensor, its root."""

    def __init__(self, ctx: GraphContext, opset: int):
        self.ctx, self.opset, self.root, self.known = ctx, opset, None, {}

    def of(self, quantize: Quantize) -> tuple[SSAValue, np.ndarray]:
        q = quantization(quantize.result)
        values = self.real(quantize.input)
        if self.root is None or values.size != EVERY.size:
            raise _NoTable
        return self.root, numerics.quantize(values, q.scale.data, q.zero_point.data)

    def real(self, value: SSAValue) -> np.ndarray:
        """For each int8 of the root, or one number."""
        if value not in self.known:
            self.known[value] = self._real(value)
        return self.known[value]

    def _real(self, value: SSAValue) -> np.ndarray:
        op = value.owner
        if isinstance(op, Dequantize):
            q = quantization(op.input)
            return numerics.dequantize(self.int8(op.input), q.scale.data, q.zero_point.data)
        constant = real_constant(self.ctx, value)
        if constant is not None and constant.size == 1:
            return constant.reshape(1)
        if not isinstance(op, Float) or op.domain.data or op.kind.data not in ELEMENTWISE or len(op.results) != 1:
            raise _NoTable
        return self._compute(op)

    def _compute(self, op: Float) -> np.ndarray:
        arrays = [self.real(each) for each in op.inputs]
        if op.kind.data == "Clip":  # its bounds are scalars
            arrays = [arrays[0], *(np.asarray(each.reshape(())) for each in arrays[1:])]
        with np.errstate(over="ignore"):  # masks of attention reach the largest float
            arrays = [each.astype(np.float32) for each in arrays]
        try:
            (result,) = evaluate_onnx(
                op.kind.data, options_from(op.options), arrays, 1, self.opset, op.absent.get_values()
            )
        except NoReference:
            raise _NoTable from None
        return np.asarray(result)

    def int8(self, value: SSAValue) -> np.ndarray:
        """An int8 tensor as a function of the root: itself, or a table of it."""
        if isinstance(value.owner, Table):
            return self.ctx.array(value.owner.table)[self.int8(value.owner.input).astype(np.int16) + 128]
        if self.root is None:
            self.root = value
        if value is not self.root:
            raise _NoTable
        return EVERY


def _opset(module: ModuleOp, default: int) -> int:
    for op in module.ops:
        if "opset" in op.attributes:
            return op.attributes["opset"].value.data
    return default
