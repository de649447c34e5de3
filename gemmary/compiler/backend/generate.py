"""Operators of the graph level as the code generator's layers: one program of a segment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf, prod

import numpy as np
from xdsl.ir import Operation, SSAValue

from ...config import Config
from ...errors import InputError
from ...isa import DType, Reduction
from ...performance.model import Timing
from ..contraction import Contraction
from ..elementwise import Elementwise, lower_elementwise
from ..emitters import EMITTERS
from ..first import compile_first
from ..ir.contractions import Conv2D, MatMul
from ..ir.dialect import GraphContext
from ..ir.programs import program_of
from ..ir.shapes import Concat, Reshape
from ..ir.tile import Program
from ..ir.types import quantization, shape_of
from ..ir.vector import Add, AveragePool, MaxPool, Table
from ..layout import Layout
from ..lowering import Known, lower_contraction, total_cycles
from ..operands import KeyOperand, RowOperand
from ..planning import aligned, plan
from ..pooled import Pool
from ..pooling import Pooling, lower_pooling
from ..requantization import Requantization, ResidualOperand
from ..runs import make_runs
from ..scales import mantissa_and_shift
from ..tensor import Stack, Tensor
from ..tiled import Tiled, TiledLayer
from ..window import Window
from .drains import average_of, bias_of, drain_of, pool_of
from .groups import lower_groups
from .lives import lives_of, root_of
from .work import macs_of


class Unsupported(InputError):
    """The operator ``op`` cannot run on the machine; the message says why."""

    def __init__(self, op: Operation, reason: str):
        self.op = op
        super().__init__(reason)


class Apart(Exception):
    """The pools of these convolutions are better layers of their own."""

    def __init__(self, ops: list[Conv2D]):
        self.ops = ops
        super().__init__()


class Generator:
    """A program of ``ops``. ``names`` has every tensor that they read or write; ``inputs`` come from outside, ``outputs`` go
    there. ``known`` remembers choices between programs. Apart for pools that should not be in drains; Unsupported for an operator that
    the code generator does not know or whose memories are too small."""

    def __init__(
        self,
        config: Config,
        context: GraphContext,
        ops: Sequence[Operation],
        names: Mapping[SSAValue, str],
        inputs: Sequence[SSAValue],
        outputs: Sequence[SSAValue],
        known: Known,
    ):
        self.config, self.context, self.ops, self.names = config, context, ops, names
        self.inputs, self.outputs = inputs, outputs
        self.layout, self.timing, self.known = Layout(config), Timing(config), known
        self.tensors: dict[SSAValue, Tensor] = {}
        self.stacks: dict[SSAValue, Stack] = {}
        self.lives = lives_of(self.ops, self.inputs, self.outputs, self._size)
        self.addresses = plan(self.lives)
        self.layout.memory.size = max((self.addresses[v] + aligned(self.lives[v].size) for v in self.lives), default=0)

    def program(self, label: str) -> Program:
        """At the tile level."""
        apart = [op for op in self.ops if isinstance(op, Conv2D) and op.pool is not None and not self._gains(op)]
        if apart:
            raise Apart(apart)
        layers = []
        for op in self.ops:
            try:
                parts = self._lower(op)
            except InputError as error:
                raise Unsupported(op, str(error)) from None
            if parts is not None:
                layers.append(TiledLayer(self.names[op.result], self.names[op.result], macs_of(op), parts))
        for value, life in self.lives.items():
            if self.names[value] in self.layout.tensors:
                self.layout.lives[self.names[value]] = max(life.first, 0), life.last
        inputs, outputs = ([self.names[value] for value in values] for values in (self.inputs, self.outputs))
        for op in self.ops:  # a view is read through a name of its own; it lives as long as what it is a view of
            if isinstance(op, Reshape) and self.names[op.result] not in self.layout.tensors:
                life = self.lives[root_of(op.result, self.ops)]
                self.layout.tensors[self.names[op.result]] = self.tensors[op.result]
                self.layout.lives[self.names[op.result]] = max(life.first, 0), life.last
        return program_of(self.context, label, self.layout, layers, inputs, outputs)

    def _lower(self, op: Operation) -> tuple[Tiled, ...] | None:
        match op:
            case Reshape():
                self.tensors[op.result] = replace(
                    self.read(op.input), name=self.names[op.result], shape=shape_of(op.result)
                )
                return None
            case Conv2D():
                return self._convolution(op, self.write(op.result), pool_of(op))
            case MatMul():
                return self._product(op)
            case MaxPool():
                return self._pool(op, Reduction.MAX, -128, Requantization())
            case AveragePool():
                return self._average(op)
            case Add():
                return self._add(op)
            case Concat():
                return self._concat(op)
            case Table():
                table = Requantization(table=self.context.array(op.table))
                return self._elementwise(op, op.input, table)
        raise InputError(f"no code is known for {op.name}")

    # Tensors.

    def read(self, value: SSAValue) -> Tensor:
        """The tensor of a value; an input of the program gets its place when it is first asked for."""
        if value not in self.tensors:
            self.tensors[value] = self.layout.place(self._tensor(value), self.addresses[value])
        return self.tensors[value]

    def write(self, value: SSAValue) -> Tensor:
        self.tensors[value] = self.layout.place(self._tensor(value), self.addresses[value])
        self.layout.fill(self.tensors[value])
        return self.tensors[value]

    def _size(self, value: SSAValue) -> tuple[int, bool]:
        """Bytes that the tensor of a value takes, and whether some of them must be zeros from the start."""
        tensor, shape = self._tensor(value), shape_of(value)
        stack = Stack(replace(tensor, shape=shape[-2:]), prod(shape[:-2])) if len(shape) > 2 else tensor
        return max(tensor.size, stack.size), tensor.multiple > 1

    def _tensor(self, value: SSAValue, shape: tuple[int, ...] | None = None) -> Tensor:
        """Of a value, or of another shape."""
        wide = quantization(value) is None
        word = self.config.columns if wide else self.config.rows
        # Right operands that are computed have whole tiles of rows, the last filled up with zeros: those of this program.
        users = [use.operation for use in value.uses if _is_row_operand(use.operation, value)]
        multiple = self.config.rows if any(op in self.ops for op in users) else 1
        dtype = DType.INT32 if wide else DType.INT8
        return Tensor(self.names[value], shape or shape_of(value), dtype, 0, word, multiple)

    # Contractions.

    def requantization(self, op: Conv2D | MatMul, bias, channels: slice = slice(None)) -> Requantization:
        """Behind the sums; ``bias`` is an int, or the array of all channels, of which ``channels`` are taken."""
        residual = None if op.residual is None else self.read(op.residual)
        if residual is not None and channels.stop is not None:
            residual = residual.part(channels)
        return drain_of(self.context, op, bias, residual, channels)

    def _bias(self, op: Conv2D | MatMul, weight: np.ndarray) -> np.ndarray:
        return bias_of(self.context, op, weight)

    def contraction(
        self, source, weight, target, window, requantization, outside: int, rows=None, pool: Window | None = None
    ) -> Contraction:
        """With constant weights in tiles of ``rows``."""
        tiles = self.layout.weights("weights", weight.shape, weight, rows)
        addresses = self.layout.requantization(requantization, weight.shape[-1])
        operands = tiles, target, window.folded() if pool is None else window, requantization
        drained = pool and Pool.of(pool)
        if pool and not drained:
            raise InputError("windows of the pool leave out sums")
        return Contraction(source, *operands, *addresses, outside, pool=drained)

    def _gains(self, op: Conv2D) -> bool:
        """Whether its pool takes fewer cycles in the drain than behind it."""
        key = "pool", op
        if key not in self.known:
            sums = self._tensor(op.result, op.unpooled_shape)
            together = self._trial(op, lambda: self._convolution(op, self.write(op.result), pool_of(op)))
            convolution = self._trial(op, lambda: self._convolution(op, sums, None))
            pooling = Pooling(
                sums, self._tensor(op.result), pool_of(op).folded(), Reduction.MAX, -128, Requantization()
            )
            behind = self._trial(op, lambda: lower_pooling(self.config, pooling))
            self.known[key] = together < inf and together <= convolution + behind
        return self.known[key]

    def _trial(self, op: Conv2D, lower: Callable[[], tuple[Tiled, ...]]) -> float:
        """Cycles of what ``lower`` makes, infinitely many if nothing; it finds its place in memory, and leaves it."""
        layout, tensors = self.layout, dict(self.tensors)
        self.layout = Layout(self.config)
        try:
            return sum(total_cycles(make_runs(EMITTERS[part.kind], part, self.timing)) for part in lower())
        except InputError:
            return inf
        finally:
            self.layout, self.tensors = layout, tensors

    def _convolution(self, op: Conv2D, target: Tensor, pool: Window | None) -> tuple[Tiled, ...]:
        weight, outside = self._weight(op), quantization(op.input).zero_point.data
        n, h, w, _ = shape_of(op.input)
        top, bottom, left, right = op.padding.get_values()
        strides, dilations = op.strides.get_values(), op.dilations.get_values()
        window = Window(n, h, w, weight.shape[:2], strides, dilations, ((top, bottom), (left, right)))
        bias = self._bias(op, weight)
        if op.groups.value.data > 1:
            if pool is not None:
                raise InputError("the drains of groups have no pool")
            return lower_groups(self, op, weight, bias, target, window)
        users = [use.operation for use in op.input.uses]
        if op.input in self.inputs and len(users) == 1 and op.residual is None and window.taps > 1:
            operands = window, weight, self.requantization(op, bias), target, outside
            place = self.config, self.layout, self.names[op.input]
            if parts := compile_first(*place, *operands, known=self.known, pool=pool):
                return parts
        contraction = self.contraction(
            self.read(op.input), weight, target, window, self.requantization(op, bias), outside, pool=pool
        )
        return lower_contraction(self.config, contraction, known=self.known)

    def _weight(self, op: Conv2D | MatMul) -> np.ndarray:
        weight = self.context.array(op.weight)
        if weight is None:
            raise InputError("the weights must be constant")
        return weight

    def _product(self, op: MatMul) -> tuple[Tiled, ...]:
        if not op.constant:
            return self._product_of_run_time(op)
        weight, target = self._weight(op), self.write(op.result)
        source = self.read(op.input)
        requantization = self.requantization(op, self._bias(op, weight))
        outside = quantization(op.input).zero_point.data
        window = Window(1, 1, source.positions)
        contraction = self.contraction(source, weight, target, window, requantization, outside)
        return lower_contraction(self.config, contraction, known=self.known)

    def _product_of_run_time(self, op: MatMul) -> tuple[Tiled, ...]:
        """A contraction for each of the heads, if there are several."""
        zeros = {quantization(value).zero_point.data for value in (op.input, op.weight)}
        if zeros != {0}:
            raise InputError("the operands of a product of computed tensors need the zero point 0")
        filled = op.transposed is not None and op.split_shape(0)[-1] % self.config.rows
        if filled and not any(map(self._ends_with_zeros, (op.input, op.weight))):
            raise InputError("neither operand of a product of computed tensors has zeros behind its last channel")
        heads = prod(op.split_shape(2)[:-2])
        left, right, target = (self._matrices(op, place) for place in range(3))
        if heads > 1 and op.residual is not None:
            raise InputError("a residual of several products at once")
        alike = op.bias is None and (op.scale is None or self.context.array(op.scale).size == 1)
        channels = op.split_shape(2)[-1]
        bias = 0 if alike else np.zeros(channels, np.int32) if op.bias is None else self.context.array(op.bias)
        requantization = self.requantization(op, bias)
        places = (
            (0, self.layout.table(requantization)) if alike else self.layout.requantization(requantization, channels)
        )
        kind = RowOperand if op.transposed is None else KeyOperand
        operations = [
            Contraction(
                left[i],
                kind(right[i], self.config.rows, self.config.columns),
                target[i],
                Window(1, 1, left[i].positions),
                requantization,
                *places,
            )
            for i in range(heads)
        ]
        return lower_contraction(self.config, *operations, known=self.known)

    def _ends_with_zeros(self, value: SSAValue) -> bool:
        """Whether the channels that fill up the last word are surely 0: sums there are, and what the drain makes of them may be."""
        op = value.owner
        if value in self.inputs:
            return True
        if isinstance(op, Reshape):
            return self._ends_with_zeros(op.input)
        if not isinstance(op, Conv2D | MatMul) or op.residual is not None or self.context.array(op.weight) is None:
            return False
        if isinstance(op, Conv2D) and op.groups.value.data > 1:
            return False
        number = min(max(op.drain_zero_point, op.low.value.data), op.high.value.data)
        return (number if op.table is None else self.context.array(op.table)[number + 128]) == 0

    def _matrices(self, op: MatMul, place: int) -> Sequence[Tensor]:
        """Input (0), weight (1) or result (2) of each of the products."""
        value, shape = (op.input, op.weight, op.result)[place], op.split_shape(place)
        if place in op.joined.get_values():
            return self._heads(op, value, shape)
        if prod(shape[:-2]) > 1:
            return self._stack(value)
        tensor = self.write(value) if place == 2 else self.read(value)
        return [replace(tensor, shape=tensor.shape[-2:])]

    def _heads(self, op: MatMul, value: SSAValue, shape: tuple[int, ...]) -> Sequence[Tensor]:
        """Heads side by side in the channels of one tensor."""
        *outer, heads, rows, channels = shape
        tensor = self.write(value) if value is op.result else self.read(value)
        if channels % tensor.word:
            raise InputError(f"a head of {channels} channels does not end with a word of {tensor.word}")
        if _is_row_operand(op, value) and rows % self.config.rows:
            # Beyond its rows others are read: they count only if those columns of the left operand are not 0.
            if prod(outer) > 1:
                raise InputError(f"a head of {rows} rows does not end with a tile of {self.config.rows}")
            if op.input not in self.inputs:
                raise InputError("the left operand of a product of several heads is computed just before")
        return [
            tensor.slice(slice(n * rows, (n + 1) * rows), slice(head * channels, (head + 1) * channels))
            for n in range(prod(outer))
            for head in range(heads)
        ]

    def _stack(self, value: SSAValue) -> Stack:
        """Matrices one behind the other, as only products of computed tensors read them: so they come from outside, or go there."""
        inside = [use.operation for use in value.uses if use.operation in self.ops]
        products = all(isinstance(each, MatMul) and not each.constant and each.residual is not value for each in inside)
        if value.owner in self.ops and inside or not products:
            raise InputError(
                "an operand or the result of several products at once has other readers or comes from another operator"
            )
        if value not in self.stacks:
            single = replace(self._tensor(value), shape=shape_of(value)[-2:])
            self.stacks[value] = self.layout.place(Stack(single, prod(shape_of(value)[:-2])), self.addresses[value])
        return self.stacks[value]

    # The vector engine alone.

    def _pool(self, op, reduction: Reduction, outside: int, requantization: Requantization) -> tuple[Tiled, ...]:
        n, h, w, _ = shape_of(op.input)
        top, bottom, left, right = op.padding.get_values()
        size = op.window.get_values(), op.strides.get_values()
        window = Window(n, h, w, *size, padding=((top, bottom), (left, right))).folded()
        source, target = self.read(op.input), self.write(op.result)
        return lower_pooling(self.config, Pooling(source, target, window, reduction, outside, requantization))

    def _average(self, op: AveragePool) -> tuple[Tiled, ...]:
        zero = quantization(op.input).zero_point.data
        return self._pool(op, Reduction.SUM, zero, average_of(op))

    def _add(self, op: Add) -> tuple[Tiled, ...]:
        sides = sorted(
            ((op.left_scale.value.data, op.left), (op.right_scale.value.data, op.right)), key=lambda side: side[0]
        )
        (scale, source), (other_scale, other) = sides  # the residual's shift may not be the larger one
        (m, s), (rm, rs) = mantissa_and_shift(scale), mantissa_and_shift(other_scale)
        residual = ResidualOperand(self.read(other), quantization(other).zero_point.data, int(rm), int(rs))
        q, bias = quantization(op.result), -quantization(source).zero_point.data
        clip = q.zero_point.data, op.low.value.data, op.high.value.data
        return self._elementwise(op, source, Requantization(DType.INT8, bias, int(m), int(s), *clip, residual))

    def _concat(self, op: Concat) -> tuple[Tiled, ...]:
        """Each part is copied to its words of the result."""
        target, first, parts = self.write(op.result), 0, ()
        if op.axis.value.data != len(target.shape) - 1 or quantization(op.result) is None:
            raise InputError("only int8 tensors are joined, and along their channels")
        for value in op.inputs:
            source = self.read(value)
            channels = slice(first, first + source.channels)
            if first % self.config.rows:
                raise InputError(f"channel {first} of the result does not begin a word of {self.config.rows}")
            if source.multiple != target.multiple:
                raise InputError("a part or the result is the right operand of a product")
            parts += lower_elementwise(self.config, Elementwise(source, target.part(channels), Requantization()))
            first = channels.stop
        return parts

    def _elementwise(self, op, source: SSAValue, requantization: Requantization) -> tuple[Tiled, ...]:
        operands = self.read(source), self.write(op.result)
        tensors = [*operands, *([requantization.residual.tensor] if requantization.residual else [])]
        if len({tensor.multiple for tensor in tensors}) > 1:
            raise InputError("the right operand of a later product lies in whole tiles, the other tensors do not")
        table = self.layout.table(requantization)
        return lower_elementwise(self.config, Elementwise(*operands, requantization, table))


def _is_row_operand(op: Operation, value: SSAValue) -> bool:
    return isinstance(op, MatMul) and op.weight is value and op.transposed is None
