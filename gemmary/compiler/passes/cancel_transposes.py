"""Transposes move down through what works on single numbers, until two of them cancel; a dense layer takes a flattened image
as it lies in the machine.

A transpose that only moves axes of size 1 is a reshape, and any transpose moves down through a reshape that only adds or drops
such axes. ``matmul(reshape(image))`` becomes a convolution whose kernel is the whole image, its weights in the order of the machine.
"""

from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from ..ir.base import integer, ints
from ..ir.contractions import Conv2D, MatMul
from ..ir.dialect import GraphContext
from ..ir.edges import Dequantize, Float, Quantize, Reinterpret
from ..ir.shapes import Concat, Reshape, Transpose
from ..ir.types import element_of, shape_of, tensor_type
from ..ir.vector import Add, Table
from .dead_code import DeadCode
from .layout import reshape, transpose
from .matching import insert, operations, replace
from .raise_tables import ELEMENTWISE

THROUGH = (Table, Add, Dequantize, Quantize, Reinterpret, Concat)


@dataclass(frozen=True)
class CancelTransposes(ModulePass):
    name = "cancel-transposes"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        changed = True
        while changed:
            changed = False
            for each in operations(op, Transpose, Reshape, MatMul, Float, *THROUGH):
                changed |= _STEPS.get(type(each), _sink)(ctx, each)
            DeadCode().apply(ctx, op)


def _transpose(ctx: GraphContext, op: Transpose) -> bool:
    axes, shape = tuple(op.permutation.get_values()), shape_of(op.input)
    if axes == tuple(range(len(axes))):
        replace(op, op.input)
        return True
    if _moves_ones(shape, axes):
        replace(op, reshape(op, op.input, shape_of(op.result)))
        return True
    before = op.input.owner
    if isinstance(before, Transpose):
        first = before.permutation.get_values()
        replace(op, transpose(op, before.input, [first[axis] for axis in axes]))
        return True
    return False


def _reshape(ctx: GraphContext, op: Reshape) -> bool:
    if shape_of(op.input) == shape_of(op.result):
        replace(op, op.input)
        return True
    if isinstance(op.input.owner, Reshape):
        replace(op, reshape(op, op.input.owner.input, shape_of(op.result)))
        return True
    return isinstance(op.input.owner, Transpose) and _below(op, op.input.owner)


def _below(op: Reshape, before: Transpose) -> bool:
    """A reshape that only adds or drops axes of size 1 changes places with the transpose before it."""
    shape, axes = shape_of(op.result), before.permutation.get_values()
    moved = [axis for axis, n in zip(axes, shape_of(op.input)) if n > 1]  # of the input, in the order of the result
    places = [place for place, n in enumerate(shape) if n > 1]
    if [shape_of(before.input)[axis] for axis in moved] != [shape[place] for place in places]:
        return False
    unmoved, back = list(shape), list(range(len(shape)))
    for place, axis in zip(places, sorted(moved)):
        unmoved[place] = shape_of(before.input)[axis]
        back[places[moved.index(axis)]] = place
    replace(op, transpose(op, reshape(op, before.input, unmoved), back))
    return True


def _sink(ctx: GraphContext, op: Operation) -> bool:
    """``op`` on what its operands were before a transpose that they have in common; then the transpose."""
    operands = _data(op)
    if not all(isinstance(value.owner, Transpose) for value in operands):
        return False
    axes = {tuple(value.owner.permutation.get_values()) for value in operands}
    if len(axes) != 1:
        return False
    (axes,) = axes
    rest = [value for value in op.operands if value not in operands]
    sources = [value.owner.input for value in operands]
    shape = [0] * len(axes)
    for place, axis in enumerate(axes):
        shape[axis] = shape_of(op.results[0])[place]
    properties = dict(op.properties)
    if isinstance(op, Concat):
        properties["axis"], sources = integer(axes[op.axis.value.data]), [sources]
    kind = TensorType(element_of(op.results[0]), shape)
    attributes = dict(op.attributes)
    moved = type(op).build(
        operands=[*sources, *rest], result_types=[kind], properties=properties, attributes=attributes
    )
    replace(op, transpose(op, insert(op, moved), axes))
    return True


def _float(ctx: GraphContext, op: Float) -> bool:
    """An operator on single numbers, such as a product of an image with a factor for each channel: what is not transposed alike is
    spread over the others, and only needs its axes of size 1 in other places."""
    if op.domain.data or op.kind.data not in ELEMENTWISE or len(op.results) != 1:
        return False
    shape, found = shape_of(op.results[0]), [v for v in op.inputs if isinstance(v.owner, Transpose)]
    full = [value.owner for value in found if shape_of(value) == shape]
    if not full:
        return False
    axes = full[0].permutation.get_values()
    back = [axes.index(i) for i in range(len(axes))]
    operands = []
    for value in op.inputs:
        if isinstance(value.owner, Transpose) and value.owner.permutation.get_values() == axes:
            operands.append(value.owner.input)
        elif prod(shape_of(value)) == 1:
            operands.append(value)
        elif len(shape_of(value)) == len(axes) and _moves_ones(shape_of(value), back):
            operands.append(reshape(op, value, [shape_of(value)[axis] for axis in back]))
        else:
            return False
    kind = TensorType(element_of(op.results[0]), [shape[axis] for axis in back])
    attributes = dict(op.attributes)
    moved = Float.build(
        operands=[operands], result_types=[[kind]], properties=dict(op.properties), attributes=attributes
    )
    replace(op, transpose(op, insert(op, moved), axes))
    return True


def _moves_ones(shape, axes) -> bool:
    """Whether a transpose moves axes of size 1 only."""
    return [axis for axis in axes if shape[axis] > 1] == [axis for axis in range(len(axes)) if shape[axis] > 1]


def _data(op: Operation) -> list[SSAValue]:
    return list(op.operands[:1] if isinstance(op, Table) else op.operands)


def _dense(ctx: GraphContext, op: MatMul) -> bool:
    """A product whose rows are flattened images becomes a convolution over them."""
    flatten, shape = op.input.owner, shape_of(op.input)
    if not op.constant or op.residual is not None or not isinstance(flatten, Reshape) or len(shape) != 2:
        return False
    turned = isinstance(flatten.input.owner, Transpose)
    source = flatten.input.owner.input if turned else flatten.input
    image, array = shape_of(source), ctx.array(op.weight)
    if len(image) != 4 or image[0] != shape[0] or array is None:
        return False
    n, h, w, c = image
    if turned:
        if tuple(flatten.input.owner.permutation.get_values()) != (0, 3, 1, 2):
            return False
        array = array.reshape(c, h, w, -1).transpose(1, 2, 0, 3)
    kernel = np.ascontiguousarray(array.reshape(h, w, c, -1))
    weight = insert(op, ctx.constant(f"{op.source or 'dense'}.kernel", kernel))
    optional = [[value] if value is not None else [] for value in (op.bias, op.scale, op.residual, op.table)]
    properties = {name: op.properties[name] for name in ("zero_point", "low", "high") if name in op.properties}
    properties |= {"strides": ints([1, 1])}
    kind = tensor_type((n, 1, 1, kernel.shape[-1]), element_of(op.result))
    operands = [source, weight, *optional]
    conv = Conv2D.build(operands=operands, result_types=[kind], properties=properties, attributes=dict(op.attributes))
    replace(op, reshape(op, insert(op, conv), shape_of(op.result)))
    return True


_STEPS = {Transpose: _transpose, Reshape: _reshape, MatMul: _dense, Float: _float}
