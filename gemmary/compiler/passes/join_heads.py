"""The heads of attention stay where a dense layer leaves them, side by side in the channels: no transpose moves them.

``matmul(transpose(reshape(x)), …)`` becomes a matmul with ``heads`` that are ``joined`` in its operand, and
``reshape(transpose(matmul(…)))`` one whose result is. Only of heads that are whole words of ``word`` channels, and rows that fill
tiles of as many where there are several batches: others would have to be moved.
"""

from dataclasses import dataclass
from math import prod

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from ..ir.base import integer, ints
from ..ir.contractions import MatMul
from ..ir.dialect import GraphContext
from ..ir.shapes import Reshape, Transpose
from ..ir.types import element_of, quantization, shape_of, tensor_type
from .dead_code import DeadCode
from .matching import insert, only_user, operations, replace


@dataclass(frozen=True)
class JoinHeads(ModulePass):
    name = "join-heads"
    word: int = 16

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in operations(op, MatMul):
            if not each.constant and not each.joined.get_values() and each.residual is None:
                self._join(each)
        DeadCode().apply(ctx, op)

    def _join(self, op: MatMul) -> None:
        rank = len(shape_of(op.result))
        if rank < 3 or shape_of(op.result)[-3] == 1:
            return
        sides, joined = [op.input, op.weight], []
        for place, value in enumerate(sides):
            source = _before_split(value)
            if source is not None and self._fits(value, batches=place == 1 and op.transposed is None):
                sides[place] = source
                joined.append(place)
        after = _after_join(op.result)
        if after is not None and self._fits(op.result, batches=False):
            joined.append(2)
        if not joined:
            return
        optional = [[value] if value is not None else [] for value in (op.bias, op.scale, op.residual, op.table)]
        properties = {key: value for key, value in op.properties.items() if key != "operandSegmentSizes"}
        properties |= {"heads": integer(shape_of(op.result)[-3]), "joined": ints(joined)}
        shape = shape_of(after.result) if 2 in joined else shape_of(op.result)
        kind = tensor_type(shape, element_of(op.result))
        new = MatMul.build(
            operands=[*sides, *optional], result_types=[kind], properties=properties, attributes=dict(op.attributes)
        )
        replace(after if 2 in joined else op, insert(op, new, op.source))

    def _fits(self, value: SSAValue, batches: bool) -> bool:
        *outer, _, rows, channels = shape_of(value)
        whole = quantization(value) is None or channels % self.word == 0
        return whole and (not batches or prod(outer) == 1 or rows % self.word == 0)


def _swaps(op: Transpose) -> bool:
    """Whether it exchanges the second and third last axes."""
    axes = list(op.permutation.get_values())
    rank = len(axes)
    return rank > 2 and axes == [*range(rank - 3), rank - 2, rank - 3, rank - 1]


def _before_split(value: SSAValue) -> SSAValue | None:
    """``[…, m, heads · k]`` that ``[…, heads, m, k]`` was split from."""
    turned = value.owner
    if not isinstance(turned, Transpose) or not _swaps(turned) or not isinstance(turned.input.owner, Reshape):
        return None
    split = turned.input.owner
    shape = shape_of(split.result)
    return split.input if shape_of(split.input) == (*shape[:-2], shape[-2] * shape[-1]) else None


def _after_join(value: SSAValue) -> Reshape | None:
    """The reshape that joins the heads of ``value``, which nothing else reads."""
    turned = only_user(value)
    if not isinstance(turned, Transpose) or not _swaps(turned):
        return None
    join, shape = only_user(turned.result), shape_of(turned.result)
    if isinstance(join, Reshape) and shape_of(join.result) == (*shape[:-2], shape[-2] * shape[-1]):
        return join
    return None
