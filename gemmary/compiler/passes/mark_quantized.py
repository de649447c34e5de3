"""The operands of Conv, Gemm and MatMul are marked as to be quantized, with ``graph.observe``, and nothing else: what passes between
them stays wide.

The mark stands where the number is made, in front of what only moves it, so that its maker can round it on its way out. Where a
function of one tensor (GELU, SiLU, …) lies between two contractions that tensor is marked too (``tables``): with int8 on both
sides the function is a table in the drain. The operands of a product of two computed tensors are marked as symmetric.

With ``stream`` sums of computed tensors and results of LayerNormalization are marked too: the int8 residual stream that costs
transformers their accuracy (docs/compiler.md has figures).
"""

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp, TensorType, UnitAttr
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from ..ir.dialect import GraphContext
from ..ir.edges import Float, Observe
from ..ir.shapes import Reshape, Transpose
from ..ir.types import element_of, f32, shape_of
from .dead_code import DeadCode
from .functions import root_of
from .matching import floats, insert, real_constant, uses

CONTRACTIONS = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True)
class MarkQuantized(ModulePass):
    name = "mark-quantized"
    tables: bool = True
    stream: bool = False

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        wanted: dict[SSAValue, bool] = {}
        operands = []
        for each in floats(op, *CONTRACTIONS):
            sides = list(each.inputs[:2])
            computed = [i for i, value in enumerate(sides) if real_constant(ctx, value) is None]
            if 0 not in computed or any(element_of(sides[i]) != f32 for i in computed):
                continue
            for i in computed:
                root = _maker(sides[i])
                wanted[root] = wanted.get(root, False) or len(computed) > 1
                operands.append((each, i, root))
        marks = {root: _mark(root, symmetric) for root, symmetric in wanted.items()}
        for each, i, root in operands:
            each.operands[i] = _moved(each.operands[i], root, marks[root])
        if self.tables:
            for root in wanted:
                _mark_argument(ctx, root)
        if self.stream:
            for each in floats(op, "Add", "LayerNormalization"):
                if each.kind.data != "Add" or _is_residual(ctx, each):
                    _mark_for_all(each.results[0], marks.get(each.results[0]))
        DeadCode().apply(ctx, op)


def _maker(value: SSAValue) -> SSAValue:
    while isinstance(value.owner, Reshape | Transpose):
        value = value.owner.input
    return value


def _mark(value: SSAValue, symmetric: bool) -> SSAValue:
    properties = {"symmetric": UnitAttr()} if symmetric else {}
    observe = Observe.build(operands=[value], result_types=[value.type], properties=properties)
    return insert(_after(value), observe, getattr(value.owner, "source", ""))


def _after(value: SSAValue) -> Operation:
    """The operator behind the one that makes ``value``."""
    owner = value.owner
    return owner.next_op if isinstance(owner, Operation) else owner.first_op


def _moved(value: SSAValue, root: SSAValue, marked: SSAValue) -> SSAValue:
    """``value``, moved in the same way from ``marked``."""
    if value is root:
        return marked
    op = value.owner
    source = _moved(op.input, root, marked)
    kind = TensorType(element_of(value), value.type.get_shape())
    again = type(op).build(operands=[source], result_types=[kind], properties=dict(op.properties))
    return insert(op.next_op, again, op.source)


def _mark_argument(ctx: GraphContext, value: SSAValue) -> None:
    """Of the function that ends with ``value``, if its argument is the result of a contraction and nothing else reads it."""
    root = root_of(ctx, value)
    if root is value or not is_contracted(ctx, root):
        return
    readers = uses(root)
    if any(not isinstance(each, Float) or root_of(ctx, each.results[0]) is not root for each in readers):
        return
    marked = _mark(root, False)
    for each in readers:
        for i, operand in enumerate(each.operands):
            if operand is root:
                each.operands[i] = marked


def _is_residual(ctx: GraphContext, op: Float) -> bool:
    """Whether it adds two computed tensors of one shape."""
    computed = all(real_constant(ctx, value) is None for value in op.inputs)
    return computed and len({shape_of(value) for value in op.inputs}) == 1


def _mark_for_all(value: SSAValue, marked: SSAValue | None) -> None:
    marked = marked or _mark(value, False)
    for use in list(value.uses):
        if use.operation is not marked.owner:
            use.operation.operands[use.index] = marked


def is_contracted(ctx: GraphContext, value: SSAValue) -> bool:
    """Whether it is the result of a contraction, perhaps with a constant added."""
    op = value.owner
    if not isinstance(op, Float) or op.domain.data:
        return False
    if op.kind.data == "Add":
        computed = [each for each in op.inputs if real_constant(ctx, each) is None]
        return len(computed) == 1 and is_contracted(ctx, computed[0])
    return op.kind.data in CONTRACTIONS
