"""Fusion: the operators of a segment as one chain, its tensors in the scratchpad from the first to the last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from xdsl.ir import Operation, SSAValue

from ...config import Config
from ...errors import InputError
from ...workloads import INPUT, Conv, Matmul, Mean, Network, Step
from ..chain.compiler import Chain
from ..chain.pools import PooledConv
from ..ir.contractions import Conv2D, MatMul
from ..ir.dialect import GraphContext
from ..ir.programs import program_of
from ..ir.shapes import Reshape
from ..ir.tile import Program
from ..ir.types import quantization, shape_of
from ..ir.vector import AveragePool
from ..layout import Layout
from ..requantization import Requantization
from .drains import average_of, bias_of, drain_of, pool_of
from .lives import root_of
from .partition import Segment


def fused(
    config: Config, context: GraphContext, segment: Segment, names: Mapping[SSAValue, str], label: str
) -> Program | None:
    """The program of a whole segment as one chain (compiler/chain); None where an operator of it is none that chains know, or where
    its tensors do not fit the chip."""
    ops = [op for op in segment.ops if not isinstance(op, Reshape)]
    if len(ops) < 2 or len(segment.inputs) != 1 or INPUT in {names[op.results[0]] for op in ops}:
        return None
    (source,) = segment.inputs
    called = {op.results[0]: names[op.results[0]] for op in ops} | {source: INPUT}
    roots = {value: root_of(value, segment.ops) for value in (*segment.outputs, *_read(ops))}
    if not {op.results[0] for op in ops} <= set(roots.values()):
        return None  # a result that nobody reads stays nowhere
    try:
        steps = tuple(_step(context, op, called, roots) for op in ops)
        network = Network(
            name=f"{steps[0].name} … {steps[-1].name}", title="", input=_image(source), source="", published_macs=0,
            published_source="", tolerance=0, layers=tuple(s.operation for s in steps if not isinstance(s.operation, Mean)),
            steps=steps,
        )  # fmt: skip
        layout, keep = Layout(config), [called[roots[value]] for value in segment.outputs]
        layer = Chain(config, network, _Constants(context, dict(zip(steps, ops))), layout, keep).compile()
    except (InputError, _Unknown):
        return None
    tensors = layout.tensors
    tensors[names[source]] = replace(tensors.pop(INPUT), name=names[source])
    for value in segment.outputs:  # a view is read through a name of its own
        tensors[names[value]] = replace(tensors[called[roots[value]]], name=names[value])
    return program_of(context, label, layout, [layer], [names[source]], [names[value] for value in segment.outputs])


class _Unknown(Exception):
    """The operator is none that chains know."""


def _read(ops: Sequence[Operation]) -> list[SSAValue]:
    return [value for op in ops for value in op.operands if quantization(value) is not None]


def _image(value: SSAValue) -> tuple[int, ...]:
    """The shape of one image, or of a matrix."""
    shape = shape_of(value)
    return shape[1:] if len(shape) == 4 and shape[0] == 1 else (prod(shape[:-1]), shape[-1])


def _step(context: GraphContext, op: Operation, called: dict[SSAValue, str], roots: dict[SSAValue, SSAValue]) -> Step:
    if len(op.results) != 1 or quantization(op.results[0]) is None or roots.get(op.operands[0]) not in called:
        raise _Unknown
    reads = [called[roots[op.operands[0]]]]
    if isinstance(op, AveragePool) and reads == [INPUT]:  # means are made with what a step makes
        raise _Unknown
    if isinstance(op, Conv2D | MatMul):
        if op.table is not None or op.residual is not None and roots[op.residual] not in called:
            raise _Unknown
        reads += [called[roots[op.residual]]] if op.residual is not None else []
    return Step(called[op.results[0]], _operation(context, op), *reads)


def _operation(context: GraphContext, op: Operation) -> Conv | Matmul | Mean:
    shape, name = shape_of(op.operands[0]), op.source or "operator"
    match op:
        case Conv2D() if (
            shape[0] == 1 and set(op.dilations.get_values()) == {1} and context.array(op.weight) is not None
        ):
            kh, kw, _, cout = shape_of(op.weight)
            kind, pool = (Conv, {}) if op.pool is None else (PooledConv, {"pool": pool_of(op)})
            return kind(
                name=name, height=shape[1], width=shape[2], cin=shape[3], cout=cout, kernel=(kh, kw),
                stride=tuple(op.strides.get_values()), padding=tuple(op.padding.get_values()), groups=op.groups.value.data,
                residual=op.residual is not None, **pool,
            )  # fmt: skip
        case MatMul() if op.constant and context.array(op.weight) is not None:
            (k, n), m = shape_of(op.weight), prod(shape[:-1])
            if m == 1 and context.array(op.scale).size == 1:  # its biases come as sums, and its scale is one
                return Matmul(name=name, m=1, k=k, n=n, residual=op.residual is not None)
            return Conv(name=name, height=1, width=m, cin=k, cout=n, kernel=(1, 1), residual=op.residual is not None)
        case AveragePool() if (
            shape[0] == 1 and tuple(op.window.get_values()) == shape[1:3] and not any(op.padding.get_values())
        ):
            return Mean(height=shape[1], width=shape[2], shape=shape[1:])
    raise _Unknown


@dataclass(frozen=True, eq=False)
class _Constants:
    """Of the steps, from the operators that they are."""

    context: GraphContext
    ops: dict[Step, Operation]

    def weights(self, step: Step) -> np.ndarray:
        weight = self.context.array(self.ops[step].weight)
        return weight if weight.ndim == 4 else weight[None, None]

    def outside(self, step: Step) -> int:
        return quantization(self.ops[step].input).zero_point.data

    def requantization(self, step: Step) -> Requantization:
        op = self.ops[step]
        if isinstance(op, AveragePool):
            return average_of(op)
        bias = bias_of(self.context, op, self.weights(step))
        result = drain_of(self.context, op, bias, None)
        if isinstance(step.operation, Matmul):
            result = replace(result, mantissa=int(result.mantissa[0]), shift=int(result.shift[0]))
        return result
