"""What is marked becomes int8: ``graph.observe`` → quantize and dequantize over its range, and the constant weights of Conv, Gemm and
MatMul → int8 with a scale for each output channel (``per_channel``; else one), symmetric, their largest number 127.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from ...errors import InputError
from ..ir.base import integer
from ..ir.dialect import GraphContext
from ..ir.edges import Dequantize, Float, Observe, Quantize, Scale
from ..ir.types import Quantized, shape_of, tensor_type
from .dead_code import DeadCode
from .mark_quantized import CONTRACTIONS
from .matching import floats, insert, operations, options, replace


@dataclass(frozen=True)
class InsertQuantization(ModulePass):
    name = "insert-quantization"
    per_channel: bool = True

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        weights: dict[tuple[SSAValue, int], SSAValue] = {}
        for each in floats(op, *CONTRACTIONS):
            array = ctx.array(each.inputs[1])
            if array is not None and array.dtype == np.float32 and array.ndim > 1 and _is_marked(each.inputs[0]):
                key = each.inputs[1], _channel_axis(each, array.ndim)
                if key not in weights:
                    weights[key] = _weights(ctx, each, array, key[1], self.per_channel)
                each.operands[1] = weights[key]
        for each in operations(op, Observe):
            _quantize(each)
        DeadCode().apply(ctx, op)


def _is_marked(value: SSAValue) -> bool:
    while not isinstance(value.owner, Observe):
        if not hasattr(value.owner, "input"):
            return False
        value = value.owner.input
    return True


def _channel_axis(op: Float, rank: int) -> int:
    turned = options(op).get("transB", 0)
    return 0 if op.kind.data == "Conv" or turned else rank - 1


def _weights(ctx: GraphContext, op: Float, array: np.ndarray, axis: int, per_channel: bool) -> SSAValue:
    others = tuple(i for i in range(array.ndim) if i != axis or not per_channel)
    largest = np.abs(array).max(axis=others, keepdims=True)
    scales = np.where(largest > 0, largest / np.float32(127), np.float32(1)).astype(np.float32)
    integers = np.clip(np.rint(array / scales), -127, 127).astype(np.int8)
    name = op.source or "weight"
    parts = [ctx.constant(f"{name}.int8", integers), ctx.constant(f"{name}.scales", scales.reshape(-1))]
    operands = [insert(op, part, op.source) for part in parts]
    kind = tensor_type(array.shape, np.float32)
    return insert(op, Scale.build(operands=operands, result_types=[kind], properties={"axis": integer(axis)}))


def quantization_of(low: float, high: float, symmetric: bool) -> Quantized:
    """Of the numbers ``low`` … ``high``; 0 is among them and stays 0."""
    if symmetric:
        return Quantized(_scale(max(abs(low), abs(high)) / 127), 0)
    low, high = min(low, 0.0), max(high, 0.0)
    scale = _scale((high - low) / 255)
    return Quantized(scale, int(np.clip(np.rint(-128 - low / scale), -128, 127)))


def _scale(step: float) -> float:
    return float(np.float32(max(step, 1e-10)))


def _quantize(op: Observe) -> None:
    if op.low is None:
        raise InputError(f"operator {op.source!r}: its range is not known: calibrate the model first")
    q = quantization_of(op.low.value.data, op.high.value.data, op.symmetric is not None)
    kind = tensor_type(shape_of(op.input), q)
    quantized = insert(op, Quantize.build(operands=[op.input], result_types=[kind]), op.source)
    real = Dequantize.build(operands=[quantized], result_types=[op.result.type])
    replace(op, insert(op, real, op.source))
