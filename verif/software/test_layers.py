"""Layers of workloads as programs: the emulator against the product's NumPy reference, and that one against the golden model."""

from dataclasses import replace

import numpy as np
import pytest

from gemmary.compiler import compile_layer, layer_inputs, reference_layer
from gemmary.compiler.tensor import Tensor, Turned
from gemmary.compiler.values import RESIDUAL_ZERO_POINT, Values, residual_scale
from gemmary.config import PRESETS
from gemmary.errors import InputError
from gemmary.performance.model import Timing, estimate
from gemmary.runtime.device import open_device
from gemmary.runtime.execute import execute
from gemmary.workloads import Conv, Matmul
from verif.configs import TINY_WINDOW
from verif.golden import numerics
from verif.software.interleave import execute_interleaved

BASE = PRESETS["base"]


def matmul(m, k, n, **options):
    return Matmul(name="matmul", m=m, k=k, n=n, **options)


def conv(height, width, cin, cout, kernel=1, stride=1, padding=0, **options):
    kernel, stride, padding = (kernel,) * 2, (stride,) * 2, (padding,) * 4
    sizes = {"height": height, "width": width, "cin": cin, "cout": cout}
    return Conv(name="conv", **sizes, kernel=kernel, stride=stride, padding=padding, **options)


LAYERS = [
    matmul(37, 50, 41),
    matmul(9, 40, 30, residual=True, activation="relu"),
    matmul(9, 40, 30, activation="gelu"),
    matmul(1, 70, 35, output="int32"),
    matmul(12, 20, 33, constant=False),
    matmul(7, 20, 33, batch=3, residual=True),
    matmul(13, 20, 37, batch=3, constant=False),
    matmul(21, 20, 37, batch=2, constant=False, transposed=True),
    matmul(80, 40, 70, batch=2, constant=False, transposed=True),
    matmul(2, 20, 70, batch=3, constant=False, transposed=True),
    matmul(1, 37, 40, batch=2, constant=False, transposed=True, output="int32"),
    conv(9, 7, 20, 18, 3, 2, 1, activation="relu6"),
    conv(9, 7, 20, 18, residual=True),
    conv(9, 8, 20, 18, 1, 2),
    conv(12, 12, 3, 16, 3, 2, 1),
    conv(11, 9, 40, 40, 3, 2, 1, groups=40, activation="relu6"),
    conv(7, 8, 24, 24, 3, 1, 1, groups=6, residual=True),
    conv(6, 5, 64, 32, 3, 1, 1, groups=4),
    conv(6, 5, 9, 6, 1, groups=3),
]


def golden(layer, seed, inputs, values=None):
    """The layer by verif/golden, group by group and head by head."""
    values = values or Values.of(layer, seed)
    a = inputs["a"].astype(np.int64) - values.input_zero_point
    if isinstance(layer, Conv):
        (top, bottom, left, right), groups = layer.padding, layer.groups
        operands = zip(np.split(a, groups, -1), np.split(values.weights, groups, -1))
        padding = ((top, bottom), (left, right))
        sums = np.concatenate([numerics.conv2d(*pair, layer.stride, padding) for pair in operands], -1)
        parameters = values.bias, values.mantissa, values.shift
    else:
        b = values.weights if layer.constant else inputs["b"]
        b = np.swapaxes(b, -1, -2) if layer.transposed else b
        pairs = zip(a.reshape(layer.batch, layer.m, layer.k), b.reshape(layer.batch, layer.k, layer.n))
        sums = np.stack([numerics.matmul(*pair) for pair in pairs])
        each = values.bias, values.mantissa, values.shift
        parameters = [np.reshape(v, (-1, 1, np.shape(v)[-1])) if np.ndim(v) else v for v in each]
    bias, mantissa, shift = parameters
    sums = numerics.add_bias(sums, bias)
    shape = inputs["a"].shape[:1] + layer.output_shape if isinstance(layer, Conv) else layer.output_shape
    if layer.output == "int32":
        return sums.reshape(shape)
    extra = {}
    if layer.residual:
        factor, residual_shift = residual_scale()
        extra = {
            "residual": inputs["residual"].reshape(sums.shape), "residual_zero_point": RESIDUAL_ZERO_POINT,
            "residual_mantissa": factor, "residual_shift": residual_shift,
        }  # fmt: skip
    result = numerics.requantize(sums, mantissa, shift, values.zero_point, values.low, values.high, **extra)
    return (result if values.table is None else numerics.table(result, values.table)).reshape(shape)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: repr(layer)[:60])
def test_reference_is_the_golden_model(layer):
    inputs = layer_inputs(layer, 3)
    expected = golden(layer, 3, inputs)
    result = reference_layer(layer, 3, inputs)
    assert result.dtype == expected.dtype and np.array_equal(result, expected)
    if layer.output == "int8":  # all of int8 is used: a wrong bit shows
        assert len(np.unique(result)) > 60 and result.std() > 15


@pytest.mark.parametrize("name", ["base", "small", "ulx3s-85f", "nano"])
def test_every_kind_of_layer(name):
    rng = np.random.default_rng(0)
    for layer in LAYERS:
        program = compile_layer(PRESETS[name], layer, seed=5)
        inputs = layer_inputs(layer, 5)
        assert {n: program.tensors[n].shape for n in program.inputs} == {n: a.shape for n, a in inputs.items()}
        result = execute_interleaved(program, inputs, rng)["y"]
        assert np.array_equal(result, reference_layer(layer, 5, inputs)), layer


def test_few_queries_are_turned_round():
    """Both ways of a transposed operand are among the layers."""
    for m, kind in ((80, Tensor), (2, Turned)):
        program = compile_layer(BASE, matmul(m, 40, 70, batch=2, constant=False, transposed=True))
        assert type(program.tensors["y"].part) is kind


def test_the_seed_decides():
    layer = LAYERS[0]
    assert compile_layer(BASE, layer).constants == compile_layer(BASE, layer).constants
    assert compile_layer(BASE, layer, seed=1).constants != compile_layer(BASE, layer).constants


def test_int32_takes_no_activation():
    with pytest.raises(InputError, match="an int32 output takes neither an activation nor a residual"):
        compile_layer(BASE, replace(LAYERS[0], output="int32", activation="relu"))


@pytest.mark.parametrize("name", ["base", "ulx3s-85f"])
def test_neighbouring_windows_of_a_first_convolution_share_a_run(name):
    layer, rng = conv(24, 24, 3, 40 if name == "base" else 32, 3, 2, 1, activation="relu"), np.random.default_rng(1)
    program, inputs = compile_layer(PRESETS[name], layer), layer_inputs(layer)
    assert program.tensors["a"].share > 1
    assert np.array_equal(execute_interleaved(program, inputs, rng)["y"], reference_layer(layer, 0, inputs))


@pytest.mark.parametrize("layer", [matmul(3, 20_000, 5), matmul(1, 17, 9000), matmul(5000, 18, 20)], ids=str)
def test_large_sizes(layer):
    """Beyond the counts of one instruction; the longest sum has more chunks than a semaphore can count."""
    program, inputs = compile_layer(BASE, layer), layer_inputs(layer)
    (result,) = execute(open_device("emulator", BASE), program, inputs).tensors.values()
    assert np.array_equal(result, reference_layer(layer, 0, inputs))


@pytest.mark.parametrize("shape", [(2, 2, 3200, 1), (5, 4, 640, 1), (12, 12, 400, 2)], ids=str)
def test_more_depthwise_channels_than_constants_fit(shape):
    """Weights or parameters of all channels are more than their memories hold, and jobs take several channel words."""
    height, width, channels, stride = shape
    layer = conv(height, width, channels, channels, 3, stride, 1, groups=channels)
    for config in (TINY_WINDOW, replace(BASE, weight_bytes=4096)):
        program, inputs = compile_layer(config, layer), layer_inputs(layer)
        found = execute_interleaved(program, inputs, np.random.default_rng(2))["y"]
        assert np.array_equal(found, reference_layer(layer, 0, inputs)), config.name


def test_the_tiler_decides_for_the_given_memory():
    layer, slow = matmul(49, 576, 160), Timing(BASE, latency=800)
    (ours,), (theirs,) = (compile_layer(BASE, layer, timing=timing).layers[0].runs for timing in (slow, None))
    assert ours.expected_cycles == estimate(slow, ours.code).cycles < estimate(slow, theirs.code).cycles
