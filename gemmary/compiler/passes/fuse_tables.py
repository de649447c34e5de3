"""Tables go into the drain of the convolution, product or table before them; those that only clip become its bounds.

All of it is exact: a table works on the int8 numbers that its producer has rounded.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ..ir.base import integer
from ..ir.contractions import Conv2D, MatMul
from ..ir.dialect import GraphContext
from ..ir.shapes import Reshape
from ..ir.types import quantization, shape_of, tensor_type
from ..ir.vector import Add, AveragePool, Table
from .dead_code import DeadCode
from .layout import reshape
from .matching import insert, only_user, operations, replace

EVERY = np.arange(-128, 128, dtype=np.int8)


@dataclass(frozen=True)
class FuseTables(ModulePass):
    name = "fuse-tables"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for table in operations(op, Table):
            _fuse(ctx, table)
        DeadCode().apply(ctx, op)


def _fuse(ctx: GraphContext, op: Table) -> None:
    producer, entries = op.input.owner, ctx.array(op.table)
    between = None
    if isinstance(producer, Reshape) and only_user(op.input) is op:
        between, producer = producer, producer.input.owner
    if entries is None or only_user(between.input if between else op.input) not in (op, between):
        return
    if isinstance(producer, Table) and between is None:
        first = ctx.array(producer.table)
        table = insert(op, ctx.constant(f"{op.source}.table", entries[first.astype(np.int16) + 128]), op.source)
        fused = Table.build(
            operands=[producer.input, table], result_types=[op.result.type], attributes=dict(op.attributes)
        )
        replace(op, insert(op, fused))
        return
    if not isinstance(producer, Conv2D | MatMul | Add | AveragePool) or quantization(producer.result) is None:
        return
    if getattr(producer, "pool", None) is not None:  # it comes before the table
        return
    low, high = producer.low.value.data, producer.high.value.data
    bounds = _clip(entries, low, high)
    if getattr(producer, "table", None) is not None:
        bounds = None
    properties, operands = dict(producer.properties), [[v] if v is not None else [] for v in _operands(producer)]
    if bounds is not None and quantization(op.input) == quantization(op.result):
        properties |= {"low": integer(bounds[0]), "high": integer(bounds[1])}
    elif isinstance(producer, Conv2D | MatMul):
        if producer.table is not None:
            entries = entries[ctx.array(producer.table).astype(np.int16) + 128]
        properties["zero_point"] = integer(producer.drain_zero_point)
        operands[-1] = [insert(op, ctx.constant(f"{op.source}.table", entries), op.source)]
    else:
        return
    properties.pop("operandSegmentSizes", None)
    kind = tensor_type(shape_of(producer.result), quantization(op.result))
    flat = [each if i > 1 and len(operands) > 2 else each[0] for i, each in enumerate(operands)]
    fused = type(producer).build(operands=flat, result_types=[kind], properties=properties)
    if "tensor" in op.attributes:
        fused.attributes["tensor"] = op.attributes["tensor"]
    value = insert(op, fused, producer.source)
    replace(op, reshape(op, value, shape_of(op.result)))


def _operands(op) -> list:
    if isinstance(op, Conv2D | MatMul):
        return [op.input, op.weight, op.bias, op.scale, op.residual, op.table]
    return list(op.operands)


def _clip(entries: np.ndarray, low: int, high: int) -> tuple[int, int] | None:
    """Bounds that do to ``low`` … ``high`` what the table does; None for a table that does more than clip."""
    inside = np.arange(low, high + 1)
    mapped = entries[inside + 128].astype(int)
    bounds = int(mapped.min()), int(mapped.max())
    return bounds if np.array_equal(np.clip(inside, *bounds), mapped) else None
