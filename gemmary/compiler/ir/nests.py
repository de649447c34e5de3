"""Nests of the tile level from tiled operators: buffers, loops, and the steps inside them."""

from collections.abc import Sequence

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Block, Operation, Region, SSAValue

from ...isa import DType
from ..loops import Loop
from ..lowering import SUM
from ..tiled import Tiled
from .records import Record
from .tile import AllocateBuffer, For, Load, Multiply, Nest, Store, Vector


def nest_of(tiled: Tiled) -> Nest:
    """The nest that says what ``tiled`` does; ``Nest.tiled`` is the way back."""
    buffers = {role: AllocateBuffer.of(role, buffer) for role, buffer in tiled.buffers.items()}
    steps = _Steps(tiled, {role: op.result for role, op in buffers.items()})
    body = Block([*buffers.values(), *steps.loops(tiled.loops)])
    properties = {"kind": StringAttr(tiled.kind), "operations": Record(tiled.operations)}
    return Nest.create(properties=properties, regions=[Region(body)])


class _Steps:
    """What the engines do in the innermost loops; ``places`` has the buffers by role."""

    def __init__(self, tiled: Tiled, places: dict[str, SSAValue]):
        self.operation, self.places = tiled.operations[0], places

    def loops(self, loops: Sequence[Loop]) -> list[For]:
        return [For.of(loop, Region(Block(self._body(loop)))) for loop in loops]

    def _body(self, loop: Loop) -> list[Operation]:
        if not loop.body:
            return self._product() if loop.dim in SUM else self._whole()
        inner = self.loops(loop.body)
        return inner if loop.dim in SUM or loop.body[0].dim not in SUM else [*inner, *self._drain(inner[-1].done)]

    def _product(self) -> list[Operation]:
        loads = [Load.of([self.places[role]]) for role in ("source", "weights")]
        return [*loads, Multiply.of([self.places[r] for r in ("source", "weights", "sums")], [op.done for op in loads])]

    def _whole(self) -> list[Operation]:
        """All that a job does, where its sum is not taken in parts, or is none."""
        if "sums" in self.places:
            product = self._product()
            return [*product, *self._drain(product[-1].done)]
        load = Load.of([self.places["source"]])
        return [load, *self._drain(load.done)]

    def _drain(self, ready: SSAValue) -> list[Operation]:
        result = self.places.get("result", self.places.get("sums"))
        loads = [Load.of([self.places[role]]) for role in ("residual", "parameters") if role in self.places]
        requantization = self.operation.requantization
        if requantization.result == DType.INT32 and requantization.is_plain:
            return [*loads, Store.of([result], [ready])]
        operands = [self.places.get("sums", self.places.get("source")), *(op.buffers[0] for op in loads), result]
        vector = Vector.of(operands, [ready, *(op.done for op in loads)])
        return [*loads, vector, Store.of([result], [vector.done])]
