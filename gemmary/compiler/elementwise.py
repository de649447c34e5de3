"""Element by element: a residual add, a change of scale, or a table, over whole tensors."""

from dataclasses import dataclass

from ..config import TABLE_ENTRIES, Config
from ..isa import MAX_COUNT, DType, Opcode, Space, walk_fields
from .builder import Builder, Region
from .loops import nest, steps, walk
from .regions import load_bytes
from .requantization import Requantization
from .slots import Slots
from .tensor import Tensor
from .tiled import Tiled, buffers_in
from .tiling import MAX_SLOTS, halvings, stream_cycles
from .transfer import transfer_fields
from .window import INSIDE


@dataclass(frozen=True)
class Elementwise:
    """``result = requantize(source)``, with the residual and the table of the requantization; int8 to int8.

    All tensors have one shape, so that element i of one lies where element i of the other does. The requantization is the
    same for all channels; ``table`` is the external address of its table, if there is one.
    """

    source: Tensor
    result: Tensor
    requantization: Requantization
    table: int | None = None


def lower_elementwise(config: Config, operation: Elementwise) -> tuple[Tiled, ...]:
    """The layer, tiled: words a job and slots an operand of least estimated cycles."""
    source, operands = operation.source, 3 if operation.requantization.residual else 2
    total, parts = source.words * source.positions, config.rows // config.columns
    granules, lanes, room = (
        config.rows / config.bus_bytes,
        config.rows // config.lanes,
        config.activation_words // operands,
    )

    def slots(size):
        return min(MAX_SLOTS, room // size, -(-total // size))

    def cycles(size):
        load = (operands - 1) * size * granules
        return stream_cycles(-(-total // size), slots(size), load, size * lanes, size * granules)

    size = min((n for n in halvings(total) if n <= min(room, MAX_COUNT // parts)), key=cycles)
    names = ("source", "result", "residual")[:operands]
    buffers = buffers_in(Space.ACTIVATION, **dict.fromkeys(names, (size, slots(size))))
    return (Tiled(ElementwiseLowering.kind, (operation,), nest(("word", steps(total, size))), buffers),)


class ElementwiseLowering:
    """Emits parts of the words of a tensor, one after the other."""

    kind = "elementwise"

    def __init__(self, builder: Builder, tiled: Tiled):
        (self.operation,) = tiled.operations
        self.builder, self.loops, self.config = builder, tiled.loops, builder.config
        self.parts = self.config.rows // self.config.columns
        self.residual = self.operation.requantization.residual
        self.sources, self.results, *self.residuals = (buffer.slots() for buffer in tiled.buffers.values())

    def jobs(self) -> list[tuple[int, int]]:
        """(first word, words) of each job."""
        return [parts["word"] for parts in walk(self.loops)]

    def emit(self, job: tuple[int, int], index: int, last: bool) -> None:
        start, words = job
        operation = self.operation
        if operation.table is not None and index == 0:
            load_bytes(self.builder, Region(Space.TABLE, 0, 1), operation.table, 0, TABLE_ENTRIES)
        source = self._load(operation.source, self.sources, start, words, index)
        residual = self._load(self.residual.tensor, self.residuals[0], start, words, index) if self.residual else None
        slot, _ = self.results.get(index)
        result = self._region(slot, words)
        reads = [source] + [residual] * bool(residual) + [Region(Space.TABLE, 0, 1)] * (operation.table is not None)
        fields = self._vector(words, source.start, result.start, residual.start if residual else 0)
        self.builder.emit(Opcode.VECTOR, fields, reads, [result])
        row, bus = self.config.rows, self.config.bus_bytes
        external = operation.result.address + start * row
        for fields in transfer_fields(Opcode.STORE, bus, external, slot * row // bus, [], words * row):
            self.builder.emit(Opcode.STORE, fields | {"dtype": DType.INT8, "space": Space.ACTIVATION}, [result], [])

    def _region(self, word: int, words: int) -> Region:
        return Region(Space.ACTIVATION, word * self.parts, (word + words) * self.parts)

    def _load(self, tensor: Tensor, slots: Slots, start: int, words: int, index: int) -> Region:
        slot, _ = slots.get(index)
        row, region = self.config.rows, self._region(slot, words)
        load_bytes(self.builder, region, tensor.address + start * row, slot * row, words * row)
        return region

    def _vector(self, words: int, source: int, result: int, residual: int) -> dict[str, int]:
        counts = {"n": 1, "y": 1, "x": words * self.parts, "ky": 1, "kx": 1}
        requantization = self.operation.requantization
        fields = (
            {f"count_{loop}": n for loop, n in counts.items()}
            | {"source_dtype": DType.INT8}
            | INSIDE
            | requantization.fields()
            | requantization.scalar_fields()
            | walk_fields(Opcode.VECTOR, "source", source, counts, x=1)
            | walk_fields(Opcode.VECTOR, "result", result, counts, x=1)
        )
        if self.residual:
            fields |= walk_fields(Opcode.VECTOR, "residual", residual, counts, x=1)
        return fields
