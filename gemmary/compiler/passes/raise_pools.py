"""MaxPool, AveragePool and means over whole images of dequantized int8 become ``graph.max_pool`` and ``graph.average_pool``."""

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ..ir.base import ints, real
from ..ir.dialect import GraphContext
from ..ir.edges import Dequantize, Float
from ..ir.types import element_of, quantization, shape_of, tensor_type
from ..ir.vector import AveragePool, MaxPool
from .layout import from_images, images
from .matching import Mismatch, ending_of, factor, floats, insert, note, options, replace, source_of
from .padding import pads_of


@dataclass(frozen=True)
class RaisePools(ModulePass):
    name = "raise-pools"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for each in floats(op, "MaxPool", "GlobalMaxPool"):
            _attempt(_maximum, ctx, each)
        for each in floats(op, "AveragePool", "GlobalAveragePool", "ReduceMean"):
            _attempt(_average, ctx, each)


def _attempt(raise_, ctx: GraphContext, op: Float) -> None:
    try:
        raise_(ctx, op)
    except Mismatch as reason:
        note(op, reason)


def _geometry(op: Float) -> dict:
    given, shape = options(op), shape_of(op.inputs[0])
    if len(shape) not in (3, 4):
        raise Mismatch(f"a pool over {len(shape) - 2} axes")
    if op.kind.data.startswith("Global") or op.kind.data == "ReduceMean":
        window, strides, padding = shape[2:], [1] * len(shape[2:]), [0, 0, 0, 0]
    else:
        window = given["kernel_shape"]
        strides = given.get("strides", [1] * len(window))
        if max(given.get("dilations", [1])) > 1:
            raise Mismatch("a pool with dilations")
        padding = pads_of(given, shape[2:], window, strides)
    if len(window) == 1:
        window, strides = [1, *window], [1, *strides]
    return {"window": ints(window), "strides": ints(strides), "padding": ints(padding)}


def _machine_shape(op: Float):
    n, c, *size = (*shape_of(op.inputs[0])[:2], *shape_of(op.results[0])[2:])
    size = size or [1, 1]  # a mean that drops its axes
    return n, *([1] if len(size) == 1 else []), *size, c


def _maximum(ctx: GraphContext, op: Float) -> None:
    if len(op.results) > 1:
        raise Mismatch("a max pool that returns places")
    source, geometry = source_of(op.inputs[0], "the input"), _geometry(op)
    result = tensor_type(_machine_shape(op), element_of(source))
    pool = MaxPool.build(operands=[images(op, source)], result_types=[result], properties=geometry)
    value = from_images(op, insert(op, pool), shape_of(op.results[0]))
    replace(op, insert(op, Dequantize.build(operands=[value], result_types=[op.results[0].type])))


def _average(ctx: GraphContext, op: Float) -> None:
    source, given = source_of(op.inputs[0], "the input"), options(op)
    if op.kind.data == "ReduceMean":
        axes = given.get("axes")
        if len(op.inputs) > 1:
            constant = ctx.array(op.inputs[1])
            axes = None if constant is None else constant.tolist()
        rank = len(shape_of(source))
        if axes is None or sorted(axis % rank for axis in axes) != list(range(2, rank)) or rank < 3:
            raise Mismatch("a mean over other axes than those of an image")
    geometry = _geometry(op)
    window, padding = geometry["window"].get_values(), geometry["padding"].get_values()
    if any(padding) and not given.get("count_include_pad", 0):
        raise Mismatch("an average that leaves its padding out")
    if given.get("ceil_mode", 0) and padding != tuple(
        pads_of(given | {"ceil_mode": 0}, shape_of(source)[2:], window, [1, 1])
    ):
        raise Mismatch("an average whose last windows stick out (ceil_mode)")
    ending = ending_of(ctx, op.results[0])
    if ending is None:
        raise Mismatch("the result is not quantized")
    scale = factor(quantization(source).scale.data, float(ending.type.scale.data) * window[0] * window[1])
    before, result = ending.quantize, tensor_type(_machine_shape(op), ending.type)
    properties = geometry | ending.clip | {"scale": real(float(scale))}
    pool = AveragePool.build(operands=[images(before, source)], result_types=[result], properties=properties)
    replace(before, from_images(before, insert(before, pool, op.source), shape_of(op.results[0])))
