"""compile_chain: a whole small network as one program, its activations on the chip."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from ...config import Config
from ...errors import InputError
from ...isa import DType, Opcode, Space
from ...performance.model import Timing, estimate
from ...workloads import INPUT, Conv, Mean, Network, Step, is_depthwise
from ..assemble import assemble
from ..builder import Builder, Region
from ..depthwise import fits_window
from ..layout import Layout
from ..program import Program
from ..regions import load_bytes
from ..requantization import Requantization
from ..tiled import Emitted, TiledLayer
from ..transfer import Loop, transfer_fields
from ..weights import parameter_bytes
from ..window import Window
from .clock import Clock
from .dense import Biases, DenseStep, is_dense
from .depthwise import DepthwiseStep
from .diagonal import DiagonalStep, fits_diagonal
from .fit import fit
from .means import Means
from .memory import Ring, Sums, place_tensors
from .product import ProductStep
from .requantizer import drain_fields, pool_fields
from .values import ChainValues
from .windows import WindowTensor

AHEAD = 32
"""Loads of weights that run ahead, at most: a semaphore counts them, up to 63, and those of the input."""


def compile_chain(
    config: Config, network: Network, *, seed: int = 0, timing: Timing | None = None, keep: bool = False
) -> Program:
    """All steps of ``network`` as one program: ``input`` is its input, the tensor of its last step its result, and with ``keep``
    every tensor a result. Constants are drawn from ``seed``; ``reference_chain`` computes the tensors of the same seed.

    Tensors stay in the activation scratchpad. Weights and parameters are loaded while earlier steps compute, and an instruction
    waits for no more than the words it reads, so that steps overlap. InputError, naming the step, for a network without steps,
    one that does not fit, or what the machine of ``config`` does not do.
    """
    if not network.steps:
        raise InputError(f"network {network.name!r}: steps are missing, which say how its layers follow one another")
    names = [step.name for step in network.steps]
    layout, timing = Layout(config), timing or Timing(config)
    chain = Chain(config, network, ChainValues(network, seed), layout, names if keep else names[-1:])
    outputs = tuple(name for name in layout.tensors if name != INPUT)
    program = assemble(layout, (chain.compile(),), (INPUT,), outputs, timing)
    (layer,) = program.layers
    (run,) = layer.runs
    # A single run: where its instructions lie is known, and counts.
    cycles = estimate(timing, run.code, program.code_address).cycles
    return replace(program, layers=(replace(layer, runs=(replace(run, expected_cycles=cycles),)),))


class Constants(Protocol):
    """What ``Chain`` asks of the constants of a network; ``ChainValues`` draws them."""

    def weights(self, step: Step) -> np.ndarray:
        """``[kh, kw, cin / groups, cout]``."""

    def outside(self, step: Step) -> int:
        """The zero point of the input: what padding reads."""

    def requantization(self, step: Step) -> Requantization:
        """Zero points folded into the bias; the residual operand without its tensor. Of a mean: its one rounding."""


class Chain:
    """What the steps share: the instructions so far, memories, and the vector engine's part of the work. Tensors of ``keep`` are also
    stored. Raises InputError as compile_chain."""

    def __init__(self, config: Config, network: Network, values: Constants, layout: Layout, keep: Sequence[str]):
        if not config.dma:
            raise InputError(f"config {config.name!r}: a network as one program takes dma")
        self.config, self.network, self.keep, self.values = config, network, keep, values
        self.builder, self.layout, self.clock = Builder(config), layout, Clock(config)
        self.weights, self.parameters = Ring(config.weight_words, AHEAD), Ring(config.parameter_rows)
        self.means = Means(self)
        self.biases = Biases(self)
        self.sums = Sums(config, (self.means.rows, self.biases.rows))
        self.input = self._input()
        tensor = self.input
        shape = (tensor.span, tensor.runs) if isinstance(tensor, WindowTensor) else (tensor.words, tensor.positions)
        self.tensors = place_tensors(config, network, shape, keep)
        self.loaded = 0  # positions of the input that are on the chip
        self.filled = {INPUT}  # tensors whose words have no part without a value
        self.last = network.steps[-1].name
        for step in network.steps:
            if step.name in keep:
                layout.tensor(step.name, step.operation.output_shape)

    def compile(self) -> TiledLayer:
        for number, step in enumerate(self.network.steps):
            if not isinstance(step.operation, Mean):  # those are made word by word, with what they read
                self.fill(step.input)
                self._kind(step)(self, step, number).emit()
                self.means.emit()
        emitted = Emitted(self.builder.cut())
        return TiledLayer(self.network.name, self.last, self.network.macs, (emitted,), len(self.network.steps))

    def _kind(self, step: Step):
        operation = step.operation
        if operation.output != "int8" or operation.activation == "gelu":
            raise InputError(
                f"step {step.name!r}: output must be int8, and activation none, relu or relu6, in one program"
            )
        if not isinstance(operation, Conv):
            if not operation.constant or operation.batch > 1:
                raise InputError(f"step {step.name!r}: the right operand must be constant, and batch 1, in one program")
            return DenseStep if operation.m == 1 else ProductStep
        if is_depthwise(operation) and fits_window(self.config, self.window(step)):
            return DepthwiseStep
        if operation.groups == 1:
            return ProductStep
        if not fits_diagonal(self.config, operation):
            raise InputError(
                f"step {step.name!r}: a group must have as many inputs as outputs, and a number of them that divides "
                f"{self.config.rows}, in one program"
            )
        return DiagonalStep

    def window(self, step: Step) -> Window:
        operation = step.operation
        if not isinstance(operation, Conv):
            return Window(1, 1, operation.m)
        top, bottom, left, right = operation.padding
        size = operation.height, operation.width, operation.kernel, operation.stride
        return Window(1, *size, padding=((top, bottom), (left, right)))

    def readers(self, name: str) -> list[Step]:
        return [step for step in self.network.steps if name in step.reads]

    def dense_tiles(self, first: int) -> int:
        """Weight tiles of dense layers from step number ``first`` on."""
        rows, columns = self.config.rows, self.config.columns
        operations = [step.operation for step in self.network.steps[first:]]
        return sum(-(-o.k // rows) * -(-o.n // columns) for o in operations if is_dense(o))

    # The input.

    def _input(self):
        first, users = self.network.steps[0], self.readers(INPUT)
        if isinstance(first.operation, Conv) and first.operation.groups == 1 and users == [first]:
            outside = self.values.outside(first)
            place = INPUT, first.operation.input_shape, self.window(first), outside, self.config.rows
            if tensor := WindowTensor.of(*place):
                return self.layout.place(tensor)
        return self.layout.tensor(INPUT, self.network.input)

    def need_input(self, name: str | None, positions: int) -> None:
        """If ``name`` is the input, and not in windows: so many of its positions are needed next, and loaded if they are not there."""
        if name == INPUT and not isinstance(self.input, WindowTensor) and positions > self.loaded:
            self.load_input((0, self.input.words), (self.loaded, positions - self.loaded))
            self.loaded = positions

    def load_input(self, words: tuple[int, int], positions: tuple[int, int]) -> None:
        """``words`` and ``positions`` (first, count) of the input."""
        (word, count), (first, size), source, tensor = words, positions, self.input, self.tensors[INPUT]
        plane = tensor.positions * self.config.rows
        granules = self.config.rows // self.config.bus_bytes
        external = source.address + word * plane + first * self.config.rows
        loops = [Loop(count, plane, tensor.positions * granules)]
        onchip, length = (tensor.word(word) + first) * granules, size * self.config.rows
        writes = [tensor.region(w, first, size) for w in range(word, word + count)]
        for fields in transfer_fields(Opcode.LOAD, self.config.bus_bytes, external, onchip, loops, length):
            fields |= {"dtype": DType.INT8, "space": Space.ACTIVATION}
            self.builder.emit(Opcode.LOAD, fields, [], writes)

    def fill(self, name: str) -> None:
        """Zeros for the parts of the last channel word of a tensor that nothing makes, before the word is read as a whole."""
        tensor, channels = self.tensors[name], self._shape(name)[-1]
        tile, size = -(-channels // self.config.columns), self.config.columns
        if name in self.filled or tile == tensor.words * tensor.parts:
            return
        self.filled.add(name)
        granules, length = size // self.config.bus_bytes, (tensor.words * tensor.parts - tile) * size
        loops = [Loop(tensor.positions, length, tensor.parts * granules)]
        writes = [tensor.tile(n, 0, tensor.positions) for n in range(tile, tensor.words * tensor.parts)]
        for fields in transfer_fields(
            Opcode.LOAD, self.config.bus_bytes, 0, tensor.row(tile) * granules, loops, length
        ):
            fields |= {"dtype": DType.INT8, "space": Space.ACTIVATION, "fill_only": 1}
            self.builder.emit(Opcode.LOAD, fields, [], writes)

    def _shape(self, name: str) -> tuple[int, ...]:
        return next(
            (step.operation.output_shape for step in self.network.steps if step.name == name), self.network.input
        )

    # Constants.

    def take_weights(self, step: Step, words: int) -> int:
        """A place for ``words`` weight words."""
        size = words * self.config.columns
        fit(step, f"{size} bytes of weights", size, "weight_bytes", self.config.weight_bytes)
        return self.weights.take(words)

    def load_weights(
        self, external: int, address: int, words: int, count: int = 1, strides: tuple[int, int] = (0, 0)
    ) -> None:
        """``words`` weight words to ``address``, and so on ``count`` times: ``strides`` words further in external memory and there."""
        size, bus, (outside, inside) = self.config.columns, self.config.bus_bytes, strides
        loops = [Loop(count, outside * size, inside * size // bus)]
        writes = [Region(Space.WEIGHT, address + i * inside, address + i * inside + words) for i in range(count)]
        for fields in transfer_fields(Opcode.LOAD, bus, external, address * size // bus, loops, words * size):
            self.builder.emit(Opcode.LOAD, fields | {"dtype": DType.INT8, "space": Space.WEIGHT}, [], writes)
        self.clock.load(count * words * size)

    def place_parameters(self, requantization, channels: int) -> int:
        """Their external address."""
        values = requantization.bias, requantization.mantissa, requantization.shift
        each = [np.broadcast_to(np.asarray(value, np.int64), (channels,)) for value in values]
        return self.layout.memory.constant(parameter_bytes(self.config, *each))

    def load_parameters(self, step: Step, external: int, tiles: int) -> int:
        """Of ``tiles`` column tiles; the parameter row of the first."""
        fit(step, f"{tiles} column tiles", tiles, "parameter_rows", self.config.parameter_rows)
        row = self.parameters.take(tiles)
        size = self.config.parameter_row_bytes
        load_bytes(self.builder, Region(Space.PARAMETER, row, row + tiles), external, row * size, tiles * size)
        return row

    # The vector engine.

    def drain(
        self,
        step: Step,
        requantization: Requantization,
        tiles: tuple[int, int],
        positions: tuple[int, int],
        row: int,
        parameter: int,
        pool: Window | None = None,
    ):
        """Sums from accumulator row ``row``: of ``tiles`` and ``positions`` (first, count) of the result of ``step``, or before its
        ``pool``, of which they are whole windows."""
        (tile, count), (first, rows), parts = tiles, positions, self.tensors[step.name].parts
        if step.residual:
            self.need_input(step.residual, first + rows)
        for part in range(min(parts, count)):
            mine = range(tile + part, tile + count, parts)
            place = row + part * rows, parameter + part
            self._drain(step, requantization, mine, positions, *place, pool)
        if pool is not None:
            line = pool.stride[0] * pool.width
            first, rows = (n // line * pool.out_width for n in positions)
        self.made(step, tiles, (first, rows))
        if self.sums.other(row):
            self.means.emit()

    def _drain(
        self,
        step: Step,
        requantization: Requantization,
        tiles: range,
        positions: tuple[int, int],
        row: int,
        parameter: int,
        pool: Window | None,
    ):
        """As drain, of every ``parts``-th column tile: one for each channel word."""
        (first, rows), count, result = positions, len(tiles), self.tensors[step.name]
        reads = [
            Region(Space.ACCUMULATOR, row + n * rows, row + (n + 1) * rows)
            for n in range(0, count * result.parts, result.parts)
        ]
        if not requantization.scalar:
            reads.append(Region(Space.PARAMETER, parameter, parameter + (count - 1) * result.parts + 1, result.parts))
        residual = 0
        if step.residual:
            tensor = self.tensors[step.residual]
            residual = tensor.row(tiles[0], first)
            reads += [tensor.tile(tile, first, rows) for tile in tiles]
        taken = rows
        if pool is not None:
            line = pool.stride[0] * pool.width
            lines, first, rows = rows // line, first // line * pool.out_width, rows // line * pool.out_width
            taken = rows * pool.taps
        writes = [result.tile(tile, first, rows) for tile in tiles]
        place = row, result.row(tiles[0], first), result.plane, parameter
        if pool is None:
            emitted = [drain_fields(requantization, count, result.parts, rows, *place, residual)]
        else:
            emitted = pool_fields(requantization, pool, count, result.parts, lines, *place)
        for fields in emitted:
            self.builder.emit(Opcode.VECTOR, fields, reads, writes)
        self.clock.drain(count * taken, writes)

    def made(self, step: Step, tiles: tuple[int, int], positions: tuple[int, int]) -> None:
        """A part of the result of ``step`` is there: it is stored if that is wanted, and becomes part of a mean."""
        if step.name in self.keep:
            self._store(step.name, tiles, positions)
        for reader in self.readers(step.name):
            if isinstance(reader.operation, Mean):
                for tile in range(tiles[0], sum(tiles)):
                    self.means.add(reader, tile, positions)

    def _store(self, name: str, tiles: tuple[int, int], positions: tuple[int, int]) -> None:
        """The channel words that ``tiles`` complete."""
        (first, rows), tensor, target = positions, self.tensors[name], self.layout.tensors[name]
        last = -(-target.channels // self.config.columns) == sum(tiles)
        word, end = tiles[0] // tensor.parts, tensor.words if last else sum(tiles) // tensor.parts
        if word == end:
            return
        if last:
            self.fill(name)
        granules = self.config.rows // self.config.bus_bytes
        loops = [Loop(end - word, target.plane_bytes, tensor.positions * granules)]
        external = target.address + word * target.plane_bytes + first * target.word_bytes
        onchip = (tensor.word(word) + first) * granules
        reads = [tensor.region(w, first, rows) for w in range(word, end)]
        for fields in transfer_fields(
            Opcode.STORE, self.config.bus_bytes, external, onchip, loops, rows * target.word_bytes
        ):
            self.builder.emit(Opcode.STORE, fields | {"dtype": DType.INT8, "space": Space.ACTIVATION}, reads, [])
