"""Conv, Gemm and MatMul of dequantized int8 become ``graph.conv2d`` and ``graph.matmul``.

With a bias, a residual (Add of another dequantized tensor), ReLU or Clip, and a quantization behind them they are one operator
that rounds once. Where something else follows, int32 sums leave the machine and the host scales them: nothing is lost.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp, UnitAttr, i32
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from ..ir.base import integer, ints, real
from ..ir.contractions import Conv2D, MatMul
from ..ir.dialect import GraphContext
from ..ir.edges import Dequantize, Float, Scale
from ..ir.shapes import Transpose
from ..ir.types import quantization, shape_of, tensor_type
from .layout import from_images, images, reshape, transpose
from .matching import (
    Mismatch,
    ending_of,
    factor,
    fits_residual,
    floats,
    insert,
    note,
    only_user,
    options,
    real_constant,
    replace,
    source_of,
    weights_of,
)
from .padding import pads_of


@dataclass(frozen=True)
class RaiseContractions(ModulePass):
    name = "raise-contractions"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in floats(op, "Conv", "Gemm", "MatMul"):
            try:
                _Conv(ctx, each).raise_() if each.kind.data == "Conv" else _Product(ctx, each).raise_()
            except Mismatch as reason:
                note(each, reason)


class _Raising:
    """One float operator; subclasses know how its operands lie."""

    def __init__(self, ctx: GraphContext, op: Float):
        self.ctx, self.op, self.options = ctx, op, options(op)
        self.input = source_of(op.inputs[0], "the input")
        self.input_scale = quantization(self.input).scale.data

    def constant(self, part: str, array: np.ndarray) -> SSAValue:
        return insert(self.op, self.ctx.constant(f"{self.op.source}.{part}", array), self.op.source)

    def weights(self, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """int8 weights and their scales; ``axis`` is that of the output channels."""
        weights = weights_of(self.ctx, self.op.inputs[1])
        if weights is None:
            raise Mismatch("the weights are not constant int8")
        if weights.integers.dtype != np.int8:
            raise Mismatch("the weights have a zero point: quantize them symmetrically")
        if weights.scales.size > 1 and weights.axis != axis % weights.integers.ndim:
            raise Mismatch("the weights' scales are not those of output channels")
        return weights.integers, weights.scales

    def bias(self, value: SSAValue | None, unit: np.ndarray, channels: int) -> np.ndarray | None:
        """int32 in units of the sums; None for what is not constant."""
        if value is None:
            return np.zeros(channels, np.int32)
        constant = real_constant(self.ctx, value)
        if (
            constant is None
            or constant.size not in (1, channels)
            or constant.ndim
            and constant.shape[-1] != constant.size
        ):
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            sums = np.rint(np.broadcast_to(constant.reshape(-1), channels) / np.broadcast_to(unit, channels))
        if not np.isfinite(sums).all() or np.abs(sums).max(initial=0) >= 2**31:
            raise Mismatch("the bias does not fit int32")
        return sums.astype(np.int32)

    def finish(self, unit: np.ndarray, bias: np.ndarray, build, place, after: SSAValue) -> None:
        """Everything behind the sums of ``unit`` each, up to the value ``after`` and beyond it.

        ``build(before, bias, scale, residual, properties, element)`` makes the operator, ``place(before, value, back)`` turns a
        tensor from the model's order of axes into the machine's, or back.
        """
        residual, value = None, after
        add = only_user(value)
        if isinstance(add, Float) and add.kind.data == "Add" and not add.domain.data:
            (other,) = [each for each in add.inputs if each is not value] or [None]
            same = other is not None and shape_of(other) == shape_of(add.results[0])
            if same and isinstance(other.owner, Dequantize) and other.owner.input is not after:
                residual, value = other.owner.input, add.results[0]
        ending = ending_of(self.ctx, value)
        if residual is not None and ending is not None:
            residual_scale = factor(quantization(residual).scale.data, ending.type.scale.data)
            if not fits_residual(factor(unit, ending.type.scale.data), float(residual_scale)):
                residual = None
        if residual is None:
            ending = ending_of(self.ctx, after)
        if ending is None:
            self._leave_wide(unit, bias, build, place, after)
            return
        before, q = ending.quantize, ending.type
        scale = self.constant_at(before, "scale", np.atleast_1d(factor(unit, q.scale.data)))
        properties = ending.clip
        if residual is not None:
            residual = place(before, residual, False)
            properties["residual_scale"] = real(residual_scale)
        sums = self.constant_at(before, "bias", bias)
        result = build(before, sums, scale, residual, properties, q)
        replace(before, place(before, result, True))

    def constant_at(self, before: Operation, part: str, array: np.ndarray) -> SSAValue:
        return insert(before, self.ctx.constant(f"{self.op.source}.{part}", array), self.op.source)

    def _leave_wide(self, unit, bias, build, place, after: SSAValue) -> None:
        op = after.owner
        sums = build(op, self.constant_at(op, "bias", bias), None, None, {}, i32)
        sums = place(op, sums, True)
        axis = {"axis": integer(self.channel_axis(len(shape_of(sums))))}
        scales = self.constant_at(op, "unit", np.atleast_1d(unit).astype(np.float32))
        scaled = Scale.build(operands=[sums, scales], result_types=[op.results[0].type], properties=axis)
        value = insert(op, scaled, self.op.source)
        op.results[0].replace_all_uses_with(value)


class _Conv(_Raising):
    def raise_(self) -> None:
        op, given = self.op, self.options
        shape, kernel = shape_of(self.input), shape_of(op.inputs[1])[2:]
        if len(shape) not in (3, 4):
            raise Mismatch(f"a convolution over {len(shape) - 2} axes")
        weight, scales = self.weights(0)
        axes, groups = len(kernel), given.get("group", 1)
        strides, dilations = given.get("strides", [1] * axes), given.get("dilations", [1] * axes)
        padding = pads_of(given, shape[2:], kernel, strides, dilations)
        if axes == 1:
            weight, strides, dilations = weight[:, :, None], [1, *strides], [1, *dilations]
        constant = self.constant("weight", np.ascontiguousarray(weight.transpose(2, 3, 1, 0)))
        unit = np.float64(self.input_scale) * scales.astype(np.float64)
        bias = self.bias(op.inputs[2] if len(op.inputs) > 2 else None, unit, weight.shape[0])
        if bias is None:
            raise Mismatch("the bias is not constant")
        model_shape = shape_of(op.results[0])
        machine = (model_shape[0], *((1,) if axes == 1 else ()), *model_shape[2:], model_shape[1])
        kind = {"strides": ints(strides), "dilations": ints(dilations), "padding": ints(padding)}
        kind["groups"] = integer(groups)

        def build(before, bias, scale, residual, properties, element):
            x = images(before, self.input)
            operands = [x, constant, [bias], _maybe(scale), _maybe(residual), []]
            result = tensor_type(machine, element)
            conv = Conv2D.build(operands=operands, result_types=[result], properties=kind | properties)
            return insert(before, conv, op.source)

        def place(before, value, back):
            return from_images(before, value, model_shape) if back else images(before, value)

        self.finish(unit, bias, build, place, op.results[0])

    def channel_axis(self, rank: int) -> int:
        return 1


class _Product(_Raising):
    def raise_(self) -> None:
        op, given = self.op, self.options
        if given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0 or given.get("transA", 0):
            raise Mismatch("alpha, beta and transA are not supported")
        if len(shape_of(self.input)) < 2:
            raise Mismatch("the left operand is a vector")
        if isinstance(op.inputs[1].owner, Dequantize):
            self._of_run_time()
            return
        turned = bool(given.get("transB", 0))
        weight, scales = self.weights(0 if turned else -1)
        if weight.ndim != 2:
            raise Mismatch("constant weights must be a matrix")
        weight = np.ascontiguousarray(weight.T if turned else weight)
        constant, after = self.constant("weight", weight), op.results[0]
        unit = np.float64(self.input_scale) * scales.astype(np.float64)
        bias = self.bias(op.inputs[2] if len(op.inputs) > 2 else None, unit, weight.shape[1])
        if bias is None:
            raise Mismatch("the bias is not constant")
        add = only_user(after)
        if len(op.inputs) == 2 and isinstance(add, Float) and add.kind.data == "Add":
            (other,) = [each for each in add.inputs if each is not after] or [None]
            added = None if other is None else self.bias(other, unit, weight.shape[1])
            if added is not None and shape_of(add.results[0]) == shape_of(after):
                bias, after = added, add.results[0]
        self._finish(constant, unit, bias, after, {})

    def _of_run_time(self) -> None:
        other = source_of(self.op.inputs[1], "the right operand")
        properties = {}
        transposed = other.owner
        rank = len(shape_of(other))
        if isinstance(transposed, Transpose):
            axes = transposed.permutation.get_values()
            if axes[-2] == rank - 1:  # what moves the last axis there turns the matrices; the rest stays a transpose
                rest = (*axes[:-2], axes[-1], axes[-2])
                other, properties = transposed.input, {"transposed": UnitAttr()}
                if rest != tuple(range(rank)):
                    other = transpose(self.op, other, rest)
        if shape_of(other)[:-2] != shape_of(self.input)[:-2]:
            raise Mismatch("the operands have different outer sizes")
        if len(self.op.inputs) > 2:
            raise Mismatch("a bias on a product of two computed tensors")
        unit = np.float64(self.input_scale) * np.float64(quantization(other).scale.data)
        self._finish(other, np.atleast_1d(unit), None, self.op.results[0], properties)

    def _finish(self, weight: SSAValue, unit, bias, after: SSAValue, kind: dict) -> None:
        shape = shape_of(after)

        def build(before, bias, scale, residual, properties, element):
            operands = [self.input, weight, _maybe(bias), _maybe(scale), _maybe(residual), []]
            result = [tensor_type(shape, element)]
            return insert(
                before,
                MatMul.build(operands=operands, result_types=result, properties=kind | properties),
                self.op.source,
            )

        def place(before, value, back):
            return reshape(before, value, shape)

        self.finish(unit, bias, build, place, after)

    def constant_at(self, before, part, array):
        return None if array is None else super().constant_at(before, part, array)

    def channel_axis(self, rank: int) -> int:
        return rank - 1


def _maybe(value: SSAValue | None) -> list[SSAValue]:
    return [] if value is None else [value]
