"""The ISA once more, from docs/isa-semantics.md and docs/numerics.md: one element at a time, in plain Python.

Addresses are made as hardware makes them, by adding steps. Only legal programs: nothing is checked.
"""

from fractions import Fraction
from operator import mul

from gemmary.config import Config
from gemmary.isa import DType, Instruction, Opcode, Reduction, Space, decode_program


def run(config: Config, program: bytes, memory: bytes) -> bytes:
    """External memory after ``program``, from ``memory``."""
    machine = ScalarMachine(config, memory)
    for instruction in decode_program(program):
        machine.execute(instruction)
    return bytes(machine.external)


def iterations(instruction: Instruction, walks: tuple[str, ...], still=lambda walk, index: False):
    """(index of each loop, address of each walk), in order; ``still`` says whether a walk stays after an iteration."""
    counts = instruction.counts
    index = dict.fromkeys(counts, 0)
    address = {walk: getattr(instruction, f"{walk}_address") for walk in walks}
    while True:
        yield dict(index), dict(address)
        stays = {walk: still(walk, index) for walk in walks}
        for loop in reversed(tuple(counts)):
            if index[loop] + 1 < counts[loop]:
                break
            index[loop] = 0
        else:
            return
        for walk in walks:
            if loop in instruction.format.walk(walk).loops and not stays[walk]:
                address[walk] += getattr(instruction, f"{walk}_step_{loop}")
        index[loop] += 1


class ScalarMachine:
    def __init__(self, config: Config, memory: bytes):
        self.config, self.external = config, bytearray(memory)
        sizes = {
            Space.ACTIVATION: config.activation_bytes,
            Space.WEIGHT: config.weight_bytes,
            Space.ACCUMULATOR: 2 * config.accumulator_rows * 4 * config.columns,
            Space.PARAMETER: config.parameter_rows * 8 * config.columns,
            Space.TABLE: 512,
        }
        self.spaces = {space: bytearray(size) for space, size in sizes.items()}
        # Of each position the last two words that a window saw: line 0, line 1.
        self.seen = [[None, None] for _ in range(config.window_line)]

    def execute(self, instruction: Instruction) -> None:
        match instruction.opcode:
            case Opcode.LOAD if instruction.transpose and not instruction.fill_only:
                self._load_transposed(instruction)
            case Opcode.LOAD:
                self._load(instruction)
            case Opcode.MATMUL:
                self._matmul(instruction)
            case Opcode.VECTOR:
                self._vector(instruction)
            case Opcode.STORE:
                self._store(instruction)

    def _load(self, i):
        bus, space = self.config.bus_bytes, self.spaces[Space(i.space)]
        for _, at in iterations(i, ("external", "onchip")):
            for byte in range(-(-i.length // bus) * bus):
                external = (at["external"] + byte) % (1 << self.config.address_bits)
                filled = i.fill_only or byte >= i.length
                space[self._byte(at["onchip"], byte)] = i.fill % 256 if filled else self.external[external]

    def _load_transposed(self, i):
        bus, space = self.config.bus_bytes, self.spaces[Space(i.space)]
        # The walk of the blocks does not know loop x.
        blocks = Instruction(i.opcode, **{k: v for k, v in i.values.items() if k not in ("opcode", "version")})
        blocks.values["count_x"] = 1
        first = [at["onchip"] for _, at in iterations(blocks, ("onchip",))]
        runs = [at["external"] for _, at in iterations(i, ("external",))]
        for b, granule in enumerate(first):
            for j in range(i.length):
                for lane in range(bus):
                    value = i.fill % 256
                    if lane < i.count_x:
                        run = runs[b * i.count_x + lane]
                        value = self.external[(run + j) % (1 << self.config.address_bits)]
                    space[self._byte(granule + j * i.onchip_step_x, lane)] = value

    def _store(self, i):
        for _, at in iterations(i, ("external", "onchip")):
            for byte in range(i.length):
                external = (at["external"] + byte) % (1 << self.config.address_bits)
                self.external[external] = self.spaces[Space(i.space)][self._byte(at["onchip"], byte)]

    def _byte(self, granule, byte):
        bus = self.config.bus_bytes
        return (granule + byte // bus) % (1 << 16) * bus + byte % bus

    def _matmul(self, i):
        rows, columns = self.config.rows, self.config.columns
        tile, tile_address = [], None
        columns_seen = []

        def still(walk, index):
            return walk == "accumulator" and not _written(i, index)

        for index, at in iterations(i, ("activation", "weight", "accumulator"), still):
            if at["weight"] != tile_address:
                tile_address = at["weight"]
                tile = list(zip(*(self._int8(Space.WEIGHT, tile_address + k, columns) for k in range(rows))))
            word = self._int8(Space.ACTIVATION, at["activation"], rows) if _inside(i, index) else [i.constant] * rows
            if i.window:
                seen = [*self.seen[index["x"]], word]
                self.seen[index["x"]] = seen[1:]
                columns_seen = [*columns_seen, seen][-3:] if index["x"] else [seen]
                if not _written(i, index):
                    continue
                nine = [seen[line] for line in range(3) for seen in columns_seen]
                sums = [sum(nine[t][c] * taps[t] for t in range(9)) for c, taps in enumerate(tile)]
            else:
                sums = [sum(map(mul, word, column)) for column in tile]
            if i.accumulate or index["k"] or index["ky"] or index["kx"]:
                old = self._int32(Space.ACCUMULATOR, at["accumulator"], columns)
                sums = [a + b for a, b in zip(sums, old)]
            self._put(Space.ACCUMULATOR, at["accumulator"], sums, 4)

    def _vector(self, i):
        window = []
        for index, at in iterations(i, ("source", "result", "residual", "parameter")):
            window.append(self._source(i, index, at["source"]))
            if index["ky"] + 1 == i.count_ky and index["kx"] + 1 == i.count_kx:
                self._result(i, list(zip(*window)), at)
                window = []

    def _source(self, i, index, address):
        columns = self.config.columns
        if not _inside(i, index):
            return [i.constant] * columns
        if i.source_dtype == DType.INT32:
            return self._int32(Space.ACCUMULATOR, address, columns)
        return self._int8(Space.ACTIVATION, address, columns)

    def _result(self, i, windows, at):
        columns = self.config.columns
        wide = i.result_dtype == DType.INT32
        parameters = [(i.bias, i.mantissa, i.shift)] * columns
        if i.per_channel:
            words = self._int32(Space.PARAMETER, at["parameter"], 2 * columns)
            parameters = [(b, s % (1 << 24), (s >> 24) % 64) for b, s in zip(words[::2], words[1::2])]
        residuals = [0] * columns
        if i.residual and not wide:
            residuals = self._int8(Space.ACTIVATION, at["residual"], columns)
        result = []
        for operands, residual, (bias, mantissa, shift) in zip(windows, residuals, parameters):
            total = max(operands) if i.reduction == Reduction.MAX else sum(operands)
            t = _signed(total + bias, 32)
            result.append(t if wide else self._int8_result(i, t, residual, mantissa, shift))
        self._put(Space.ACCUMULATOR if wide else Space.ACTIVATION, at["result"], result, 4 if wide else 1)

    def _int8_result(self, i, t, residual, mantissa, shift):
        p = t * mantissa
        if i.residual:
            p += (residual - i.residual_zero_point) * i.residual_mantissa * 2 ** ((shift - i.residual_shift) % 32)
        y = min(max(round(Fraction(p, 2**shift)) + i.zero_point, i.low), i.high)
        return _signed(self.spaces[Space.TABLE][256 * i.table_index + y + 128], 8) if i.table else y

    def _int8(self, space, word, size):
        start = word % (1 << 16) * size
        return [_signed(byte, 8) for byte in self.spaces[space][start : start + size]]

    def _int32(self, space, row, size):
        start = row % (1 << 16) * size * 4
        data = self.spaces[space][start : start + 4 * size]
        return [int.from_bytes(data[4 * n : 4 * n + 4], "little", signed=True) for n in range(size)]

    def _put(self, space, word, values, size):
        start = word % (1 << 16) * len(values) * size
        data = b"".join((value % (1 << 8 * size)).to_bytes(size, "little") for value in values)
        self.spaces[space][start : start + len(data)] = data


def _written(i, index):
    if not i.window:
        return True
    x, y = index["x"], index["y"] - i.window_lead
    return x > 1 and y >= 0 and (not i.window_skip_x or x % 2 == 0) and (not i.window_skip_y or y % 2 == 0)


def _inside(i, index):
    def coordinate(axis):
        start, stride, dilation = (getattr(i, f"{axis}_{part}") for part in ("start", "stride", "dilation"))
        return start + index[axis] * stride + index[f"k{axis}"] * dilation

    return 0 <= coordinate("y") < i.y_limit and 0 <= coordinate("x") < i.x_limit


def _signed(value, bits):
    value %= 1 << bits
    return value - (1 << bits) if value >> bits - 1 else value
