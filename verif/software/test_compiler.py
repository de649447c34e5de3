"""Compiled programs against NumPy and the golden models, on the emulator, in order and interleaved at random."""

import numpy as np
import pytest

from gemmary.compiler import compile_conv2d, compile_matmul, compile_network
from gemmary.compiler.assemble import assemble
from gemmary.compiler.elementwise import Elementwise, lower_elementwise
from gemmary.compiler.layout import Layout
from gemmary.compiler.requantization import Requantization
from gemmary.compiler.strips import Strips
from gemmary.compiler.tiled import TiledLayer
from gemmary.compiler.window import Window
from gemmary.config import PRESETS, Config
from gemmary.errors import InputError
from gemmary.isa import DType, decode_program
from gemmary.models.digits import load_digits
from gemmary.models.network import Add, AveragePool, Conv2D, Dense, MaxPool, Network, Quantization, Residual, Scale
from gemmary.performance.model import Timing, estimate
from gemmary.runtime.device import open_device
from gemmary.runtime.execute import execute
from verif.configs import TINIES
from verif.golden import network as golden_network
from verif.golden import numerics
from verif.software.interleave import execute_interleaved

CONFIGS = (*PRESETS.values(), *TINIES)


def int8(rng, *shape):
    return rng.integers(-128, 128, shape, np.int8)


def run(program, **inputs):
    return execute(open_device("emulator", program.config), program, inputs).tensors


def parameters(rng, k, n):
    """Bias and scales that spread int8 results of ``k`` products over their range."""
    bias = rng.integers(-(1 << 12), 1 << 12, n).astype(np.int32)
    return bias, (rng.uniform(0.2, 2, n) / (80 * np.sqrt(k))).astype(np.float32)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
@pytest.mark.parametrize("shape", [(1, 1, 1), (37, 129, 65), (64, 64, 64), (200, 300, 100)], ids=str)
def test_matmul(config, shape):
    m, k, n = shape
    if config in TINIES:
        m, k, n = -(-m // 4), -(-k // 4), -(-n // 4)
    rng = np.random.default_rng(m)
    a, b = int8(rng, m, k), int8(rng, k, n)
    bias, scale = parameters(rng, k, n)
    sums = numerics.matmul(a, b)
    wide = compile_matmul(config, m, k, n, result=DType.INT32)
    assert np.array_equal(run(wide, a=a, b=b)["y"], sums)
    program = compile_matmul(
        config, m, k, n, weights=b, bias=bias, scale=scale, input_zero_point=7, zero_point=-3, low=-100, high=120
    )
    biased = numerics.add_bias(numerics.matmul(a.astype(np.int64) - 7, b), bias)
    expected = numerics.requantize(biased, *numerics.scale_to_mantissa_shift(scale), -3, -100, 120)
    assert np.array_equal(run(program, a=a)["y"], expected)


def test_matmul_with_bias_alone_is_int32():
    rng = np.random.default_rng(1)
    a, b, bias = int8(rng, 20, 40), int8(rng, 40, 24), rng.integers(-(1 << 31), 1 << 31, 24).astype(np.int32)
    for config in CONFIGS:
        program = compile_matmul(config, 20, 40, 24, weights=b, bias=bias, result=DType.INT32)
        assert np.array_equal(run(program, a=a)["y"], numerics.add_bias(numerics.matmul(a, b), bias))


def test_matmul_with_table():
    rng = np.random.default_rng(2)
    a, b, table = int8(rng, 30, 20), int8(rng, 20, 18), int8(rng, 256)
    program = compile_matmul(PRESETS["base"], 30, 20, 18, weights=b, scale=0.002, table=table)
    plain = numerics.requantize(numerics.matmul(a, b), *numerics.scale_to_mantissa_shift(0.002))
    assert np.array_equal(run(program, a=a)["y"], numerics.table(plain, table))


@pytest.mark.parametrize("seed", range(24))
def test_convolution(seed):
    rng = np.random.default_rng(seed)
    config = CONFIGS[seed % len(CONFIGS)]
    images, height, width = rng.integers(1, 5), *rng.integers(3, 13, 2)
    kernel, stride, dilation = rng.integers(1, 4, 2), rng.integers(1, 4, 2), rng.integers(1, 3, 2)
    padding = rng.integers(0, 3, (2, 2)) * rng.integers(0, 2)
    reach = (kernel - 1) * dilation + 1
    height, width = max(height, reach[0]), max(width, reach[1])
    cin, cout = (int(n) for n in rng.choice([1, 3, 8, 17, 20], 2))
    x, w = int8(rng, images, height, width, cin), int8(rng, *kernel, cin, cout)
    bias, scale = parameters(rng, w[..., 0].size, cout)
    zero_in, zero_out = (int(z) for z in rng.integers(-128, 128, 2))
    result = DType.INT8 if rng.integers(4) else DType.INT32
    program = compile_conv2d(
        config, x.shape, w, stride=tuple(map(int, stride)), dilation=tuple(map(int, dilation)),
        padding=tuple(tuple(map(int, p)) for p in padding), bias=bias, scale=scale,
        input_zero_point=zero_in, zero_point=zero_out, result=result,
    )  # fmt: skip
    spread = np.zeros((*reach, cin, cout), np.int8)
    spread[:: dilation[0], :: dilation[1]] = w
    sums = numerics.conv2d(x.astype(np.int64) - zero_in, spread, tuple(stride), padding.tolist(), outside=0)
    expected = numerics.add_bias(sums, bias)
    if result == DType.INT8:
        expected = numerics.requantize(expected, *numerics.scale_to_mantissa_shift(scale), zero_out)
    assert np.array_equal(run(program, a=x)["y"], expected)
    assert np.array_equal(execute_interleaved(program, {"a": x}, rng)["y"], expected)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
def test_row_packed_convolution(config):
    """Few channels: several words a row, overlapping, on accumulators that hold few rows."""
    rng = np.random.default_rng(8)
    for cin, kernel, stride, padding in (
        (1, (3, 3), (1, 1), ((1, 1), (1, 1))),
        (3, (1, 2), (2, 1), ((2, 1), (2, 2))),
        (1, (2, 3), (1, 2), ((0, 0), (2, 1))),
        (1, (1, 3), (2, 1), ((0, 0), (0, 0))),
    ):
        x, w = int8(rng, 3, 5, 8, cin), int8(rng, *kernel, cin, 6)
        program = compile_conv2d(
            config, x.shape, w, stride=stride, padding=padding, bias=77, scale=0.01, input_zero_point=-9, zero_point=4
        )
        sums = numerics.conv2d(x.astype(np.int64) + 9, w, stride, padding, outside=0)
        expected = numerics.requantize(
            numerics.add_bias(sums, 77), *numerics.scale_to_mantissa_shift(np.full(6, 0.01)), 4
        )
        assert np.array_equal(execute_interleaved(program, {"a": x}, rng)["y"], expected), (cin, kernel)


@pytest.mark.parametrize("name", ["base", "ulx3s-85f", "nano"])
def test_first_convolution_in_strips(name):
    """Whole windows as runs of words, where that takes fewer cycles than shifted kernels."""
    config, rng = PRESETS[name], np.random.default_rng(9)
    for cin, kernel, stride, padding, result in (
        (3, (7, 7), (2, 2), ((3, 3), (3, 3)), DType.INT8),
        (3, (3, 3), (2, 2), ((0, 1), (0, 1)), DType.INT32),
        (1, (10, 4), (2, 2), ((4, 5), (1, 1)), DType.INT8),
    ):
        x, w = int8(rng, 2, 18, 15, cin), int8(rng, *kernel, cin, 40)
        program = compile_conv2d(
            config, x.shape, w, stride=stride, padding=padding, bias=5, scale=0.002, input_zero_point=3, result=result
        )
        assert isinstance(program.tensors["a"], Strips), kernel
        expected = numerics.add_bias(numerics.conv2d(x.astype(np.int64) - 3, w, stride, padding, outside=0), 5)
        if result == DType.INT8:
            expected = numerics.requantize(expected, *numerics.scale_to_mantissa_shift(np.full(40, 0.002)), 0)
        assert np.array_equal(execute_interleaved(program, {"a": x}, rng)["y"], expected), kernel


def test_first_layer_of_resnet():
    """Expected, not simulated: above 85 % of peak."""
    weights, pads = np.zeros((7, 7, 3, 64), np.int8), ((3, 3), (3, 3))
    program = compile_conv2d(PRESETS["base"], (1, 224, 224, 3), weights, stride=(2, 2), padding=pads)
    cycles = sum(run.expected_cycles for layer in program.layers for run in layer.runs)
    assert program.layers[0].macs / (cycles * PRESETS["base"].macs_per_cycle) > 0.85


def scale_of(real):
    mantissa, shift = numerics.scale_to_mantissa_shift(np.float32(real))
    return Scale(real, mantissa, shift)


def convolution(rng, name, source, kernel, cin, cout, **options):
    bias, scale = parameters(rng, kernel * kernel * cin, cout)
    return Conv2D(
        name,
        source,
        name,
        int8(rng, kernel, kernel, cin, cout),
        bias,
        np.ones(cout, np.float32),
        scale_of(scale),
        **options,
    )


def dense(rng, name, source, cin, cout):
    bias, scale = parameters(rng, cin, cout)
    return Dense(name, source, name, int8(rng, cin, cout), bias, np.ones(cout, np.float32), scale_of(scale))


def every_layer(rng):
    """A network with one layer of every kind, odd sizes, and a residual over another."""
    zero_points = dict(image=-7, conv=3, strided=-20, residual=11, largest=11, mean=-1, sum=5, dense=0, last=9)
    return Network(
        name="every layer",
        input="image",
        input_shape=(9, 8, 3),
        output="last",
        quantization={name: Quantization(1.0, zero) for name, zero in zero_points.items()},
        layers=(
            convolution(rng, "conv", "image", 3, 3, 20, padding=((1, 1), (1, 1)), low=3),
            convolution(rng, "strided", "conv", 3, 20, 17, stride=(2, 2), padding=((0, 1), (1, 1))),
            convolution(rng, "residual", "strided", 1, 17, 17, residual=Residual("strided", scale_of(0.3)), low=11),
            MaxPool("largest", "residual", "largest", (3, 2), (1, 2), ((1, 1), (0, 1))),
            AveragePool("mean", "strided", "mean", (2, 2), (2, 2), scale_of(0.2)),
            Add("sum", "residual", "sum", scale_of(0.7), Residual("strided", scale_of(0.9)), low=-90),
            dense(rng, "dense", "mean", 2 * 2 * 17, 21),
            dense(rng, "last", "dense", 21, 10),
        ),
    )


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
def test_network(config):
    rng, batch = np.random.default_rng(config.identity), 1 if config in TINIES else 3
    network = every_layer(rng)
    images = int8(rng, batch, *network.input_shape)
    program = compile_network(config, network, batch)
    expected = golden_network.run(network, images)
    tensors = run(program, image=images)
    shuffled = execute_interleaved(program, {"image": images}, rng)
    for layer in program.layers:
        assert np.array_equal(tensors[layer.output], expected[layer.name]), layer.name
        assert np.array_equal(shuffled[layer.output], expected[layer.name]), layer.name


def test_digits_network():
    digits = load_digits()
    images = digits.images[:9]
    expected = golden_network.run(digits.network, images)
    for config in PRESETS.values():
        program = compile_network(config, digits.network, len(images))
        tensors = run(program, image=images)
        for layer in program.layers:
            assert np.array_equal(tensors[layer.output], expected[layer.name]), (config.name, layer.name)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
def test_elementwise_table(config):
    rng = np.random.default_rng(3)
    x, table = int8(rng, 7, 5, 19), int8(rng, 256)
    layout = Layout(config)
    source, target = layout.tensor("x", x.shape), layout.tensor("y", x.shape)
    requantization = Requantization(table=table)
    operation = Elementwise(source, target, requantization, layout.table(requantization))
    program = assemble(layout, (TiledLayer("table", "y", 0, lower_elementwise(config, operation)),), ("x",), ("y",))
    assert np.array_equal(execute_interleaved(program, {"x": x}, rng)["y"], numerics.table(x, table))


def test_weights_and_table_interleaved():
    """Weights as an input, several parameter rows, a table: everything a job can wait for."""
    rng = np.random.default_rng(4)
    for config in TINIES:
        a, b, table = int8(rng, 21, 22), int8(rng, 22, 45), int8(rng, 256)
        bias, scale = parameters(rng, 22, 45)
        program = compile_matmul(config, 21, 22, 45, bias=bias, scale=scale, table=table)
        sums = numerics.add_bias(numerics.matmul(a, b), bias)
        expected = numerics.table(numerics.requantize(sums, *numerics.scale_to_mantissa_shift(scale)), table)
        for _ in range(3):
            assert np.array_equal(execute_interleaved(program, {"a": a, "b": b}, rng)["y"], expected)


def test_int32_with_bias_interleaved():
    rng = np.random.default_rng(5)
    for config in TINIES:
        a, b, bias = int8(rng, 30, 9), int8(rng, 9, 30), rng.integers(-1000, 1000, 30)
        program = compile_matmul(config, 30, 9, 30, weights=b, bias=bias, result=DType.INT32)
        assert np.array_equal(execute_interleaved(program, {"a": a}, rng)["y"], numerics.matmul(a, b) + bias)


def test_what_is_stored_does_not_depend_on_what_was_on_the_chip():
    """Padding of channels included: the whole memory is the same after a run on other leftovers."""
    rng = np.random.default_rng(6)
    for config in (PRESETS["ulx3s-85f"], PRESETS["nano"], *TINIES):
        a, b = int8(rng, 9, 13), int8(rng, 13, 11)
        for result in (DType.INT8, DType.INT32):
            program = compile_matmul(config, 9, 13, 11, weights=b, bias=1, scale=0.01, zero_point=5, result=result)
            images = []
            for leftover in (0, 85):
                device = open_device("emulator", config)
                for memory in device.machine.memories.bytes.values():
                    memory[:] = leftover
                execute(device, program, {"a": a})
                images.append(device.read(0, program.code_address))
            assert images[0] == images[1], config.name


def test_large_product_on_base_is_predicted_to_keep_the_array_busy():
    config = PRESETS["base"]
    program = compile_matmul(config, 512, 512, 512)
    (run,) = program.layers[0].runs
    cycles = estimate(Timing(config, latency=100, bytes_per_cycle=16), decode_program(run.code)).cycles
    assert cycles == run.expected_cycles
    assert program.macs / (cycles * config.macs_per_cycle) > 0.99


def test_a_layer_longer_than_a_program_becomes_several_runs(monkeypatch):
    monkeypatch.setattr("gemmary.compiler.runs.RUN_LENGTH", 20)
    rng, config = np.random.default_rng(7), TINIES[0]
    a, b = int8(rng, 33, 17), int8(rng, 17, 33)
    program = compile_matmul(config, 33, 17, 33, result=DType.INT32)
    assert len(program.layers[0].runs) > 2
    assert np.array_equal(execute_interleaved(program, {"a": a, "b": b}, rng)["y"], numerics.matmul(a, b))


SMALL = {"m": 4, "k": 4, "n": 4}
BASE = PRESETS["base"]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: compile_matmul(BASE, 0, 4, 4), "m must be 1 to 131072, not 0"),
        (lambda: compile_matmul(BASE, 4, 131073, 4), "k must be 1 to 131072, not 131073"),
        (lambda: compile_matmul(BASE, **SMALL, weights=np.zeros((4, 4))), "weights must be int8, not float64"),
        (
            lambda: compile_matmul(BASE, **SMALL, weights=np.zeros((4, 5), np.int8)),
            r"weights must have the shape \[4, 4\]",
        ),
        (lambda: compile_matmul(BASE, **SMALL, bias=np.zeros(4)), "bias must be int32, not float64"),
        (lambda: compile_matmul(BASE, **SMALL, bias=1 << 31), "bias must fit int32"),
        (lambda: compile_matmul(BASE, **SMALL, scale=np.ones(5)), "scale must be one number or have the shape"),
        (lambda: compile_matmul(BASE, **SMALL, scale=-1.0), "scale must be finite and not negative"),
        (lambda: compile_matmul(BASE, **SMALL, scale=2.0**24), "scale must be below"),
        (lambda: compile_matmul(BASE, **SMALL, zero_point=128), "zero_point must be −128 to 127, not 128"),
        (lambda: compile_matmul(BASE, **SMALL, input_zero_point=1), "needs weights that are known"),
        (lambda: compile_matmul(BASE, **SMALL, low=3, high=2), "low must not exceed high"),
        (lambda: compile_matmul(BASE, **SMALL, table=np.zeros(9, np.int8)), r"table must have the shape \[256\]"),
        (lambda: compile_conv2d(BASE, (1, 4, 4, 3), np.zeros((1, 1, 4, 4), np.int8)), "weights take 4 input channels"),
        (lambda: compile_conv2d(BASE, (1, 4, 4, 4), np.zeros((5, 1, 4, 4), np.int8)), "kernel .* is larger"),
        (lambda: Window(1, 4, 4, stride=(0, 1)), "stride must be at least 1"),
        (lambda: Window(1, 4, 4, padding=((0, -1), (0, 0))), "padding must not be negative"),
        (lambda: compile_network(BASE, load_digits().network, 0), "batch must be at least 1"),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(InputError, match=named):
        call()


def test_memories_too_small_are_named():
    config = Config("too-small", 4, 4, 1, 32, 32, 2, 4, activation_banks=1)
    with pytest.raises(InputError, match="config 'too-small' is too small for 'y'"):
        compile_conv2d(config, (1, 9, 9, 4), np.zeros((5, 5, 4, 4), np.int8))


def test_execute_checks_its_inputs():
    program = compile_matmul(BASE, **SMALL)
    a = np.zeros((4, 4), np.int8)
    device = open_device("emulator", BASE)
    for inputs, message in (
        ({"a": a}, "input 'b' is missing"),
        ({"a": a, "b": a, "c": a}, "unknown input 'c'"),
        ({"a": a, "b": a.astype(np.int16)}, "b must be int8, not int16"),
        ({"a": a[:2], "b": a}, "a must have the shape"),
    ):
        with pytest.raises(InputError, match=message):
            execute(device, program, inputs)
    with pytest.raises(InputError, match="the program is for 'base', the device is 'nano'"):
        execute(open_device("emulator", PRESETS["nano"]), program, {"a": a, "b": a})
    with pytest.raises(InputError, match="bytes of memory, the device has 64"):
        execute(open_device("emulator", BASE, memory_bytes=64), program, {"a": a, "b": a})
