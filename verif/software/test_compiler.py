"""Compiled programs against NumPy and the golden models, on the emulator, in order and interleaved at random."""

import numpy as np
import pytest

from gemmary.compiler import compile_conv2d, compile_matmul, compile_network, mantissa_and_shift
from gemmary.compiler.elementwise import Elementwise, lower_elementwise
from gemmary.compiler.layout import Layout
from gemmary.compiler.program import Layer
from gemmary.compiler.requantization import Requantization
from gemmary.config import PRESETS, Config
from gemmary.errors import InputError
from gemmary.isa import DType
from gemmary.models.network import Add, AveragePool, Conv2D, Dense, MaxPool, Network, Quantization, Residual, Scale
from gemmary.performance.model import Timing, estimate
from gemmary.runtime.device import open_device
from gemmary.runtime.execute import execute
from verif.golden import network as golden_network
from verif.golden import numerics
from verif.software.interleave import execute_interleaved

TINY = Config("tiny", 4, 4, 2, 1 << 10, 1 << 9, 16, 4)
WIDE_ROWS = Config("wide-rows", 8, 4, 2, 2 << 10, 1 << 10, 32, 4, parameter_rows=2)
CONFIGS = [*PRESETS.values(), TINY, WIDE_ROWS]
BY_NAME = {config.name: config for config in CONFIGS}


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
    if config in (TINY, WIDE_ROWS) and m == 200:
        m, k, n = 50, 70, 30
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
        input_shape=(11, 9, 3),
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
@pytest.mark.parametrize("batch", [1, 5])
def test_network(config, batch):
    rng = np.random.default_rng(batch)
    network = every_layer(rng)
    images = int8(rng, batch, *network.input_shape)
    program = compile_network(config, network, batch)
    expected = golden_network.run(network, images)
    tensors = run(program, image=images)
    shuffled = execute_interleaved(program, {"image": images}, rng)
    for layer in program.layers:
        assert np.array_equal(tensors[layer.output], expected[layer.name]), layer.name
        assert np.array_equal(shuffled[layer.output], expected[layer.name]), layer.name
