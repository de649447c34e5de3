"""From when to when the tensors of a program are needed."""

from collections.abc import Callable, Sequence

from xdsl.ir import Operation, SSAValue

from ..ir.shapes import Reshape
from ..planning import Life


def lives_of(
    ops: Sequence[Operation],
    inputs: Sequence[SSAValue],
    outputs: Sequence[SSAValue],
    size: Callable[[SSAValue], tuple[int, bool]],
) -> dict[SSAValue, Life]:
    """By layer; inputs are there before the first (-1), outputs after the last. A reshape is another name for what it reads.

    ``size`` says how many bytes a value takes, and whether some are zeros that are there from the start.
    """
    layers = [op for op in ops if not isinstance(op, Reshape)]
    first = dict.fromkeys(inputs, -1) | {result: i for i, op in enumerate(layers) for result in op.results}
    last = dict(first)
    for i, op in enumerate(layers):
        for value in op.operands:
            if root_of(value, ops) in last:
                last[root_of(value, ops)] = i
    for value in outputs:
        last[root_of(value, ops)] = len(layers)
    lives = {}
    for value, begin in first.items():
        bytes_, filled = size(value)
        lives[value] = Life(bytes_, -1 if filled else begin, last[value])
    return lives


def root_of(value: SSAValue, ops: Sequence[Operation]) -> SSAValue:
    while isinstance(value.owner, Reshape) and value.owner in ops:
        value = value.owner.input
    return value
