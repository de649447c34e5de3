"""What runs where: operators of the machine in segments as long as they can be, the others on the host between them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation, SSAValue

from ..ir.contractions import Conv2D, MatMul
from ..ir.edges import Constant, Float
from ..ir.model import Model
from ..ir.normal import LayerNorm, Softmax
from ..ir.shapes import Concat, Reshape, Transpose
from ..ir.types import quantization, shape_of
from ..ir.vector import Add, AveragePool, MaxPool, Table

TENSOR = (Conv2D, MatMul)
VECTOR = (MaxPool, AveragePool, Add, Table, Concat)
WORK = (*TENSOR, *VECTOR, Float, Softmax, LayerNorm)
"""Operators that compute: one of these on the host is a fallback."""

MOVES = (Reshape, Transpose)
"""Operators that move numbers: on the host they are a fallback where what they move comes from the device and goes there."""


@dataclass(frozen=True, eq=False)
class Segment:
    """Operators that run together, in order; ``inputs`` and ``outputs`` are the values that pass its edges."""

    on_device: bool
    ops: tuple[Operation, ...]
    inputs: tuple[SSAValue, ...]
    outputs: tuple[SSAValue, ...]


def reason_on_host(op: Operation) -> str | None:
    """Why an operator is not for the machine, as far as it can be seen without generating code; None if it is."""
    if "fallback" in op.attributes:
        return op.attributes["fallback"].data
    if isinstance(op, TENSOR + VECTOR):
        dynamic = [v for v in op.operands if quantization(v) is not None and isinstance(v.owner, Constant)]
        if isinstance(op, Concat) and quantization(op.result) is None:
            return "only int8 tensors are joined"
        return "an operand that is usually computed is constant" if dynamic else None
    if isinstance(op, MOVES):
        return "no code moves numbers from one channel to another"
    if isinstance(op, Softmax | LayerNorm):
        return "the vector engine has no exponential and no root"
    if isinstance(op, Float):
        return f"no operator of the machine does {op.kind.data} here"
    return "it stands at the edge of what is quantized"


def keep_on_host(op: Operation, reason: str) -> None:
    op.attributes["fallback"] = StringAttr(reason)


def segments(model: Model) -> Iterator[Segment]:
    """All operators, each in one segment, in an order in which they can run."""
    device = _device_ops(model)
    left, done = model.operations, set(model.block.args)
    done |= {op.results[0] for op in model.block.ops if isinstance(op, Constant)}
    outputs, on_device = set(model.outputs.values()), False
    while left:
        taken, rest = [], []
        for op in left:
            ready = all(value in done for value in op.operands)
            if ready and (op in device) == on_device:
                taken.append(op)
                done |= set(op.results)
            else:
                rest.append(op)
        if taken:
            yield _segment(on_device, taken, outputs)
        left, on_device = rest, not on_device


def _device_ops(model: Model) -> set[Operation]:
    """Operators of the machine, and reshapes that only rename what lies there."""
    device = {op for op in model.operations if reason_on_host(op) is None}
    for op in model.operations:
        if isinstance(op, Reshape) and op.input.owner in device:
            same_channels = shape_of(op.input)[-1] == shape_of(op.result)[-1]
            readers = [use.operation for use in op.result.uses]
            if same_channels and (isinstance(op.input.owner, Reshape) or any(each in device for each in readers)):
                device.add(op)
    return device


def fallbacks(model: Model, on_device: set[Operation]) -> list[Operation]:
    """Operators on the host that the device should have done: they compute, or move numbers between programs."""
    after, before = set(), set()
    for op in model.operations:
        if any(value.owner in on_device or value.owner in after for value in op.operands):
            after.add(op)
    for op in reversed(model.operations):
        readers = {use.operation for value in op.results for use in value.uses}
        if readers & (on_device | before):
            before.add(op)
    host = [op for op in model.operations if op not in on_device]
    return [op for op in host if isinstance(op, WORK) or isinstance(op, MOVES) and op in after & before]


def _segment(on_device: bool, ops: Sequence[Operation], results: set[SSAValue]) -> Segment:
    inside, made = set(ops), {value for op in ops for value in op.results}
    inputs = {v: None for op in ops for v in op.operands if v not in made and not isinstance(v.owner, Constant)}
    outputs = [
        value
        for op in ops
        for value in op.results
        if value in results or any(use.operation not in inside for use in value.uses)
    ]
    return Segment(on_device, tuple(ops), tuple(inputs), tuple(outputs))
