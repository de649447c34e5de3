"""The emulator against NumPy, against the golden models and against the ISA read one element at a time."""

import dataclasses
import time
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gemmary.config import PRESETS, Config
from gemmary.emulator import dma, matmul, vector
from gemmary.emulator.device import EmulatorDevice
from gemmary.emulator.machine import Machine
from gemmary.emulator.memories import Fault
from gemmary.emulator.nest import Walk, blocks
from gemmary.errors import InputError
from gemmary.isa import (
    ENGINE,
    FORMATS,
    Cause,
    DType,
    Engine,
    Instruction,
    Opcode,
    Reduction,
    Space,
    decode_program,
    encode_program,
    walk_fields,
)
from gemmary.runtime.device import DeviceError, open_device
from verif.agents import programs
from verif.agents.accesses import EXTERNAL, accesses
from verif.agents.illegal import harmless, illegal_programs
from verif.agents.schedule import Schedule
from verif.configs import TINIES, TINY, TINY_NARROW_BUS, TINY_WIDE, TINY_WINDOW
from verif.golden import numerics
from verif.software import scalar

random_program = cache(programs.random_program)
SMALL = [*TINIES, TINY_WINDOW]
CONFIGS = [*SMALL, *PRESETS.values()]
small_configs = pytest.mark.parametrize("config", SMALL, ids=lambda config: config.name)
every_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)


def instruction(opcode: Opcode, counts: dict[str, int], walks: dict[str, tuple[int, dict[str, int]]], **fields):
    """From counts, and from (address, strides) for each walk."""
    values = {f"count_{loop}": count for loop, count in counts.items()}
    for walk, (address, strides) in walks.items():
        values |= walk_fields(opcode, walk, address & 0xFFFF if walk != "external" else address, counts, **strides)
    return harmless(opcode, **values | fields)


def int8(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random, with many extremes."""
    values = rng.integers(-128, 128, shape)
    return np.where(rng.random(shape) < 0.2, rng.choice([-128, 127], shape), values).astype(np.int8)


def machine(config: Config = TINY, memory_bytes: int = 1 << 16) -> Machine:
    return Machine(config, memory_bytes)


# Matmul.


@pytest.mark.parametrize("config", [TINY, TINY_WIDE, TINY_NARROW_BUS, PRESETS["base"]], ids=lambda c: c.name)
@pytest.mark.parametrize("accumulate", [0, 1])
def test_matmul_is_the_product_modulo_two_to_the_32(config, accumulate):
    rng = np.random.default_rng(1)
    tiles_n, tiles_k, m = 2, 3, 7
    a, w = int8(rng, m, tiles_k * config.rows), int8(rng, tiles_k * config.rows, tiles_n * config.columns)
    old = rng.choice([-(2**31), 2**31 - 1, 0], (m, tiles_n * config.columns)).astype(np.int32)
    device = machine(config)
    at = 3  # not address 0, to see that addresses count
    memories = device.memories
    memories.activation_words[at : at + m * tiles_k] = a.reshape(m * tiles_k, config.rows)
    tiles = w.reshape(tiles_k * config.rows, tiles_n, config.columns).swapaxes(0, 1)
    memories.weight_words[at : at + tiles_n * tiles_k * config.rows] = tiles.reshape(-1, config.columns)
    rows = slice(at, at + m * tiles_n)
    memories.accumulator[rows] = old.reshape(-1, config.columns)
    walks = {
        "activation": (at, {"y": tiles_k, "k": 1}),
        "weight": (at, {"n": tiles_k * config.rows, "k": config.rows}),
        "accumulator": (at, {"y": tiles_n, "n": 1}),
    }
    counts = {"n": tiles_n, "k": tiles_k, "y": m}
    device.step(instruction(Opcode.MATMUL, counts, walks, accumulate=accumulate))
    expected = a.astype(np.int64) @ w + (old if accumulate else 0)
    np.testing.assert_array_equal(
        memories.accumulator[rows].reshape(m, -1), ((expected + 2**31) % 2**32 - 2**31).astype(np.int32)
    )


def test_matmul_of_extremes_is_exact_over_many_tiles():
    """The sum has more bits than float32 holds."""
    config, rng = PRESETS["small"], np.random.default_rng(5)
    device = machine(config)
    tiles = config.weight_words // config.rows
    device.memories.activation_words[:] = rng.integers(-128, -100, device.memories.activation_words.shape)
    device.memories.weight_words[:] = rng.integers(-128, -100, device.memories.weight_words.shape)
    walks = {"weight": (0, {"k": config.rows}), "activation": (0, {"k": 1})}
    device.step(instruction(Opcode.MATMUL, {"k": tiles}, walks))
    a = device.memories.activation_words[:tiles].ravel().astype(np.int64)
    expected = a @ device.memories.weight_words
    assert (expected > 1 << 24).all()
    np.testing.assert_array_equal(device.memories.accumulator[0], expected)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_convolution_is_a_loop_nest_with_bounds(stride, dilation):
    """Two blocks of input channels, padding with a constant, no im2col."""
    config, rng, outside, pad = TINY, np.random.default_rng(2), -37, 2
    height, width, taps, blocks = 6, 5, 3, 2
    x, w = int8(rng, 1, height, width, blocks * 4), int8(rng, taps, taps, blocks * 4, 4)
    spread = np.zeros((dilation * (taps - 1) + 1,) * 2 + w.shape[2:], np.int8)
    spread[::dilation, ::dilation] = w
    expected = numerics.conv2d(x, spread, (stride, stride), ((pad, pad), (pad, pad)), outside)[0]
    out_height, out_width = expected.shape[:2]
    device = machine(config)
    first = 11
    words = x.reshape(height * width, blocks, 4).swapaxes(0, 1).reshape(-1, 4)
    device.memories.activation_words[first : first + len(words)] = words
    by_block = w.reshape(taps, taps, blocks, 4, 4).transpose(2, 0, 1, 3, 4)
    device.memories.weight_words[: blocks * taps * taps * 4] = by_block.reshape(-1, 4)
    counts = {"k": blocks, "ky": taps, "kx": taps, "y": out_height, "x": out_width}
    strides = {"k": height * width, "ky": dilation * width, "kx": dilation, "y": stride * width, "x": stride}
    walks = {
        "activation": (first - pad * width - pad, strides),
        "weight": (0, {"k": taps * taps * 4, "ky": taps * 4, "kx": 4}),
        "accumulator": (0, {"y": out_width, "x": 1}),
    }
    bounds = {"y_start": -pad, "x_start": -pad, "y_limit": height, "x_limit": width, "constant": outside}
    bounds |= {f"{axis}_{name}": value for axis in "yx" for name, value in (("stride", stride), ("dilation", dilation))}
    device.step(instruction(Opcode.MATMUL, counts, walks, **bounds))
    result = device.memories.accumulator[: out_height * out_width].reshape(expected.shape)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("start", [-32768, 0, 32767])
@pytest.mark.parametrize("axis", ["y", "x"])
@pytest.mark.parametrize("limit", [5, 65535])
def test_coordinates_never_wrap(start, axis, limit):
    """Far beyond 16 bits. All iterations share one accumulator row, which counts those in bounds."""
    counts = {axis: 600, f"k{axis}": 3}
    device = machine()
    device.memories.activation_words[0] = 1
    device.memories.weight_words[:4] = 1
    fields = {f"{axis}_start": start, f"{axis}_stride": 255, f"{axis}_dilation": 255, f"{axis}_limit": limit}
    walks = {"accumulator": (0, {}), "activation": (0, {}), "weight": (0, {})}
    device.memories.accumulator[0] = 0
    device.step(instruction(Opcode.MATMUL, counts, walks, accumulate=1, constant=0, **fields))
    inside = sum(0 <= start + 255 * i + 255 * k < limit for i in range(600) for k in range(3))
    assert device.memories.accumulator[0].tolist() == [4 * inside] * 4


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("moving", [{}, {"y": 1}, {"x": 1}, {"k": 1, "x": 1}, {"kx": 2, "y": 1, "x": -1}])
def test_repeated_accumulator_rows_follow_program_order(accumulate, moving):
    rng = np.random.default_rng(3)
    device = machine()
    memories = device.memories
    memories.activation_words[:] = int8(rng, *memories.activation_words.shape)
    memories.weight_words[:] = int8(rng, *memories.weight_words.shape)
    counts = {"n": 2, "k": 2, "kx": 2, "y": 3, "x": 3}
    walks = {
        "activation": (0, {"k": 9, "y": 3, "x": 1}),
        "weight": (0, {"n": 16, "k": 8, "kx": 4}),
        "accumulator": (10, {"n": 20} | moving),
    }
    expected = memories.accumulator.astype(np.int64)
    for n in range(2):
        for k in range(2):
            for kx in range(2):
                weights = memories.weight_words[16 * n + 8 * k + 4 * kx :][:4].astype(np.int64)
                for y in range(3):
                    for x in range(3):
                        index = {"k": k, "kx": kx, "y": y, "x": x}
                        row = 10 + 20 * n + sum(stride * index[loop] for loop, stride in moving.items())
                        product = memories.activation_words[9 * k + 3 * y + x] @ weights
                        keep = accumulate or k or kx
                        expected[row] = (expected[row] if keep else 0) + product
    bounds = {"x_limit": 1, "y_limit": 1}
    device.step(instruction(Opcode.MATMUL, counts, walks, accumulate=accumulate, **bounds))
    np.testing.assert_array_equal(memories.accumulator, expected.astype(np.int32))


def test_512_cubed_takes_less_than_two_seconds():
    config, size = PRESETS["base"], 512
    rng = np.random.default_rng(4)
    a, w = int8(rng, size, size), int8(rng, size, size)
    addresses = {"a": 0, "w": 1 << 20, "c": 2 << 20}
    device = EmulatorDevice(config, 4 << 20)
    device.write(addresses["a"], a.tobytes())
    device.write(addresses["w"], w.tobytes())
    program = []
    for m in range(0, size, 256):
        counts = {"y": 32, "x": 256}
        external = addresses["a"] + m * size, {"y": 16, "x": size}
        walks = {"external": external, "onchip": (0, {"y": 256, "x": 1})}
        program.append(instruction(Opcode.LOAD, counts, walks, length=16))
        for n in range(0, size, 16):
            external = addresses["w"] + n, {"x": size}
            walks = {"external": external, "onchip": (0, {"x": 1})}
            program.append(instruction(Opcode.LOAD, {"x": size}, walks, space=Space.WEIGHT, length=16))
            walks = {
                "activation": (0, {"k": 256, "x": 1}),
                "weight": (0, {"k": 16}),
                "accumulator": (0, {"x": 1}),
            }
            program.append(instruction(Opcode.MATMUL, {"k": 32, "x": 256}, walks))
            external = addresses["c"] + 4 * (m * size + n), {"x": 4 * size}
            walks = {"external": external, "onchip": (0, {"x": 4})}
            program.append(instruction(Opcode.STORE, {"x": 256}, walks, space=Space.ACCUMULATOR, length=64))
    start = time.process_time()  # of all threads: other tests on the same cores do not count
    report = device.run(encode_program(program), 3 << 20)
    seconds = time.process_time() - start
    result = np.frombuffer(device.read(addresses["c"], 4 * size * size), "<i4").reshape(size, size)
    np.testing.assert_array_equal(result, a.astype(np.float64) @ w)
    assert report.instructions == len(program) and report.cycles == 0
    assert seconds < 2


# Vector engine.


def vector_case(config, rng, rows, **fields):
    """A machine with random operands, and the instruction over ``rows`` rows: source 0.., residual 32.., result 64.."""
    device = machine(config)
    memories = device.memories
    memories.accumulator[:rows] = rng.integers(-(2**31), 2**31, (rows, config.columns)) >> rng.integers(
        0, 31, (rows, config.columns)
    )
    memories.accumulator[0] = [-(2**31), 2**31 - 1] * (config.columns // 2)
    memories.activation_rows[:rows] = int8(rng, rows, config.columns)
    memories.activation_rows[32 : 32 + rows] = int8(rng, rows, config.columns)
    walks = {"source": (0, {"x": 1}), "residual": (32, {"x": 1}), "result": (64, {"x": 1})}
    return device, instruction(Opcode.VECTOR, {"x": rows}, walks, **fields)


SCALES = [(0, 0), (1 << 23, 23), ((1 << 24) - 1, 0), ((1 << 24) - 1, 63), (12345678, 40), (1 << 23, 24), (3 << 22, 30)]


@pytest.mark.parametrize("source", DType)
@pytest.mark.parametrize(("mantissa", "shift"), SCALES)
def test_requantization_is_the_golden_one(source, mantissa, shift):
    rng = np.random.default_rng(shift)
    scale = {"bias": -1000, "mantissa": mantissa, "shift": shift}
    clip = {"zero_point": -9, "low": -100, "high": 120}
    device, program = vector_case(TINY, rng, 20, source_dtype=source, result_dtype=DType.INT8, **scale, **clip)
    memories = device.memories
    operands = (memories.accumulator if source == DType.INT32 else memories.activation_rows)[:20]
    expected = numerics.requantize(numerics.add_bias(operands, -1000), mantissa, shift, **clip)
    device.step(program)
    np.testing.assert_array_equal(memories.activation_rows[64:84], expected)


@pytest.mark.parametrize("residual_shift", [0, 20, 40, 63])
@pytest.mark.parametrize("mantissa", [1 << 23, (1 << 24) - 1])
def test_residual_and_channel_parameters_are_the_golden_ones(residual_shift, mantissa):
    rng = np.random.default_rng(6)
    residual = {"residual_zero_point": -128, "residual_mantissa": mantissa, "residual_shift": residual_shift}
    device, program = vector_case(
        TINY, rng, 20, source_dtype=DType.INT32, result_dtype=DType.INT8, low=-128, high=127,
        per_channel=1, parameter_address=5, residual=1, **residual,
    )  # fmt: skip
    memories = device.memories
    bias = np.array([-(2**31), 2**31 - 1, 5, 0], np.int32)
    mantissas, shifts = np.array([(1 << 24) - 1, 1 << 23, 9999999, 0]), np.array([63, 0, 31, 40])
    memories.parameters[5] = np.stack([bias, (mantissas | shifts << 24 | 3 << 30).astype(np.uint32).view("<i4")], -1)
    t = numerics.add_bias(memories.accumulator[:20], bias)
    q = memories.activation_rows[32:52]
    expected = numerics.requantize(t, mantissas, shifts, residual=q, **residual)
    device.step(program)
    np.testing.assert_array_equal(memories.activation_rows[64:84], expected)


@pytest.mark.parametrize("index", [0, 1])
def test_table_is_looked_up_after_the_clip(index):
    rng = np.random.default_rng(7)
    scale = {"mantissa": 1 << 23, "shift": 23, "low": -50, "high": 60}
    device, program = vector_case(
        TINY, rng, 20, source_dtype=DType.INT8, result_dtype=DType.INT8, table=1, table_index=index, **scale
    )
    memories = device.memories
    clipped = np.clip(memories.activation_rows[:20], -50, 60)
    device.step(program)
    np.testing.assert_array_equal(memories.activation_rows[64:84], numerics.table(clipped, memories.tables[index]))


def test_int32_results_are_not_scaled_and_wrap():
    rng = np.random.default_rng(8)
    device, program = vector_case(
        TINY, rng, 20, source_dtype=DType.INT32, result_dtype=DType.INT32, bias=2**31 - 1,
        result_address=40, residual=1, residual_address=0xFFFF, table=1, low=3, high=4,
    )  # fmt: skip
    operands = device.memories.accumulator[:20].copy()
    device.step(program)
    np.testing.assert_array_equal(device.memories.accumulator[40:60], numerics.add_bias(operands, 2**31 - 1))


@pytest.mark.parametrize("reduction", Reduction)
@pytest.mark.parametrize("source", DType)
def test_pooling_windows_have_bounds(reduction, source):
    config, rng = TINY, np.random.default_rng(9)
    device = machine(config)
    memory = device.memories.accumulator if source == DType.INT32 else device.memories.activation_rows
    x = int8(rng, 1, 5, 6, config.columns)
    memory[2:32] = x.reshape(30, config.columns)
    seen = numerics.windows(x, (3, 2), (2, 2), ((1, 1), (1, 1)), -128)[0]
    expected = seen.max((2, 3)) if reduction == Reduction.MAX else seen.sum((2, 3), dtype=np.int32)
    height, width = expected.shape[:2]
    counts = {"y": height, "x": width, "ky": 3, "kx": 2}
    walks = {
        "source": (2 - 6 - 1, {"y": 12, "x": 2, "ky": 6, "kx": 1}),
        "result": (40, {"y": width, "x": 1}),
    }
    bounds = {"y_start": -1, "x_start": -1, "y_limit": 5, "x_limit": 6, "constant": -128}
    bounds |= {"y_stride": 2, "x_stride": 2, "y_dilation": 1, "x_dilation": 1}
    fields = {"source_dtype": source, "result_dtype": DType.INT32, "reduction": reduction}
    device.step(instruction(Opcode.VECTOR, counts, walks, **bounds, **fields))
    result = device.memories.accumulator[40 : 40 + height * width].reshape(expected.shape)
    np.testing.assert_array_equal(result, expected)


def test_vector_instructions_work_in_place():
    rng = np.random.default_rng(10)
    device, program = vector_case(
        TINY, rng, 20, source_dtype=DType.INT8, result_dtype=DType.INT8, mantissa=1 << 23, shift=24, low=-128, high=127,
        result_address=0,
    )  # fmt: skip
    before = device.memories.activation_rows[:20].copy()
    device.step(program)
    np.testing.assert_array_equal(device.memories.activation_rows[:20], numerics.requantize(before, 1 << 23, 24))


# DMA.


@small_configs
@pytest.mark.parametrize("opcode", [Opcode.LOAD, Opcode.STORE])
def test_dma_moves_bytes(config, opcode):
    """Every legal space, random walks: against one byte at a time."""
    for seed in range(6):
        case = random_program(config, seed, instructions=15, opcodes=(opcode,))
        assert case.run(EmulatorDevice(config, case.memory_bytes)) == scalar_result(case), case.name


def test_a_load_of_overlapping_unaligned_runs_fills_the_rest():
    device = machine()
    device.external.bytes[:64] = np.arange(64)
    walks = {"external": (3, {"x": 2}), "onchip": (5, {"x": 3})}
    device.step(instruction(Opcode.LOAD, {"x": 2}, walks, space=Space.WEIGHT, length=6, fill=-1))
    result = device.memories.granules[Space.WEIGHT]
    assert result[5:7].ravel().tolist() == [3, 4, 5, 6, 7, 8, -1, -1]
    assert result[8:10].ravel().tolist() == [5, 6, 7, 8, 9, 10, -1, -1]


def test_a_transposed_load_turns_each_block():
    device = machine()
    device.external.bytes[:64] = np.arange(64)
    counts = {"y": 2, "x": 3}
    walks = {"external": (1, {"y": 30, "x": 10})}
    onchip = {"onchip_address": 7, "onchip_step_x": 2, "onchip_step_y": 20}
    device.step(instruction(Opcode.LOAD, counts, walks, **onchip, length=2, transpose=1, fill=9))
    result = device.memories.granules[Space.ACTIVATION]
    assert result[[7, 9, 27, 29]].tolist() == [[1, 11, 21, 9], [2, 12, 22, 9], [31, 41, 51, 9], [32, 42, 52, 9]]


def test_a_store_leaves_the_neighbours_alone():
    device = machine()
    device.memories.granules[Space.ACCUMULATOR][2:4] = np.arange(8).reshape(2, 4)
    walks = {"external": (101, {}), "onchip": (2, {})}
    device.step(instruction(Opcode.STORE, {}, walks, space=Space.ACCUMULATOR, length=5))
    assert device.external.bytes[99:109].tolist() == [0, 0, 0, 1, 2, 3, 4, 0, 0, 0]


def test_fill_only_reads_nothing():
    device = machine()
    device.step(harmless(Opcode.LOAD, fill_only=1, transpose=1, length=40, fill=5, external_address=2**64 - 1))
    assert (device.memories.bytes[Space.ACTIVATION][:40] == 5).all()
    assert device.memories.bytes[Space.ACTIVATION][40:44].tolist() != [5] * 4


# Addresses.


@st.composite
def any_walk(draw):
    """A walk with any address and steps, over few iterations."""
    opcode = draw(st.sampled_from(Opcode))
    walk = draw(st.sampled_from(FORMATS[opcode].walks))
    fields = {f"count_{loop}": draw(st.integers(1, 3)) for loop in FORMATS[opcode].loops}
    names = [f"{walk.name}_address", *(f"{walk.name}_step_{loop}" for loop in walk.loops)]
    for field in map(FORMATS[opcode].__getitem__, names):
        low = -(1 << field.width - 1) if field.signed else 0
        fields[field.name] = draw(st.integers(low, low + (1 << field.width) - 1))
    return walk, harmless(opcode, **fields)


FAR = {"count_z": 3, "count_y": 2, "count_x": 3, "external_address": 1 << 39, "external_step_y": 2**31 - 1}
FAR |= {"external_step_x": -(2**31), "external_step_z": -(2**31)}


@given(any_walk(), st.sampled_from([32, 40, 64]))
@example((FORMATS[Opcode.LOAD].walk("external"), harmless(Opcode.LOAD, **FAR)), 40)
def test_addresses_are_what_adding_the_steps_gives(case, address_bits):
    """External steps are sign-extended and never cut off: the sum of strides modulo 2**32 would be another address."""
    walk, word = case
    bits = 16 if walk.width == 16 else address_bits
    expected = [at[walk.name] % (1 << bits) for _, at in scalar.iterations(word, (walk.name,))]
    for size in (7, 10_000):
        parts = blocks(word, word.format.loops, size)
        addresses = [Walk(word, walk.name, bits)({loop: part[loop] for loop in walk.loops}) for part in parts]
        assert np.concatenate(addresses).tolist() == expected


def test_tiles_and_runs_wrap_around_in_the_largest_memories():
    config = Config("largest", 4, 4, 4, 1 << 18, 1 << 18, 32, 4)
    device = machine(config)
    memories = device.memories
    device.external.bytes[:8] = np.arange(8)
    for transpose in (0, 1):
        fields = {"onchip_address": 0xFFFF, "onchip_step_x": 1, "length": 4 if transpose else 8}
        device.step(harmless(Opcode.LOAD, transpose=transpose, **fields))
        expected = [[0], [1]] if transpose else [[0, 1, 2, 3], [4, 5, 6, 7]]
        assert memories.granules[Space.ACTIVATION][[-1, 0], : len(expected[0])].tolist() == expected
    device.step(harmless(Opcode.STORE, onchip_address=0xFFFF, length=5, external_address=16))
    assert device.external.bytes[16:21].tolist() == [0, 0, 0, 0, 1]
    device.step(harmless(Opcode.MATMUL, weight_address=0xFFFE, y_limit=0, constant=1))
    weights = memories.weight_words[[-2, -1, 0, 1]].sum(0, dtype=np.int32)
    np.testing.assert_array_equal(memories.accumulator[0], weights)


# Random programs.


def scalar_result(case) -> bytes:
    after = scalar.run(case.config, case.program, case.memory)
    return b"".join(after[address : address + size] for address, size in case.regions)


@small_configs
@pytest.mark.parametrize("seed", range(6))
def test_random_programs_agree_with_one_element_at_a_time(config, seed):
    case = random_program(config, seed, instructions=30)
    assert case.run(EmulatorDevice(config, case.memory_bytes)) == scalar_result(case)


@small_configs
def test_results_do_not_depend_on_how_the_emulator_divides_its_work(config, monkeypatch):
    cases = [random_program(config, seed, instructions=30) for seed in range(3)]
    expected = [case.run(EmulatorDevice(config, case.memory_bytes)) for case in cases]
    monkeypatch.setattr(dma, "BLOCK_BYTES", 64)
    monkeypatch.setattr(matmul, "POSITIONS", 3)
    monkeypatch.setattr(matmul, "EXACT_PRODUCTS", 2 * config.rows)
    monkeypatch.setattr(matmul, "ONE_THREAD", 4 * config.rows * config.columns)
    monkeypatch.setattr(vector, "BLOCK_ELEMENTS", 3 * 8 * config.columns)
    assert [case.run(EmulatorDevice(config, case.memory_bytes)) for case in cases] == expected


@every_config
def test_random_programs_run_and_leave_no_semaphore_up(config):
    for seed in range(8):
        case = random_program(config, seed, instructions=20)
        device = EmulatorDevice(config, case.memory_bytes)
        assert case.run(device) != case.memory
        assert device.machine.semaphores == [0] * 16


@small_configs
def test_random_programs_do_not_depend_on_what_memories_hold(config):
    for seed in range(4):
        case = random_program(config, seed, instructions=20)
        results = set()
        for pattern in (0, 85):
            device = EmulatorDevice(config, case.memory_bytes)
            for data in [*device.machine.memories.bytes.values(), device.machine.memories.window]:
                data[:] = pattern
            results.add(case.run(device))
        assert len(results) == 1


def run_interleaved(case, order: np.random.Generator, queue_depth: int) -> bytes:
    """Runs the engines in a random order that semaphores and queues allow; ``queue_depth`` instructions wait for each."""
    device = EmulatorDevice(case.config, case.memory_bytes)
    device.write(0, case.memory)
    stream = list(decode_program(case.program))
    queues = {engine: [] for engine in Engine}
    while stream or any(queues.values()):
        while stream and len(queues[ENGINE[stream[0].opcode]]) < queue_depth:
            queues[ENGINE[stream[0].opcode]].append(stream.pop(0))
        up = sum(1 << i for i, count in enumerate(device.machine.semaphores) if count)
        ready = [engine for engine, queue in queues.items() if queue and not queue[0].wait & ~up]
        assert ready, "deadlock"
        # One engine far ahead finds more mistakes than an even mixture.
        favourite = Engine(order.integers(4))
        engine = favourite if favourite in ready and order.random() < 0.9 else order.choice(ready)
        device.machine.step(queues[engine].pop(0))
    return b"".join(device.read(address, size) for address, size in case.regions)


@small_configs
@pytest.mark.parametrize("queue_depth", [1, 4, 1000])
def test_every_interleaving_gives_the_same_result(config, queue_depth):
    for seed in range(2):
        case = random_program(config, seed, instructions=60)
        expected = case.run(EmulatorDevice(config, case.memory_bytes))
        for order in range(2):
            assert run_interleaved(case, np.random.default_rng(order), queue_depth) == expected


def test_long_programs_never_pass_the_limit_of_a_semaphore():
    case = random_program(TINY, 1, instructions=500)
    run_interleaved(case, np.random.default_rng(0), queue_depth=64)


def test_engines_meet_before_a_semaphore_overflows():
    """200 stores, each of what one of the 200 loads before brought: not every pair may have a signal of its own."""
    rng = np.random.default_rng(0)
    sizes = {Space.ACTIVATION: 200, EXTERNAL: 8192}
    schedule = Schedule(sizes, np.arange(16), rng)
    for opcode, address in ((Opcode.LOAD, 0), (Opcode.STORE, 4096)):
        for i in range(200):
            fields = harmless(opcode, onchip_address=i, external_address=address + i)
            values = {k: v for k, v in fields.values.items() if k not in ("opcode", "version")}
            schedule.add(opcode, values, *accesses(fields, TINY))
    device = machine()
    for word in schedule.instructions():
        device.step(word)  # a Fault, if a semaphore passes 63
    assert device.semaphores == [0] * 16


def test_semaphores_of_random_programs_are_needed():
    """Without one of them another order of the engines gives another result: so programs do find a lost wait."""
    case = random_program(TINY, 0, instructions=60)
    expected = case.run(EmulatorDevice(TINY, case.memory_bytes))
    found = 0
    for semaphore in range(16):
        keep = 0xFFFF ^ 1 << semaphore
        program = []
        for word in decode_program(case.program):
            fields = {name: value for name, value in word.values.items() if name not in ("opcode", "version")}
            program.append(
                Instruction(word.opcode, **fields | {"wait": word.wait & keep, "signal": word.signal & keep})
            )
        weaker = dataclasses.replace(case, program=encode_program(program))
        found += run_interleaved(weaker, np.random.default_rng(0), 1000) != expected
    assert found >= 6  # of the 12 between different engines; one order does not show all


# Errors.


@every_config
def test_illegal_programs_stop_with_their_cause_and_the_next_one_runs(config):
    good = random_program(config, 0, instructions=10)
    expected = good.run(EmulatorDevice(config, good.memory_bytes))
    device = EmulatorDevice(config, 1 << 17)
    for number, case in enumerate(illegal_programs(config)):
        with pytest.raises(DeviceError) as caught:
            device.run(case.program, 1 << 16)
        error = caught.value
        assert (error.cause, error.offset, error.engine) == (case.cause, case.offset, case.engine), case.name
        if number % 50 == 0 or case.cause >= Cause.SEMAPHORE_OVERFLOW:
            assert good.run(device) == expected, case.name


def test_illegal_programs_have_names_of_their_own_and_show_every_cause():
    cases = illegal_programs(TINY)
    assert len({case.name for case in cases}) == len(cases)
    assert {case.cause for case in cases} == set(Cause) - {Cause.NONE}
    assert {case.engine for case in cases} == {None, *Engine}


def test_operands_out_of_bounds_have_no_address():
    device = machine()
    outside = {"y_limit": 0, "constant": 3}
    device.step(harmless(Opcode.MATMUL, activation_address=0xFFFF, **outside))
    weights = device.memories.weight_words[:4].astype(np.int32)
    np.testing.assert_array_equal(device.memories.accumulator[0], 3 * weights.sum(0))
    device.step(harmless(Opcode.VECTOR, source_address=0xFFFF, result_dtype=DType.INT32, **outside))
    assert device.memories.accumulator[0].tolist() == [3] * 4


def test_unused_operands_have_no_address():
    device = machine()
    device.step(harmless(Opcode.VECTOR, residual_address=0xFFFF, parameter_address=0xFFFF))
    device.step(harmless(Opcode.VECTOR, residual=1, residual_address=0xFFFF, result_dtype=DType.INT32))


def test_the_last_words_of_every_memory_are_legal():
    device = machine()
    memories = device.memories
    last = {
        "activation_address": len(memories.activation_words) - 1,
        "weight_address": len(memories.weight_words) - TINY.rows,
        "accumulator_address": len(memories.accumulator) - 1,
    }
    device.step(harmless(Opcode.MATMUL, **last))
    row = len(memories.activation_rows) - 1
    last = {"source_address": row, "result_address": row, "residual_address": row, "residual": 1, "per_channel": 1}
    device.step(harmless(Opcode.VECTOR, parameter_address=TINY.parameter_rows - 1, **last))
    for space, granules in memories.granules.items():
        last = {"space": space, "onchip_address": len(granules) - 2, "external_address": (1 << 16) - 5, "length": 5}
        device.step(harmless(Opcode.LOAD, **last))
        if space <= Space.ACCUMULATOR:
            device.step(harmless(Opcode.STORE, **last))


@pytest.mark.parametrize(("opcode", "cause"), [(Opcode.LOAD, Cause.BUS_READ), (Opcode.STORE, Cause.BUS_WRITE)])
def test_a_run_over_the_end_of_external_memory_stops(opcode, cause):
    device = machine(memory_bytes=4096)
    device.step(harmless(opcode, length=5, external_address=4096 - 5))
    with pytest.raises(Fault) as caught:
        device.step(harmless(opcode, length=5, external_address=4096 - 4))
    assert caught.value.cause == cause
    with pytest.raises(Fault):
        device.step(harmless(opcode, length=4096, external_address=1))


def test_semaphores_stay_from_run_to_run_until_an_error():
    device = EmulatorDevice(TINY, 1 << 12)
    signal, wait = harmless(Opcode.LOAD, signal=0b11), harmless(Opcode.STORE, wait=0b01, external_address=2048)
    device.run(signal.encode())
    assert device.run(wait.encode()).instructions == 1
    with pytest.raises(DeviceError, match="in the store engine"):
        device.run(wait.encode())
    assert device.machine.semaphores == [0] * 16


def test_a_semaphore_counts_to_63():
    device = EmulatorDevice(TINY, 1 << 14)
    device.run(harmless(Opcode.LOAD, signal=1).encode() * 63)
    assert device.machine.semaphores[0] == 63
    device.run(harmless(Opcode.LOAD, wait=1).encode() * 63)
    assert device.machine.semaphores[0] == 0


def test_a_blocked_instruction_takes_no_semaphore():
    one_up = machine()
    one_up.semaphores[0] = 1
    with pytest.raises(Fault):
        one_up.step(harmless(Opcode.LOAD, wait=0b11))
    assert one_up.semaphores[0] == 1


# The device.


def test_the_emulator_is_a_device():
    device = open_device("emulator", TINY, memory_bytes=4096)
    assert isinstance(device, EmulatorDevice) and device.memory_bytes == 4096 and device.config == TINY
    device.write(4000, b"abc")
    assert device.read(3999, 5) == b"\0abc\0"
    device.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latency": 20}, "the emulator has no option 'latency'"),
        ({"memory_bytes": 0}, "memory_bytes = 0: must be a positive multiple of 4"),
        ({"memory_bytes": 4097}, "memory_bytes = 4097"),
        ({"memory_bytes": "1M"}, "memory_bytes = '1M'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        open_device("emulator", TINY, **options)


def test_access_beyond_the_memory_is_refused():
    device = EmulatorDevice(TINY, 4096)
    for access in (
        lambda: device.write(4095, b"ab"),
        lambda: device.read(-1, 1),
        lambda: device.read(0, 4097),
        lambda: device.run(bytes(96), 4096),
    ):
        with pytest.raises(InputError, match="do not fit the device's memory of 4096"):
            access()


def test_an_unaligned_program_is_an_error():
    device = EmulatorDevice(TINY, 4096)
    with pytest.raises(DeviceError) as caught:
        device.run(harmless(Opcode.LOAD).encode(), 2)
    assert caught.value.cause == Cause.PROGRAM
