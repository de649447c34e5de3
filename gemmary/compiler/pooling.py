"""Pooling: the vector engine reduces a window of activations."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..config import Config
from ..errors import InputError
from ..isa import MAX_COUNT, DType, Opcode, Reduction, Space, walk_fields
from .builder import Builder, Region
from .regions import load_inputs, move_outputs
from .requantization import Requantization
from .runs import Run, make_runs
from .slots import Slots
from .tensor import Tensor
from .tiling import MAX_SLOTS, halvings, stream_cycles
from .window import Block, Split, Window


@dataclass(frozen=True)
class Pooling:
    """``result = requantize(reduction over the window of source)``, channel by channel; int8 to int8.

    ``window`` is folded; outside its images the source reads ``constant``. The requantization is the same for all channels.
    """

    source: Tensor
    result: Tensor
    window: Window
    reduction: Reduction
    constant: int
    requantization: Requantization


@dataclass(frozen=True)
class _Tiling:
    split: Split
    words: int
    source_slot: int
    result_slot: int
    slots: int


def lower_pooling(config: Config, operation: Pooling) -> tuple[Run, ...]:
    """The runs of the layer. InputError if the activation scratchpad is too small."""
    builder = Builder(config)
    lowering = _Lowering(builder, operation, _choose(config, operation))
    return make_runs(builder, lowering.jobs(), lowering.emit)


class _Lowering:
    def __init__(self, builder: Builder, operation: Pooling, tiling: _Tiling):
        self.builder, self.operation, self.tiling, self.config = builder, operation, tiling, builder.config
        self.parts = self.config.rows // self.config.columns
        self.sources = Slots(0, tiling.source_slot, tiling.slots)
        self.results = Slots(tiling.source_slot * tiling.slots, tiling.result_slot, tiling.slots)

    def jobs(self) -> list[tuple[Block, tuple[int, int]]]:
        total, size = self.operation.source.words, self.tiling.words
        words = [(word, min(size, total - word)) for word in range(0, total, size)]
        return [(block, part) for block in self.operation.window.blocks(self.tiling.split) for part in words]

    def emit(self, job: tuple[Block, tuple[int, int]], index: int, last: bool) -> None:
        block, words = job
        operation, config = self.operation, self.config
        source, _ = self.sources.get(index)
        result, _ = self.results.get(index)
        inputs = self._region(source, words[1] * block.in_positions)
        outputs = self._region(result, words[1] * block.positions)
        for fields in load_inputs(config, operation.source, operation.window, block, words, source):
            self.builder.emit(Opcode.LOAD, fields, [], [inputs])
        for part in range(self.parts):
            fields = self._vector(block, words[1], source * self.parts + part, result * self.parts + part)
            self.builder.emit(Opcode.VECTOR, fields, [inputs], [outputs])
        place = operation.result, operation.window, block, words, Space.ACTIVATION, result
        for fields in move_outputs(Opcode.STORE, config, *place):
            self.builder.emit(Opcode.STORE, fields, [outputs], [])

    def _region(self, word: int, words: int) -> Region:
        return Region(Space.ACTIVATION, word * self.parts, (word + words) * self.parts)

    def _vector(self, block: Block, words: int, source: int, result: int) -> dict[str, int]:
        """One of the ``parts`` of every word: all words and images in loop n, as they lie one behind the other."""
        window, line, step = self.operation.window, block.in_columns, self.parts
        (sy, sx), (dy, dx), (kh, kw) = window.stride, window.dilation, window.kernel
        counts = {"n": words * block.images, "y": block.rows, "x": block.columns, "ky": kh, "kx": kw}
        first = source + (block.y_start * line + block.x_start) * step
        outputs = block.rows * block.columns
        return (
            {f"count_{loop}": n for loop, n in counts.items()}
            | {"source_dtype": DType.INT8, "reduction": self.operation.reduction, "constant": self.operation.constant}
            | window.bounds(block)
            | self.operation.requantization.fields()
            | self.operation.requantization.scalar_fields()
            | walk_fields(
                Opcode.VECTOR, "source", first & 0xFFFF, counts,
                n=block.in_image * step, y=sy // window.row_step * line * step, x=sx * step, ky=dy * line * step, kx=dx * step,
            )
            | walk_fields(
                Opcode.VECTOR, "result", result, counts, n=outputs * step, y=block.columns * step, x=step
            )
        )  # fmt: skip


def _choose(config: Config, operation: Pooling) -> _Tiling:
    """The tiling of least estimated cycles."""
    best = min(_tilings(config, operation), key=lambda candidate: candidate[0], default=None)
    if best is None:
        raise InputError(
            f"config {config.name!r} is too small for {operation.result.name!r}: the activation scratchpad does not hold one "
            "output and its inputs"
        )
    return best[1]


def _tilings(config: Config, operation: Pooling) -> Iterator[tuple[float, _Tiling]]:
    window, granules = operation.window, config.rows / config.bus_bytes
    for split in window.splits(config.activation_words):
        blocks = list(window.blocks(split))
        inputs, outputs = max(b.in_positions for b in blocks), max(b.positions for b in blocks)
        for words in halvings(operation.source.words):
            most = min(MAX_SLOTS, config.activation_words // (words * (inputs + outputs)))
            counts = (words * split.images, split.rows, split.columns, *window.kernel)
            if not most or max(counts) > MAX_COUNT:
                continue
            jobs = len(blocks) * -(-operation.source.words // words)
            slots = min(most, jobs)
            vector = words * outputs * window.taps * (config.rows // config.lanes)
            cycles = stream_cycles(jobs, slots, words * inputs * granules, vector, words * outputs * granules)
            yield cycles, _Tiling(split, words, words * inputs, words * outputs, slots)
