"""Pooling: the vector engine reduces a window of activations."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..config import Config
from ..errors import InputError
from ..isa import MAX_COUNT, DType, Opcode, Reduction, Space, walk_fields
from .builder import Builder, Region
from .loops import steps, walk
from .regions import load_inputs, move_outputs
from .requantization import Requantization
from .tensor import Tensor
from .tiled import Tiled, buffers_in
from .tiling import MAX_SLOTS, halvings, stream_cycles
from .window import Block, Window


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


def lower_pooling(config: Config, operation: Pooling) -> tuple[Tiled, ...]:
    """The layer, with the tiling of least estimated cycles. InputError if the activation scratchpad is too small."""
    best = min(_tilings(config, operation), key=lambda candidate: candidate[0], default=None)
    if best is None:
        raise InputError(
            f"config {config.name!r} is too small for {operation.result.name!r}: the activation scratchpad does not hold one "
            "output and its inputs"
        )
    return (best[1],)


class PoolingLowering:
    """Emits blocks of outputs, some channel words at a time."""

    kind = "pooling"

    def __init__(self, builder: Builder, tiled: Tiled):
        (self.operation,) = tiled.operations
        self.builder, self.loops, self.config = builder, tiled.loops, builder.config
        self.parts = self.config.rows // self.config.columns
        self.sources, self.results = (tiled.buffers[name].slots() for name in ("source", "result"))

    def jobs(self) -> list[tuple[Block, tuple[int, int]]]:
        every = (dict(parts) for parts in walk(self.loops))
        return [(self.operation.window.block(**parts), words) for parts in every for words in [parts.pop("word")]]

    def emit(self, job: tuple[Block, tuple[int, int]], index: int, last: bool) -> None:
        block, words = job
        operation, config = self.operation, self.config
        source, _ = self.sources.get(index)
        result, _ = self.results.get(index)
        inputs = self._region(source, words[1] * block.in_positions)
        outputs = self._region(result, words[1] * block.positions)
        loads = load_inputs(config, operation.source, operation.window, block, words, source)
        for fields in loads if operation.window.reads(block) else ():
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


def _tilings(config: Config, operation: Pooling) -> Iterator[tuple[float, Tiled]]:
    """(estimated cycles, tiled) of all that fit."""
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
            sizes = {"source": (words * inputs, slots), "result": (words * outputs, slots)}
            loops = window.loops(split, ("word", steps(operation.source.words, words)))
            yield cycles, Tiled(PoolingLowering.kind, (operation,), loops, buffers_in(Space.ACTIVATION, **sizes))
