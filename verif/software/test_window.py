"""Matmuls with a window: the golden model against a plain convolution, and the emulator against the golden model."""

from itertools import product

import numpy as np
import pytest

from gemmary.config import PRESETS, Config
from gemmary.emulator.device import EmulatorDevice
from gemmary.emulator.machine import Machine
from gemmary.emulator.memories import Fault
from gemmary.isa import Cause, Instruction, Opcode, Space, encode_program, walk_fields
from verif.agents.illegal import harmless
from verif.agents.instructions import Arena, Sampler
from verif.configs import TINY, TINY_WINDOW
from verif.golden import tensor
from verif.golden.memories import Memories
from verif.golden.vector import AddressError

CHANNELS = TINY_WINDOW.columns
SPACES = (Space.ACTIVATION, Space.WEIGHT, Space.ACCUMULATOR)


class Golden:
    """The golden tensor engine: ``step`` carries out an instruction; the line memories are undefined at first."""

    def __init__(self, config: Config, rng: np.random.Generator):
        self.memories = Memories(config, rng)
        self.activations, self.weights = self.memories.activation_words, self.memories.weights
        self.accumulator = self.memories.accumulator

    def step(self, instruction: Instruction) -> None:
        tensor.execute(instruction, self.memories)


class Emulator:
    """The emulator, with the same contents as a golden machine of the same ``rng``; rubbish in its line memories."""

    def __init__(self, config: Config, rng: np.random.Generator):
        self.machine, golden = Machine(config, 1 << 16), Memories(config, rng)
        memories = self.machine.memories
        for space, content in memories.bytes.items():
            content[:] = np.frombuffer(golden.bytes[space], np.uint8)
        memories.window[:] = 85
        self.activations, self.weights = memories.activation_words, memories.weight_words
        self.accumulator = memories.accumulator

    def step(self, instruction: Instruction) -> None:
        self.machine.step(instruction)


both = pytest.mark.parametrize("engine", [Golden, Emulator])


def convolution(image: np.ndarray, taps: np.ndarray, stride=(1, 1)) -> np.ndarray:
    """Depthwise, of an image [h, w, c] with its padding, taps [3, 3, c]: [h', w', c]. As many loops as it has."""
    height, width, channels = image.shape
    lines, positions = range(0, height - 2, stride[0]), range(0, width - 2, stride[1])
    result = np.zeros((len(lines), len(positions), channels), np.int64)
    for (a, top), (b, left) in product(enumerate(lines), enumerate(positions)):
        for i, j, c in np.ndindex(3, 3, channels):
            result[a, b, c] += int(image[top + i, left + j, c]) * int(taps[i, j, c])
    return result


def depthwise(counts, strides, **fields) -> Instruction:
    """From counts and the strides of the activation. Taps at word 0; results one behind the other, from row 0."""
    walks = walk_fields(Opcode.MATMUL, "activation", fields.pop("activation", 0) & 0xFFFF, counts, **strides)
    steps = {f"accumulator_step_{loop}": 1 for loop in ("n", "k", "ky", "kx", "y", "x")}
    counts = {f"count_{loop}": count for loop, count in counts.items()}
    return harmless(Opcode.MATMUL, **(counts | walks | steps | {"window": 1} | fields))


def int8(rng, *shape) -> np.ndarray:
    values = rng.integers(-128, 128, shape)
    return np.where(rng.random(shape) < 0.2, rng.choice([-128, 127], shape), values).astype(np.int8)


def setup(engine, image: np.ndarray, taps: np.ndarray, config=TINY_WINDOW, seed=5):
    """A machine of random contents with ``image`` [h, w, c] from word 0 and ``taps`` [3, 3, c]."""
    device = engine(config, np.random.default_rng(seed))
    device.activations[: image.shape[0] * image.shape[1]] = image.reshape(-1, config.rows)
    device.weights[:9] = taps.reshape(9, -1)
    return device


STRIDES = pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 2), (2, 1)], ids=str)
PADDINGS = [
    (0, 0, 0, 0),
    (1, 1, 1, 1),
    (1, 0, 0, 0),
    (0, 1, 0, 0),
    (0, 0, 1, 0),
    (0, 0, 0, 1),
    (2, 2, 1, 1),
    (0, 1, 0, 1),
]


def test_golden_window_by_hand():
    """One channel, 3 lines of 4: the digits say where a product comes from."""
    golden = Golden(TINY_WINDOW, np.random.default_rng(0))
    golden.activations[:12, 2] = range(1, 13)
    golden.weights[:9, 2] = [1, 0, 0, 0, 0, 10, 0, 100, 0]
    golden.step(depthwise({"y": 3, "x": 4}, {"y": 4, "x": 1}, window_lead=2))
    # Positions 1..4, 5..8, 9..12: line 0 position 0, line 1 position 2, line 2 position 1.
    assert golden.accumulator[:2, 2].tolist() == [1 + 70 + 1000, 2 + 80 + 1100]


def test_golden_window_knows_what_is_undefined():
    line = {"y": 1, "x": 4}
    golden = Golden(TINY_WINDOW, np.random.default_rng(0))
    for words in range(2):
        with pytest.raises(tensor.UndefinedError):
            golden.step(depthwise(line, {"x": 1}))
        assert golden.memories.window.lines() == [words + 1] * 3 + [0] * 13  # it stopped at position 2
    golden.step(depthwise({"y": 1, "x": 3}, {"x": 1}))
    golden.step(depthwise(line, {"x": 1}, window_skip_x=1))
    with pytest.raises(tensor.UndefinedError):
        golden.step(depthwise(line, {"x": 1}))


@both
@STRIDES
@pytest.mark.parametrize("padding", PADDINGS, ids=str)
@pytest.mark.parametrize("size", [(4, 5), (4, 6)], ids=str)
def test_window_is_a_depthwise_convolution(engine, stride, padding, size):
    """Padding by bounds at every side, with a constant; odd and even lines."""
    rng = np.random.default_rng(1)
    (height, width), (top, bottom, left, right), constant = size, padding, -77
    image, taps = int8(rng, height, width, CHANNELS), int8(rng, 3, 3, CHANNELS)
    edges = np.pad(image, ((top, bottom), (left, right), (0, 0)), constant_values=constant)
    expected = convolution(edges, taps, stride).reshape(-1, CHANNELS)[:32]
    device = setup(engine, image, taps)
    before = device.accumulator.copy()
    lines = min(height + top + bottom, 2 + stride[0] * (32 // -(-(width + left + right - 2) // stride[1])))
    lines = min(lines, height + top + bottom)
    bounds = {"y_start": -top, "x_start": -left, "y_limit": height, "x_limit": width}
    skips = {"window_lead": 2, "window_skip_y": stride[0] - 1, "window_skip_x": stride[1] - 1}
    word = depthwise(
        {"y": lines, "x": width + left + right},
        {"y": width, "x": 1},
        activation=-top * width - left,
        y_stride=1, x_stride=1, constant=constant,
        **bounds, **skips,
    )  # fmt: skip
    written = sum(row is not None for row in tensor.accumulator_rows(word))
    device.step(word)
    np.testing.assert_array_equal(device.accumulator[:written], expected[:written])
    np.testing.assert_array_equal(device.accumulator[written:], before[written:])
    assert written >= min(len(expected), 25)


@both
@STRIDES
@pytest.mark.parametrize("cuts", [(1,), (2,), (3,), (4,), (1, 2), (3, 4), (2, 5), (1, 2, 3, 4, 5, 6), (5, 7)], ids=str)
def test_pieces_of_whole_lines_go_on(engine, stride, cuts):
    """Whatever the pieces are; ordinary matmuls in between leave the line memories alone."""
    rng = np.random.default_rng(2)
    image, taps = int8(rng, 8, 6, CHANNELS), int8(rng, 3, 3, CHANNELS)
    expected = convolution(image, taps, stride).reshape(-1, CHANNELS)
    device, row = setup(engine, image, taps), 0
    for first, end in zip((0, *cuts), (*cuts, 8)):
        lead = 2 - first if first < 2 else first % stride[0]
        skips = {"window_lead": lead, "window_skip_y": stride[0] - 1, "window_skip_x": stride[1] - 1}
        word = depthwise(
            {"y": end - first, "x": 6}, {"y": 6, "x": 1}, activation=6 * first, accumulator_address=row, **skips
        )
        device.step(word)
        row += sum(written is not None for written in tensor.accumulator_rows(word))
        ordinary = {"window": 0, "accumulator_address": 31, "accumulator_step_x": 0, **skips}
        device.step(depthwise({"y": 1, "x": 7}, {"x": 1}, **ordinary))
    np.testing.assert_array_equal(device.accumulator[:row], expected)
    assert row == len(expected)


@both
@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("loop", ["n", "k", "ky", "kx"])
def test_every_tile_is_a_convolution_of_its_own(engine, accumulate, loop):
    """Another image and other taps: n goes on to further rows, the others add to the same ones."""
    rng = np.random.default_rng(3)
    images, taps = int8(rng, 2, 5, 6, CHANNELS), int8(rng, 2, 3, 3, CHANNELS)
    expected = np.stack([convolution(*pair).reshape(12, CHANNELS) for pair in zip(images, taps)])
    device = setup(engine, images.reshape(10, 6, CHANNELS), taps[0])
    device.weights[16:25] = taps[1].reshape(9, -1)
    old = device.accumulator.astype(np.int64)
    walks = walk_fields(Opcode.MATMUL, "weight", 0, {loop: 2}, **{loop: 16})
    if loop != "n":
        walks[f"accumulator_step_{loop}"] = -11
    counts, strides = {loop: 2, "y": 5, "x": 6}, {loop: 30, "y": 6, "x": 1}
    # A dilation of 0 keeps the coordinates in bounds.
    device.step(depthwise(counts, strides, window_lead=2, accumulate=accumulate, **walks))
    want = expected.reshape(24, -1) if loop == "n" else expected.sum(0)
    want = want + (old[: len(want)] if accumulate else 0)
    np.testing.assert_array_equal(device.accumulator[: len(want)], (want + 2**31) % 2**32 - 2**31)


@both
def test_lines_are_three_to_window_line_long(engine):
    rng = np.random.default_rng(4)
    for x in (3, TINY_WINDOW.window_line):
        image, taps = int8(rng, 4, x, CHANNELS), int8(rng, 3, 3, CHANNELS)
        device = setup(engine, image, taps)
        device.step(depthwise({"y": 4, "x": x}, {"y": x, "x": 1}, window_lead=2))
        expected = convolution(image, taps).reshape(-1, CHANNELS)
        np.testing.assert_array_equal(device.accumulator[: len(expected)], expected)
    for config in (TINY_WINDOW, TINY):
        for x in {1, 2, 3, config.window_line + 1} - ({3} if config.window_line else set()):
            with pytest.raises((Fault, AddressError)) as caught:
                engine(config, rng).step(depthwise({"x": x}, {}))
            assert engine is Golden or caught.value.cause == Cause.ADDRESS


@both
def test_rows_nine_and_up_of_a_tile_do_not_count(engine):
    rng = np.random.default_rng(5)
    image, taps = int8(rng, 3, 5, CHANNELS), int8(rng, 3, 3, CHANNELS)
    device = setup(engine, image, taps)
    device.weights[9:16] = 127
    device.step(depthwise({"y": 3, "x": 5}, {"y": 5, "x": 1}, window_lead=2))
    np.testing.assert_array_equal(device.accumulator[:3], convolution(image, taps)[0])


@both
def test_an_address_counts_only_where_something_is_written(engine):
    last = TINY_WINDOW.accumulator_words - 1
    legal = [
        # Nothing is written, so no address counts.
        {"count_y": 3, "window_lead": 3, "accumulator_address": 0xFFFF},
        # It leaves the memory behind the last iteration that writes.
        {"count_y": 3, "window_lead": 2, "window_skip_x": 1, "accumulator_address": last},
        {"count_y": 4, "window_lead": 2, "window_skip_y": 1, "count_x": 3, "accumulator_address": last},
        {"count_y": 3, "count_n": 2, "window_lead": 2, "accumulator_address": last - 3},
        # A step that is never added.
        {"count_y": 3, "window_lead": 2, "window_skip_x": 1, "accumulator_address": last, "accumulator_step_y": 99},
    ]
    illegal = [
        {"count_y": 3, "window_lead": 2, "accumulator_address": last},
        {"count_y": 3, "window_lead": 2, "window_skip_x": 1, "count_x": 5, "accumulator_address": last},
        {"count_y": 3, "count_n": 2, "window_lead": 2, "accumulator_address": last - 2},
        {"count_y": 5, "window_lead": 2, "window_skip_y": 1, "count_x": 3, "accumulator_address": last},
    ]
    for fields in (*legal, *illegal):
        word = depthwise({"x": 4}, {}, **fields)
        device = engine(TINY_WINDOW, np.random.default_rng(6))
        if fields in legal:
            device.step(word)
            continue
        with pytest.raises((Fault, AddressError)) as caught:
            device.step(word)
        assert engine is Golden or caught.value.cause == Cause.ADDRESS


def test_the_line_memories_stay_from_program_to_program():
    rng = np.random.default_rng(7)
    image, taps = int8(rng, 3, 4, CHANNELS), int8(rng, 3, 3, CHANNELS)
    device = EmulatorDevice(TINY_WINDOW, 1 << 12)
    memories = device.machine.memories
    memories.activation_words[:12] = image.reshape(12, -1)
    memories.weight_words[:9] = taps.reshape(9, -1)
    for line in range(3):
        word = depthwise({"x": 4}, {"x": 1}, activation=4 * line, window_lead=3 if line < 2 else 0)
        device.run(encode_program([word]))
    np.testing.assert_array_equal(memories.accumulator[:2], convolution(image, taps)[0])


@pytest.mark.parametrize("config", [TINY_WINDOW, PRESETS["base"]], ids=lambda config: config.name)
@pytest.mark.parametrize("seed", range(3))
def test_random_matmuls_agree_with_the_golden_model(config, seed):
    """Windows of every kind, with ordinary matmuls between them, row by row of the whole accumulator."""
    golden, emulator = (engine(config, np.random.default_rng(seed)) for engine in (Golden, Emulator))
    arena = Arena({space: (0, len(content)) for space, content in golden.memories.bytes.items()})
    sampler = Sampler(config, arena, 4096, np.random.default_rng([seed, 1]))
    windows = 0
    while windows < 12:
        word = Instruction(Opcode.MATMUL, **sampler.sample(Opcode.MATMUL))
        windows += word.window
        golden.step(word)
        emulator.step(word)
        np.testing.assert_array_equal(emulator.accumulator, golden.accumulator, err_msg=str(word.values))
        assert sampler.lines == golden.memories.window.lines()
