"""Channels of very different ranges become alike before they are quantized: what the host computes (a layer normalisation) is
multiplied by 1 / s, a number for each channel, and the rows of the weights that read it by s. SmoothQuant with exponent ½.

In float nothing changes but the rounding. It costs a multiplication on the host where the tensor is quantized anyway.
"""

from collections.abc import Mapping

import numpy as np
from xdsl.dialects.builtin import StringAttr
from xdsl.ir import SSAValue

from ..ir.edges import Float, Observe
from ..ir.model import Model
from ..passes.functions import root_of
from ..passes.mark_quantized import is_contracted
from ..passes.matching import insert, options, uses
from .calibrate import Ends, set_range


def equalize(model: Model, ends: Mapping[Observe, Ends]) -> Model:
    """``model``, its marks calibrated with the ``ends`` of their channels."""
    for op, each in ends.items():
        readers = _readers(model, op)
        if readers:
            _equalize(model, op, each, readers)
    return model.verify("equalization")


def _readers(model: Model, op: Observe) -> list[Float]:
    """The products with constant weights that read a mark, if nothing else does and no engine makes its tensor."""
    made = root_of(model.context, op.input)  # behind a mark it is a table, in the drain
    if op.symmetric is not None or isinstance(made.owner, Observe) or is_contracted(model.context, made):
        return []
    readers = uses(op.result)
    return readers if all(_weights(model, each, op.result) is not None for each in readers) else []


def _weights(model: Model, op, value: SSAValue) -> np.ndarray | None:
    """``[k, n]``."""
    if (
        not isinstance(op, Float)
        or op.domain.data
        or op.kind.data not in ("MatMul", "Gemm")
        or op.inputs[0] is not value
    ):
        return None
    array, given = model.context.array(op.inputs[1]), options(op)
    if array is None or array.dtype != np.float32 or array.ndim != 2 or given.get("transA") or given.get("transB"):
        return None
    return array


def _equalize(model: Model, op: Observe, ends: Ends, readers: list[Float]) -> None:
    weights = {each: _weights(model, each, op.result) for each in readers}
    largest = np.maximum(np.abs(ends.low), np.abs(ends.high)).astype(np.float64)
    heaviest = np.max([np.abs(array).max(axis=1) for array in weights.values()], axis=0).astype(np.float64)
    alive = (largest > 0) & (heaviest > 0)
    if not alive.any():
        return
    scales = np.where(alive, np.sqrt(np.where(alive, largest, 1) / np.where(alive, heaviest, 1)), 1)
    scales /= np.exp(np.log(scales[alive]).mean())
    scales = scales.astype(np.float32)
    context, name = model.context, op.source
    inverse = insert(op, context.constant(f"{name}.equal", 1 / scales), name)
    equal = Float.build(
        operands=[[op.input, inverse]], result_types=[[op.input.type]], properties={"kind": StringAttr("Mul")}
    )
    op.operands[0] = insert(op, equal, name)
    set_range(op, float((ends.low / scales).min()), float((ends.high / scales).max()))
    for reader, array in weights.items():
        constant = context.constant(f"{reader.source}.equal", (array * scales[:, None]).astype(np.float32))
        reader.operands[1] = insert(reader, constant, reader.source)
