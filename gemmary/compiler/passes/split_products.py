"""One dense layer for query, key and value becomes three: what is split off its result is computed apart, where it is needed.

``split(x · w + b)`` over the channels, or over an axis that a reshape splits off them and a transpose moves to the front (with Split,
or a Gather for each part), becomes a product with its part of the float weights for each part.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from ..ir.dialect import GraphContext
from ..ir.edges import Float
from ..ir.shapes import Reshape, Transpose
from ..ir.types import shape_of, tensor_type
from .dead_code import DeadCode
from .layout import reshape, transpose
from .matching import insert, only_user, operations, options, uses


@dataclass(frozen=True)
class SplitProducts(ModulePass):
    name = "split-products"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in operations(op, Float):
            dense = _dense(ctx, each)
            if dense is not None:
                _split(ctx, dense)
        DeadCode().apply(ctx, op)


@dataclass(frozen=True)
class _Dense:
    """``input · weight + bias``, of which ``result`` is read by others."""

    op: Float
    input: SSAValue
    weight: np.ndarray
    bias: np.ndarray | None
    result: SSAValue

    def part(self, ctx: GraphContext, number: int, first: int, count: int) -> SSAValue:
        """Of ``count`` channels."""
        some, before, name = slice(first, first + count), self.result.owner.next_op, f"{self.op.source}.{number}"
        shape = *shape_of(self.result)[:-1], count
        weight = ctx.constant(f"{name}.weight", np.ascontiguousarray(self.weight[:, some]))
        value = _float(before, name, "MatMul", [self.input, insert(before, weight, name)], shape)
        if self.bias is None:
            return value
        bias = insert(before, ctx.constant(f"{name}.bias", self.bias[some].copy()), name)
        return _float(before, name, "Add", [value, bias], shape)


def _float(before: Operation, source: str, kind: str, operands: list[SSAValue], shape) -> SSAValue:
    properties = {"kind": StringAttr(kind)}
    result = tensor_type(shape, np.float32)
    return insert(before, Float.build(operands=[operands], result_types=[[result]], properties=properties), source)


def _dense(ctx: GraphContext, op: Float) -> _Dense | None:
    if op.domain.data or op.kind.data != "MatMul":
        return None
    weight = ctx.array(op.inputs[1])
    if weight is None or weight.ndim != 2 or weight.dtype != np.float32:
        return None
    add, channels = only_user(op.results[0]), weight.shape[1]
    if isinstance(add, Float) and add.kind.data == "Add" and not add.domain.data:
        (other,) = [each for each in add.inputs if each is not op.results[0]] or [None]
        bias = None if other is None else ctx.array(other)
        if bias is not None and bias.dtype == np.float32 and bias.shape == (channels,):
            return _Dense(op, op.inputs[0], weight, bias, add.results[0])
    return _Dense(op, op.inputs[0], weight, None, op.results[0])


def _split(ctx: GraphContext, dense: _Dense) -> None:
    reader = only_user(dense.result)
    if _splits(reader, len(shape_of(dense.result)) - 1):
        first = 0
        for number, result in enumerate(reader.results):
            count = shape_of(result)[-1]
            result.replace_all_uses_with(dense.part(ctx, number, first, count))
            first += count
        return
    turned = only_user(reader.result) if isinstance(reader, Reshape) else None
    if not isinstance(turned, Transpose):
        return
    shape, axes = shape_of(reader.result), turned.permutation.get_values()
    axis = len(shape_of(dense.result)) - 1
    if len(shape) <= axis or shape[:axis] != shape_of(dense.result)[:-1] or axes[0] != axis:
        return
    parts = list(_parts(ctx, turned))
    if len(parts) != sum(len(each.results) for each in uses(turned.result)):
        return
    count = prod(shape[axis + 1 :])
    order = [each - (each > axis) for each in axes[1:]]
    for number, result in parts:
        value = dense.part(ctx, number, number * count, count)
        before = next(use.operation for use in turned.result.uses)
        value = transpose(before, reshape(before, value, (*shape[:axis], *shape[axis + 1 :])), order)
        result.replace_all_uses_with(reshape(before, value, shape_of(result)))


def _splits(op: Operation | None, axis: int) -> bool:
    if not isinstance(op, Float) or op.domain.data or op.kind.data != "Split":
        return False
    rank = len(shape_of(op.inputs[0]))
    return options(op).get("axis", 0) % rank == axis


def _parts(ctx: GraphContext, turned: Transpose) -> Iterator[tuple[int, SSAValue]]:
    """(number, value) of what is taken from the first axis, one at a time."""
    for op in uses(turned.result):
        if _splits(op, 0) and all(shape_of(result)[0] == 1 for result in op.results):
            yield from enumerate(op.results)
        elif (
            isinstance(op, Float) and op.kind.data == "Gather" and not op.domain.data and op.inputs[0] is turned.result
        ):
            index = ctx.array(op.inputs[1])
            if index is not None and index.size == 1 and options(op).get("axis", 0) == 0:
                yield int(index.reshape(())) % shape_of(turned.result)[0], op.results[0]
