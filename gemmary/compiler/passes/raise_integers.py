"""Integers that a program requantizes itself, as JAX functions do, become quantized operators.

``clip(round(x · scale) + zero_point)`` to int8 becomes the drain of the product before it, with bias and residual; of two int8
tensors ``graph.add``; of a sum over images ``graph.average_pool``; any function of one int8 tensor alone a table. int8 tensors get
the type ``!graph.q<1.0, zero_point>`` with the zero point that their readers subtract.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from ..ir.base import integer, ints, real
from ..ir.contractions import Conv2D, MatMul
from ..ir.dialect import GraphContext
from ..ir.edges import Float, Reinterpret, Scale
from ..ir.floats import NoReference, evaluate_onnx, options_from
from ..ir.shapes import Reshape, Transpose
from ..ir.types import Quantized, element_of, i8, i32, numpy_dtype, shape_of, tensor_type
from ..ir.vector import Add, AveragePool, Table
from .affine import Form, Term, form_of
from .integer_types import join, sink
from .matching import Mismatch, factor, fits_residual, insert, note, operations, replace, uses
from .raise_tables import ELEMENTWISE, EVERY

_FUNCTIONS = ELEMENTWISE | {"Cast", "Where", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not"}


@dataclass(frozen=True)
class RaiseIntegers(ModulePass):
    name = "raise-integers"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in operations(op, Float):
            if len(each.results) == 1 and element_of(each.results[0]) == i8 and each.kind.data in _FUNCTIONS:
                if _is_inside(each):
                    continue
                try:
                    _table(ctx, each) or _requantize(ctx, each)
                except Mismatch as reason:
                    note(each, reason)
        for each in operations(op, Conv2D, MatMul):
            _add_bias(ctx, each)
        for each in operations(op, Float):
            if each.kind.data in ("Mul", "Div"):
                _scale(ctx, each)
        for each in operations(op, Reshape, Transpose):
            sink(each)
        for each in operations(op, Reinterpret):
            if each.parent is not None and isinstance(each.input.owner, Reinterpret):
                join(ctx, each)


def _is_inside(op: Float) -> bool:
    """Whether it is a step of a function whose result is int8 too."""
    users = uses(op.results[0])
    return (
        len(users) == 1
        and isinstance(users[0], Float)
        and users[0].kind.data in _FUNCTIONS
        and (element_of(users[0].results[0]) == i8)
    )


# Functions of one int8 tensor.


def _table(ctx: GraphContext, op: Float) -> bool:
    root = _root(ctx, op.results[0], {})
    if root is None or shape_of(root) != shape_of(op.results[0]):
        return False
    entries = _evaluate(ctx, op.results[0], root, {}).astype(np.int8)
    if entries.size != EVERY.size:
        return False
    table = insert(op, ctx.constant(f"{op.source}.table", entries.reshape(-1)))
    operands, result = [_as_quantized(op, root, 0), table], tensor_type(shape_of(root), Quantized(1.0, 0))
    _finish(op, Table.build(operands=operands, result_types=[result]))
    return True


def _root(ctx: GraphContext, value: SSAValue, known: dict) -> SSAValue | None:
    """The only int8 tensor that a value depends on, element by element. None where there are others."""
    if value in known:
        return known[value]
    op, found = value.owner, set()
    if not isinstance(op, Float) or op.domain.data or op.kind.data not in _FUNCTIONS:
        found = {value} if element_of(value) == i8 else {None}
    else:
        for each in op.inputs:
            constant = ctx.array(each)
            if constant is None:
                found.add(_root(ctx, each, known))
            elif constant.size != 1:
                found.add(None)
    known[value] = next(iter(found)) if len(found) == 1 else None
    return known[value]


def _evaluate(ctx: GraphContext, value: SSAValue, root: SSAValue, known: dict) -> np.ndarray:
    """For each int8 of the root."""
    if value is root:
        return EVERY
    if value not in known:
        constant = ctx.array(value)
        if constant is not None:
            return constant.reshape(-1)
        op = value.owner
        arrays = [_evaluate(ctx, each, root, known) for each in op.inputs]
        try:
            (result,) = evaluate_onnx(op.kind.data, options_from(op.options), arrays, 1, 21, op.absent.get_values())
        except NoReference as error:
            raise Mismatch(str(error)) from None
        known[value] = np.asarray(result).astype(numpy_dtype(element_of(value)))
    return known[value]


# Requantized sums.


def _requantize(ctx: GraphContext, op: Float) -> None:
    form = form_of(ctx, op.results[0] if op.kind.data != "Cast" else op.inputs[0])
    if not form.rounded or not -128 <= form.low <= form.high <= 127:
        raise Mismatch("it is not rounded, or not clipped to −128 … 127, before it becomes int8")
    if form.zero % 1 or not -128 <= form.zero <= 127:
        raise Mismatch(f"the zero point {form.zero} is none of int8")
    sums = [term for term in form.terms if isinstance(term.base.owner, Conv2D | MatMul)]
    others = [term for term in form.terms if term not in sums]
    if len(sums) == 1 and len(others) <= 1 and len(uses(sums[0].base)) == 1:
        _drain(ctx, op, form, sums[0], others)
    elif not sums and len(others) == 2:
        _add(op, form, others)
    elif not sums and len(others) == 1 and isinstance(others[0].base.owner, Float):
        _average(op, form, others[0])
    else:
        raise Mismatch(
            "it depends on more than one sum of products and one int8 tensor, or something else reads the sum"
        )


def _clip(form: Form) -> dict:
    return {"low": integer(int(form.low)), "high": integer(int(form.high))}


def _drain(ctx: GraphContext, op: Float, form: Form, term: Term, others: list[Term]) -> None:
    product, channels = term.base.owner, shape_of(term.base)[-1]
    scale = factor(term.factor, 1.0)
    if (scale == 0).any():
        raise Mismatch("a scale is 0")
    properties, residual = dict(product.properties) | _clip(form), []
    if others:
        residual_scale = factor(_single(others[0].factor), 1.0)
        if not fits_residual(scale, float(residual_scale)):
            raise Mismatch("the residual's scale is too small beside that of the sums")
        residual = [_as_quantized(op, _int8(others[0]), _zero(others[0]))]
        properties["residual_scale"] = real(float(residual_scale))
    bias = np.rint(np.broadcast_to(term.shift + form.offset / term.factor, (channels,)))
    if np.abs(bias).max() >= 2**31:
        raise Mismatch("the bias does not fit int32")
    constants = [insert(op, ctx.constant(f"{product.source}.{n}", a), product.source) for n, a in (
        ("bias", bias.astype(np.int32)), ("scale", scale.reshape(-1)),
    )]  # fmt: skip
    operands = [product.input, product.weight, *([each] for each in constants), residual, []]
    result = tensor_type(shape_of(term.base), Quantized(1.0, int(form.zero)))
    properties.pop("operandSegmentSizes", None)
    _finish(op, type(product).build(operands=operands, result_types=[result], properties=properties), product.source)


def _add(op: Float, form: Form, terms: list[Term]) -> None:
    if np.any(form.offset):
        raise Mismatch("a number that is no zero point is added")
    scales = [float(factor(_single(term.factor), 1.0)) for term in terms]
    operands = [_as_quantized(op, _int8(term), _zero(term)) for term in terms]
    properties = _clip(form) | {"left_scale": real(scales[0]), "right_scale": real(scales[1])}
    result = tensor_type(shape_of(op.results[0]), Quantized(1.0, int(form.zero)))
    _finish(op, Add.build(operands=operands, result_types=[result], properties=properties))


def _average(op: Float, form: Form, term: Term) -> None:
    total = term.base.owner
    source = form_of_images(total)
    shape = shape_of(source)
    count = shape[1] * shape[2]
    zero = -_single(term.shift + form.offset / term.factor) / count
    if abs(zero - round(zero)) > 1e-6 or not -128 <= zero <= 127:
        raise Mismatch("what is added to the sum is no zero point times the number of elements")
    properties = _clip(form) | {"scale": real(float(factor(_single(term.factor), 1.0)))}
    properties |= {"window": ints(shape[1:3]), "strides": ints([1, 1]), "padding": ints([0] * 4)}
    result = tensor_type((shape[0], 1, 1, shape[3]), Quantized(1.0, int(form.zero)))
    operands = [_as_quantized(op, source, round(zero))]
    _finish(op, AveragePool.build(operands=operands, result_types=[result], properties=properties), total.source)


def form_of_images(total: Float) -> SSAValue:
    """The int8 images [n, h, w, channels] of a sum over their height and width."""
    value = total.inputs[0]
    while isinstance(value.owner, Float) and value.owner.kind.data == "Cast" and element_of(value) != i8:
        value = value.owner.inputs[0]
    n, *_, c = shape_of(value)
    sums = len(shape_of(value)) == 4 and shape_of(total.results[0]) in ((n, c), (n, 1, 1, c))
    if element_of(value) != i8 or not sums:
        raise Mismatch("a sum over other axes than those of int8 images")
    return value


def _finish(op: Float, made: Operation, source: str = "") -> None:
    """``made`` for an operator whose result is plain int8."""
    value = insert(op, made, source)
    shape = shape_of(op.results[0])
    plain = insert(op, Reinterpret.build(operands=[value], result_types=[tensor_type(shape_of(value), np.int8)]))
    if shape_of(value) != shape:
        plain = insert(op, Reshape.build(operands=[plain], result_types=[op.results[0].type]))
    replace(op, plain)


def _single(numbers: np.ndarray) -> float:
    if np.unique(numbers).size != 1:
        raise Mismatch("a scale of an int8 tensor differs by channel")
    return float(numbers.reshape(-1)[0])


def _int8(term: Term) -> SSAValue:
    if element_of(term.base) != i8:
        raise Mismatch("what is added is no int8 tensor")
    return term.base


def _zero(term: Term) -> int:
    zero = -_single(term.shift)
    if zero % 1 or not -128 <= zero <= 127:
        raise Mismatch(f"the zero point {zero} is none of int8")
    return int(zero)


def _as_quantized(before: Operation, value: SSAValue, zero: int) -> SSAValue:
    kind = tensor_type(shape_of(value), Quantized(1.0, zero))
    return insert(before, Reinterpret.build(operands=[value], result_types=[kind]))


def _add_bias(ctx: GraphContext, op: Conv2D | MatMul) -> None:
    """A constant that is added to wide sums becomes their bias."""
    users = uses(op.result)
    if element_of(op.result) != i32 or op.bias is not None or len(users) != 1 or not isinstance(users[0], Float):
        return
    (user,) = users
    try:
        form = form_of(ctx, user.results[0]) if user.kind.data in ("Add", "Sub") else None
    except Mismatch:
        return
    if form is None or element_of(user.results[0]) != i32 or np.any(form.offset) or len(form.terms) != 1:
        return
    bias = np.broadcast_to(form.terms[0].shift, shape_of(op.result)[-1:]).astype(np.int32)
    constant = insert(op, ctx.constant(f"{op.source}.bias", bias), op.source)
    operands = [op.input, op.weight, [constant], [], [], []]
    properties = {name: each for name, each in op.properties.items() if name != "operandSegmentSizes"}
    wide = type(op).build(operands=operands, result_types=[op.result.type], properties=properties)
    replace(user, insert(op, wide, op.source))


def _scale(ctx: GraphContext, op: Float) -> None:
    """Wide sums times a constant, as they leave for float operators."""
    try:
        form = form_of(ctx, op.results[0])
    except Mismatch:
        return
    if len(form.terms) != 1 or form.rounded or form.bounded or np.any(form.offset) or np.any(form.terms[0].shift):
        return
    (term,) = form.terms
    if not isinstance(term.base.owner, Conv2D | MatMul) or str(element_of(op.results[0])) != "f32":
        return
    scales = insert(op, ctx.constant(f"{op.source}.scale", term.factor.astype(np.float32)))
    axis = {"axis": integer(len(shape_of(term.base)) - 1)}
    scaled = Scale.build(operands=[term.base, scales], result_types=[op.results[0].type], properties=axis)
    replace(op, insert(op, scaled))
