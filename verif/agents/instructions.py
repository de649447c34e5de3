"""Random instructions inside a window of each memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gemmary.config import Config
from gemmary.isa import (
    FORMATS,
    MAX_LENGTH,
    DType,
    Instruction,
    Opcode,
    Reduction,
    Space,
    steps,
    walk_fields,
)
from verif.golden import address, tensor

from .accesses import accesses, vector_rows

Fields = dict[str, int]

TENSOR_ITERATIONS = 200
WINDOW_ITERATIONS = 300
VECTOR_ROWS = 200
DMA_BYTES = 700

STORED = (Space.ACTIVATION, Space.WEIGHT, Space.ACCUMULATOR)


@dataclass(frozen=True)
class Arena:
    """The bytes [first, end) of each space that instructions may use."""

    windows: Mapping[Space, tuple[int, int]]

    def size(self, space: Space) -> int:
        first, end = self.windows[space]
        return end - first

    def words(self, space: Space, word_bytes: int) -> tuple[int, int]:
        """(first, number) in words."""
        first, end = self.windows[space]
        return first // word_bytes, (end - first) // word_bytes


class Sampler:
    """``sample(opcode)`` draws the fields of a legal instruction that reads only what ``define`` has defined."""

    def __init__(self, config: Config, arena: Arena, memory_bytes: int, rng: np.random.Generator):
        self.config, self.arena, self.memory_bytes, self.rng = config, arena, memory_bytes, rng
        self.lines = [0] * config.window_line
        """How many words of the line memories are defined at each position: 0, 1 or 2."""

    def sample(self, opcode: Opcode) -> Fields:
        return {
            Opcode.LOAD: self._load,
            Opcode.MATMUL: self._matmul,
            Opcode.VECTOR: self._vector,
            Opcode.STORE: self._store,
        }[opcode]()

    def with_accesses(self, opcode: Opcode, fields: Fields):
        return fields, *accesses(Instruction(opcode, **fields), self.config)

    def define(self, space: Space) -> Iterator[Fields]:
        """Loads that write the whole window of ``space``: parameters from address 0, others from anywhere."""
        for granule, size, done in self._pieces(space):
            source = done if space == Space.PARAMETER else self._below(self.memory_bytes - size + 1)
            yield self._one_run(Opcode.LOAD, space, source, granule, size) | {"fill": self._int8()}

    def show(self, space: Space, address: int) -> Iterator[Fields]:
        """Stores that write the whole window of ``space`` to ``address``."""
        for granule, size, done in self._pieces(space):
            yield self._one_run(Opcode.STORE, space, address + done, granule, size)

    # Draws.

    def _below(self, end: int) -> int:
        return int(self.rng.integers(end))

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _choice(self, *values):
        return values[self._below(len(values))]

    def _int8(self) -> int:
        return self._choice(-128, 127, 0, -1, self._below(256) - 128, self._below(256) - 128)

    def _counts(self, most: Mapping[str, int], total: int) -> dict[str, int]:
        """A count for each loop, at most ``most``, with a product of at most ``total``."""
        counts = dict.fromkeys(most, 1)
        for i in self.rng.permutation(len(most)):
            loop = tuple(most)[i]
            counts[loop] = 1 + self._below(min(most[loop], total))
            total //= counts[loop]
        return counts

    def _walk(self, counts: Mapping[str, int], first: int, room: int, span: int = 1) -> tuple[int, dict[str, int]]:
        """(address, strides): ``span`` words from each address lie in the ``room`` words from ``first``."""
        slack, strides, below = room - span, dict.fromkeys(counts, 0), 0
        assert slack >= 0, (room, span)
        loops = tuple(counts)
        for i in self.rng.permutation(len(loops)):
            count = counts[loops[i]]
            most = slack // max(1, count - 1)
            if count == 1 or most == 0:
                continue
            inner = int(np.prod([counts[loop] for loop in loops[i + 1 :]])) * span
            stride = min(self._choice(0, 1, 1, span, inner, inner, self._below(most + 1)), most)
            slack -= stride * (count - 1)
            if self._chance(0.2):
                below += stride * (count - 1)
                stride = -stride
            strides[loops[i]] = stride
        return first + below + self._below(slack + 1), strides

    def _distinct(self, counts: Mapping[str, int], loops: tuple[str, ...], first: int, room: int):
        """(address, strides) that give each iteration of ``loops`` a word of its own, or None for lack of room."""
        total = int(np.prod([counts[loop] for loop in loops]))
        if total > room:
            return None
        strides, inner = {}, 1
        for loop in reversed(loops):
            strides[loop] = inner
            inner *= counts[loop]
        return first + self._below(room - total + 1), strides

    # DMA.

    def _pieces(self, space: Space) -> Iterator[tuple[int, int, int]]:
        """(granule, bytes, bytes before) of some runs that make up the window."""
        bus = self.config.bus_bytes
        first, end = self.arena.windows[space]
        at = first
        while at < end:
            most = min(end - at, MAX_LENGTH, self.memory_bytes // 2) // bus
            size = min(most, max(1, most // 3) + self._below(most)) * bus
            yield at // bus, size, at - first
            at += size

    def _one_run(self, opcode: Opcode, space: Space, external: int, granule: int, size: int) -> Fields:
        counts = {"count_z": 1, "count_y": 1, "count_x": 1}
        return counts | {
            "dtype": DType.INT8,
            "space": space,
            "length": size,
            "external_address": external,
            "onchip_address": granule,
        }

    def _transfer(self, opcode: Opcode, space: Space) -> Fields:
        bus = self.config.bus_bytes
        first, room = self.arena.words(space, bus)
        length = 1 + self._below(
            self._choice(2 * bus, 2 * bus, 8 * bus, min(room * bus, self.memory_bytes // 4, MAX_LENGTH))
        )
        counts = self._counts({"z": 3, "y": 4, "x": 8}, max(1, DMA_BYTES // length))
        external, external_strides = self._walk(counts, 0, self.memory_bytes, length)
        onchip, onchip_strides = self._walk(counts, first, room, -(-length // bus))
        return (
            {"dtype": DType.INT8, "space": space, "length": length}
            | {f"count_{loop}": count for loop, count in counts.items()}
            | walk_fields(opcode, "external", external, counts, **external_strides)
            | walk_fields(opcode, "onchip", onchip, counts, **onchip_strides)
        )

    def _store(self) -> Fields:
        return self._transfer(Opcode.STORE, self._choice(*STORED))

    def _load(self) -> Fields:
        space = Space(self._choice(*Space, Space.ACTIVATION, Space.WEIGHT))
        if self._chance(0.2):
            return self._transposed(space)
        fields = self._transfer(Opcode.LOAD, space) | {"fill": self._int8()}
        if self._chance(0.15):
            # Nothing is read, so any address is legal; and it wins over transpose.
            fields |= {"fill_only": 1, "external_address": self._below(1 << 62), "transpose": self._below(2)}
        return fields

    def _transposed(self, space: Space) -> Fields:
        bus = self.config.bus_bytes
        first, room = self.arena.words(space, bus)
        length = 1 + self._below(bus)
        counts = self._counts({"z": 2, "y": 3}, 6) | {"x": 1 + self._below(bus)}
        external, external_strides = self._walk(counts, 0, self.memory_bytes, length)
        onchip, strides = self._walk(counts | {"x": length}, first, room)
        onchip_steps = steps(("z", "y"), counts, strides)
        return (
            {"dtype": DType.INT8, "space": space, "length": length, "transpose": 1, "fill": self._int8()}
            | {f"count_{loop}": count for loop, count in counts.items()}
            | walk_fields(Opcode.LOAD, "external", external, counts, **external_strides)
            | {"onchip_address": onchip, "onchip_step_x": strides["x"]}
            | {f"onchip_step_{loop}": step for loop, step in onchip_steps.items()}
        )

    # Operands with bounds.

    def _bounded(self, opcode: Opcode, walk: str, counts: Mapping[str, int], first: int, room: int) -> Fields:
        """The fields of a walk with bounds: an image with padding, or any walk of which any part is out of bounds."""
        if self._chance(0.5):
            return self._image(opcode, walk, counts, first, room)
        address, strides = self._walk(counts, first, room)
        fields = walk_fields(opcode, walk, address, counts, **strides)
        if self._chance(0.5):
            return fields | {"y_limit": 1, "x_limit": 1}
        far = self._chance(0.2)
        for axis in "yx":
            fields |= {
                f"{axis}_start": self._choice(-32768, 32767, 32000, 0) if far else self._below(5) - 2,
                f"{axis}_stride": 255 if far else self._below(3),
                f"{axis}_dilation": self._choice(0, 255) if far else self._below(3),
                f"{axis}_limit": self._choice(0, 1, 4, 65535, self._below(8)),
            }
        return fields | {"constant": self._int8()}

    def _image(self, opcode: Opcode, walk: str, counts: Mapping[str, int], first: int, room: int) -> Fields:
        """An image of height · width words, read outside it too: addresses there are legal nowhere."""
        width = 1 + self._below(min(8, room))
        height = 1 + self._below(min(8, room // width))
        fields, strides, offset = {"constant": self._int8()}, {}, 0
        for axis, limit, pitch in (("y", height, width), ("x", width, 1)):
            start, stride, dilation = self._below(4) - 2, self._below(3), 1 + self._below(2)
            if self._chance(0.1):
                start, stride, dilation = self._choice(-32768, 32767, -300), 255, 255
            fields |= {f"{axis}_start": start, f"{axis}_limit": limit}
            fields |= {f"{axis}_stride": stride, f"{axis}_dilation": dilation}
            strides |= {axis: stride * pitch, f"k{axis}": dilation * pitch}
            offset += start * pitch
        others = {loop: count for loop, count in counts.items() if loop not in strides}
        address, outer = self._walk(others, first, room, height * width)
        return fields | walk_fields(opcode, walk, address + offset & 0xFFFF, counts, **strides, **outer)

    # Matmul.

    def _matmul(self) -> Fields:
        if self.config.window_line and self._chance(0.5):
            return self._windowed()
        opcode, config, arena = Opcode.MATMUL, self.config, self.arena
        counts = self._counts({"n": 2, "k": 3, "ky": 3, "kx": 3, "y": 8, "x": 12}, TENSOR_ITERATIONS)
        if self._chance(0.05):
            # Enough iterations for a coordinate to reach 2**16.
            counts = dict.fromkeys(counts, 1) | {self._choice("y", "x"): 260 + self._below(40)}
        tiles = {loop: counts[loop] for loop in ("n", "k", "ky", "kx")}
        weight, weight_strides = self._walk(tiles, *arena.words(Space.WEIGHT, config.columns), config.rows)
        rows = arena.words(Space.ACCUMULATOR, config.accumulator_row_bytes)
        chosen = self._distinct(counts, ("n", "y", "x"), *rows) if self._chance(0.7) else None
        accumulator, accumulator_strides = chosen or self._walk(counts, *rows)
        # Without `window` the fields beside it mean nothing.
        ignored = {"window_lead": self._below(4), "window_skip_y": self._below(2), "window_skip_x": self._below(2)}
        return (
            {"activation_dtype": DType.INT8, "weight_dtype": DType.INT8, "accumulator_dtype": DType.INT32}
            | {"accumulate": self._below(2)}
            | {f"count_{loop}": count for loop, count in counts.items()}
            | self._bounded(opcode, "activation", counts, *arena.words(Space.ACTIVATION, config.rows))
            | walk_fields(opcode, "weight", weight, counts, **weight_strides)
            | walk_fields(opcode, "accumulator", accumulator, counts, **accumulator_strides)
            | ignored
        )

    def _windowed(self) -> Fields:
        """A matmul with a window whose results depend on nothing undefined: with few leading lines it goes on where others
        of its width, or wider ones, have been."""
        opcode, config, arena = Opcode.MATMUL, self.config, self.arena
        most = config.window_line
        defined = [x for x in (3, most, 3 + self._below(most - 2)) if min(self.lines[:x]) == 2]
        fresh = self._choice(3, most, 3 + self._below(most - 2), 3 + self._below(most - 2))
        x = self._choice(*defined) if defined and self._chance(0.7) else fresh
        total = max(4, WINDOW_ITERATIONS // x)
        counts = self._counts({"n": 3, "k": 2, "ky": 2, "kx": 2, "y": 9}, total) | {"x": x}
        counts["y"] = max(counts["y"], min(2 + self._below(4), total))
        lead = self._below(4)
        if lead < counts["y"]:
            lead = max(lead, 2 - min(self.lines[:x]))
        fields = {"window": 1, "window_lead": lead, "accumulate": self._below(2)}
        fields |= {"window_skip_y": self._below(2), "window_skip_x": self._below(2)}
        fields |= {f"count_{loop}": count for loop, count in counts.items()}
        fields |= {"activation_dtype": DType.INT8, "weight_dtype": DType.INT8, "accumulator_dtype": DType.INT32}
        tiles = {loop: counts[loop] for loop in ("n", "k", "ky", "kx")}
        weight, strides = self._walk(tiles, *arena.words(Space.WEIGHT, config.columns), config.rows)
        fields |= walk_fields(opcode, "weight", weight, counts, **strides)
        fields |= self._bounded(opcode, "activation", counts, *arena.words(Space.ACTIVATION, config.rows))
        fields |= self._written(fields, *arena.words(Space.ACCUMULATOR, config.accumulator_row_bytes))
        lines = counts["n"] * counts["k"] * counts["ky"] * counts["kx"] * counts["y"]
        self.lines[:x] = [min(2, before + lines) for before in self.lines[:x]]
        return fields

    def _written(self, fields: Fields, first: int, room: int) -> Fields:
        """The walk of the accumulator, steps and all, of a matmul with a window: what it writes is in its room. The address
        may leave it, and the memory, after the last written iteration."""
        loops = FORMATS[Opcode.MATMUL].walk("accumulator").loops
        while True:
            size = self._choice(1, 1, 2, room)
            steps = {
                f"accumulator_step_{loop}": self._choice(0, 1, 1, self._below(2 * size + 1) - size) for loop in loops
            }
            word = Instruction(Opcode.MATMUL, **fields, **steps)
            rows = [(row + (1 << 15)) % (1 << 16) for row in tensor.accumulator_rows(word) if row is not None]
            if not rows:
                return steps | {"accumulator_address": self._below(1 << 16)}
            spare = room - 1 - (max(rows) - min(rows))
            if spare >= 0:
                start = first + self._choice(0, spare, self._below(spare + 1)) + (1 << 15) - min(rows)
                return self._unused(fields, steps) | {"accumulator_address": start % (1 << 16)}

    def _unused(self, fields: Fields, steps: Fields) -> Fields:
        """``steps``, with anything for those that are never added."""
        word = Instruction(Opcode.MATMUL, **fields)
        iterations = zip(address.iterations(word.counts), address.advances(word.counts))
        added = {loop for index, loop in iterations if tensor.writes(word, index)}
        return {
            name: step if name.rpartition("_")[2] in added or self._chance(0.3) else self._below(1 << 16) - (1 << 15)
            for name, step in steps.items()
        }

    # Vector.

    def _vector(self) -> Fields:
        while True:
            fields = self._in_place() if self._chance(0.15) else self._any_vector()
            if _reads_nothing_it_writes(Instruction(Opcode.VECTOR, **fields)):
                return fields

    def _any_vector(self) -> Fields:
        opcode = Opcode.VECTOR
        counts = self._counts({"n": 3, "y": 6, "x": 12, "ky": 3, "kx": 3}, VECTOR_ROWS)
        outer = {loop: counts[loop] for loop in ("n", "y", "x")}
        source_dtype, result_dtype = self._choice(*DType), self._choice(*DType)
        room = self._rows(result_dtype)
        # Often the two share a memory: then each takes a part of it.
        cut = 1 + self._below(room[1] - 1)
        low, high = (room[0], cut), (room[0] + cut, room[1] - cut)
        source_room, result_room = (low, high) if self._chance(0.5) else (high, low)
        if source_dtype != result_dtype:
            source_room, result_room = self._rows(source_dtype), room
        chosen = self._distinct(counts, ("n", "y", "x"), *result_room) if self._chance(0.7) else None
        result, result_strides = chosen or self._walk(outer, *result_room)
        residual, residual_strides = self._walk(
            outer, *(source_room if source_dtype == result_dtype == DType.INT8 else self._rows(DType.INT8))
        )
        return (
            self._arithmetic(counts, source_dtype, result_dtype)
            | self._bounded(opcode, "source", counts, *source_room)
            | walk_fields(opcode, "result", result, counts, **result_strides)
            | walk_fields(opcode, "residual", residual, counts, **residual_strides)
        )

    def _in_place(self) -> Fields:
        """Each row is read and written by the same iteration."""
        counts = self._counts({"n": 2, "y": 4, "x": 8}, VECTOR_ROWS) | {"ky": 1, "kx": 1}
        dtype = self._choice(*DType)
        chosen = self._distinct(counts, ("n", "y", "x"), *self._rows(dtype))
        if chosen is None:
            return self._in_place()
        address, strides = chosen
        walks = {
            name: value
            for walk in ("source", "result", "residual")
            for name, value in walk_fields(Opcode.VECTOR, walk, address, counts, **strides).items()
        }
        return self._arithmetic(counts, dtype, dtype) | {"y_limit": 1, "x_limit": 1} | walks

    def _rows(self, dtype: int) -> tuple[int, int]:
        if dtype == DType.INT32:
            return self.arena.words(Space.ACCUMULATOR, self.config.accumulator_row_bytes)
        return self.arena.words(Space.ACTIVATION, self.config.columns)

    def _arithmetic(self, counts: Mapping[str, int], source_dtype: int, result_dtype: int) -> Fields:
        parameter, parameter_strides = self._walk(
            {"n": counts["n"]}, *self.arena.words(Space.PARAMETER, self.config.parameter_row_bytes)
        )
        low, high = (-128, 127) if self._chance(0.5) else sorted((self._int8(), self._int8()))
        shift = self._choice(0, 63, 23, self._below(64), *(20 + self._below(20) for _ in range(6)))
        near_shift = max(0, shift - self._below(12))
        return (
            {f"count_{loop}": count for loop, count in counts.items()}
            | {"source_dtype": source_dtype, "result_dtype": result_dtype}
            | {"reduction": self._choice(*Reduction), "per_channel": self._below(2)}
            | {"residual": self._below(2), "table": int(self._chance(0.3)), "table_index": self._below(2)}
            | {"zero_point": self._int8(), "low": low, "high": high}
            | {"residual_zero_point": self._int8(), "residual_mantissa": self._mantissa()}
            | {"residual_shift": self._choice(near_shift, near_shift, near_shift, self._below(64))}
            | {"bias": self._choice(0, -(2**31), 2**31 - 1, *(self._below(4001) - 2000 for _ in range(4)))}
            | {"mantissa": self._mantissa(), "shift": shift}
            | walk_fields(Opcode.VECTOR, "parameter", parameter, counts, **parameter_strides)
        )

    def _mantissa(self) -> int:
        return self._choice(0, 1 << 23, (1 << 24) - 1, *((1 << 23) + self._below(1 << 23) for _ in range(5)))


def _reads_nothing_it_writes(instruction: Instruction) -> bool:
    """Whether no iteration reads a row that another one writes."""
    read, written = vector_rows(instruction)
    writers = {}
    for iteration, row in enumerate(written.tolist()):
        writers.setdefault(row, set()).add(iteration)
    return all(
        writers.get(row, {iteration}) == {iteration}
        for rows in read
        for iteration, of_one in enumerate(rows.tolist())
        for row in of_one
    )
