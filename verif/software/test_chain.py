"""Networks as one program: every tensor against NumPy, NumPy against the golden model; and what cannot be one program."""

import math
from dataclasses import replace

import numpy as np
import pytest

from gemmary.compiler.chain import chain_input, compile_chain, reference_chain
from gemmary.compiler.chain.memory import place_tensors
from gemmary.compiler.chain.values import ChainValues
from gemmary.compiler.checker import check_program
from gemmary.config import PRESETS
from gemmary.errors import InputError
from gemmary.isa import Opcode, Space, decode_program
from gemmary.runtime.device import open_device
from gemmary.runtime.execute import execute
from gemmary.workloads import INPUT, Conv, Matmul, Mean, Network, Step, load
from gemmary.workloads.network import TINY
from verif.golden import numerics
from verif.software.interleave import execute_interleaved
from verif.software.test_layers import golden

BASE = PRESETS["base"]


def chain(shape, *operations, name="net"):
    """A network of (operation, input, residual) or operations alone, each reading the one before."""
    steps = []
    for number, each in enumerate(operations):
        operation, *names = each if isinstance(each, tuple) else (each,)
        source, residual = [*names, *[None, None][len(names) :]]
        steps.append(Step(f"t{number}", operation, source or (steps[-1].name if steps else INPUT), residual))
    layers = tuple(step.operation for step in steps if not isinstance(step.operation, Mean))
    rest = {"title": "", "source": "", "published_macs": 0, "published_source": "", "tolerance": 0}
    return Network(name=name, input=shape, layers=layers, steps=tuple(steps), **rest)


def conv(height, width, cin, cout, kernel=1, stride=1, padding=0, **options):
    kernel, stride = (each if isinstance(each, tuple) else (each,) * 2 for each in (kernel, stride))
    padding = padding if isinstance(padding, tuple) else (padding,) * 4
    sizes = {"height": height, "width": width, "cin": cin, "cout": cout}
    return Conv(name="conv", **sizes, kernel=kernel, stride=stride, padding=padding, **options)


def depthwise(height, width, channels, stride=1, padding=1):
    return conv(height, width, channels, channels, 3, stride, padding, groups=channels, activation="relu")


def dense(k, n, m=1, **options):
    return Matmul(name="dense", m=m, k=k, n=n, **options)


SOME = {
    "residuals": chain(
        (13, 11, 20),
        conv(13, 11, 20, 40, 3, 2, (0, 1, 1, 1), activation="relu"),
        conv(6, 6, 40, 40, 3, 1, 1, activation="relu"),
        (conv(6, 6, 40, 40, 1, residual=True), "t1", "t0"),
        (conv(6, 6, 40, 40, 1, residual=True, activation="relu"), "t2", "t1"),
        Mean(5, 4, (6, 6, 40)),
        dense(40, 70, activation="relu"),
        dense(70, 9),
    ),
    "the input again": chain(
        (20, 20, 20), conv(20, 20, 20, 20, 3, 1, 1), (conv(20, 20, 20, 20, residual=True), None, INPUT)
    ),
    "first": chain(
        (17, 9, 3), conv(17, 9, 3, 24, 5, 2, 2, activation="relu"), conv(9, 5, 24, 20, 3, 1, 1), Mean(9, 5, (9, 5, 20))
    ),
    "shared": chain((12, 24, 3), conv(12, 24, 3, 20, 3, 2, (0, 1, 0, 1)), conv(6, 12, 20, 8, 1)),
    "shared and small": chain((2, 6, 1), conv(2, 6, 1, 64, 3, 1, (1, 0, 1, 1)), conv(1, 6, 64, 24)),
    "large mean": chain((12, 20, 16), conv(12, 20, 16, 40, 1), Mean(11, 20, (12, 20, 40)), dense(40, 3)),
    "rows": chain(
        (37, 50), dense(50, 33, 37, activation="relu"), dense(33, 50, 37, residual=False), dense(50, 300, 37)
    ),
    "dense": chain((1, 1000), dense(1000, 30, activation="relu"), dense(30, 500), dense(500, 20), dense(20, 1)),
}
GROUPS = {
    "pairs": chain((7, 9, 24), conv(7, 9, 24, 24, 3, 1, 1, groups=12), conv(7, 9, 24, 40), Mean(7, 9, (7, 9, 40))),
    "wide groups": chain((6, 6, 16), conv(6, 6, 16, 48), conv(6, 6, 48, 48, 3, 2, 1, groups=6), conv(3, 3, 48, 48)),
    "large kernel": chain((9, 9, 40), conv(9, 9, 40, 40, 5, 1, 2, groups=40), conv(9, 9, 40, 24, residual=False)),
    "many tiles": chain((9, 9, 200), conv(9, 9, 200, 200, 5, 1, 2, groups=200), conv(9, 9, 200, 8)),
}
WINDOWS = {
    "stride 1": chain(
        (9, 7, 36), depthwise(9, 7, 36), conv(9, 7, 36, 20, 1), depthwise(9, 7, 20), Mean(9, 7, (9, 7, 20))
    ),
    "stride 2": chain((12, 14, 40), depthwise(12, 14, 40, 2, (0, 1, 0, 1)), conv(6, 7, 40, 70), depthwise(6, 7, 70, 2)),
    "small": chain(
        (8, 8, 90), depthwise(8, 8, 90, 2), depthwise(4, 4, 90), depthwise(4, 4, 90, 2), depthwise(2, 2, 90)
    ),
    "pieces": chain(
        (40, 30, 20), depthwise(40, 30, 20), depthwise(40, 30, 20, 2), conv(20, 15, 20, 20, activation="relu")
    ),
    "a piece of padding": chain((5, 13, 20), depthwise(5, 13, 20), conv(5, 13, 20, 5)),
    "no padding": chain((9, 9, 20), depthwise(9, 9, 20, 1, 0), depthwise(7, 7, 20, 1, (1, 0, 0, 1))),
}


UPON = {
    "windows": chain(
        (16, 20, 3),
        conv(16, 20, 3, 8, 3, 1, 1),
        conv(16, 20, 8, 8, 3, 1, 1),
        conv(16, 20, 8, 5),
        Mean(16, 20, (16, 20, 5)),
    ),
    "windows that share tiles": chain((13, 16, 8), conv(13, 16, 8, 8, 3, 1, 1), conv(13, 16, 8, 8, 5, 2, 2)),
    "the input itself": chain(
        (16, 20, 8), conv(16, 20, 8, 8, 1), (conv(16, 20, 8, 8, 3, 1, 1)), conv(16, 20, 8, 40, 2, 2)
    ),
    "groups": chain(
        (16, 20, 3),
        conv(16, 20, 3, 8, 1),
        conv(16, 20, 8, 8, 3, 1, 1, groups=8),
        conv(16, 20, 8, 8, 5, 1, 2, groups=2),
        conv(16, 20, 8, 70, 4, 4),
    ),
    "fewer lines": chain(
        (20, 16, 3), conv(20, 16, 3, 8, 3, 1, 1), conv(20, 16, 8, 8, 3, (1, 2), 1), conv(20, 8, 8, 30, 3, 2)
    ),
    "residual": chain(
        (20, 16, 3),
        conv(20, 16, 3, 8, 3, 1, 1),
        conv(20, 16, 8, 8, 1, 2),
        conv(10, 8, 8, 8, 3, 1, 1),
        (conv(10, 8, 8, 8, residual=True), "t2", "t1"),
    ),
}


ALL = SOME | WINDOWS | GROUPS


def differing(network, config, seed=0, *, keep=True):
    """Names of the tensors of ``network`` (not ``keep``: the last one) that the emulator gets wrong, its engines taking turns at random.
    The program is a sound one by the checker."""
    array = chain_input(network, seed)
    expected = reference_chain(network, seed, array)
    program = compile_chain(config, network, seed=seed, keep=keep)
    assert check_program(program) == []
    found = execute_interleaved(program, {INPUT: array}, np.random.default_rng(seed))
    assert found.keys() == (expected.keys() - {INPUT} if keep else {network.steps[-1].name})
    return [name for name, tensor in found.items() if not np.array_equal(tensor, expected[name])]


@pytest.mark.parametrize("name", TINY)
def test_every_tensor_of_the_tiny_networks(name):
    assert not differing(load(name), BASE)


@pytest.mark.parametrize("name", ALL)
def test_every_tensor(name):
    assert not differing(ALL[name], BASE, 1)


@pytest.mark.parametrize("preset", ["ulx3s-85f", "ulx3s-pair", "ulx3s-mixed"])
@pytest.mark.parametrize("name", ["resnet8", "ds-cnn", "autoencoder"])
def test_every_tensor_of_the_tiny_networks_on_boards(name, preset):
    assert not differing(load(name), PRESETS[preset])


@pytest.mark.parametrize("columns", [4, 8, 32])
@pytest.mark.parametrize("name", ALL)
def test_fewer_columns_than_rows(name, columns):
    """And no window: an activation word is eight, four, or one of the vector engine's."""
    config = replace(BASE, rows=32, columns=columns, lanes=columns, bus_bytes=4, window_line=0, parameter_rows=128)
    assert not differing(ALL[name], config, 2)


@pytest.mark.parametrize("name", UPON)
def test_results_upon_their_inputs(name):
    """Where there is room for one of them only. Kept tensors, which lie apart, do not fit."""
    config = replace(BASE, rows=32, columns=8, lanes=8, bus_bytes=4, window_line=0, activation_bytes=16 << 10)
    with pytest.raises(InputError, match="activation_bytes = 16384 does not hold"):
        compile_chain(config, UPON[name], keep=True)
    assert not any(differing(UPON[name], config, seed, keep=False) for seed in range(3))


@pytest.mark.parametrize(
    ("config", "network"),
    [
        # A mean is written while several column tiles still read the input of the step that makes what it is taken of.
        (
            replace(BASE, activation_bytes=2048, window_line=0),
            chain((5, 5, 16), conv(5, 5, 16, 16), conv(5, 5, 16, 64, 3, 1, 1), Mean(5, 5, (5, 5, 64)), dense(64, 10)),
        ),
        # Lines are left out, so a result would begin behind its input, where more of that is to come.
        (
            replace(BASE, rows=32, columns=8, lanes=8, bus_bytes=4, window_line=0, activation_bytes=16 << 10),
            chain((4, 128, 8), conv(4, 128, 8, 8, 1, 2), conv(2, 64, 8, 8), Mean(2, 64, (2, 64, 8))),
        ),
    ],
    ids=["mean", "lines left out"],
)
def test_what_must_lie_apart_does(config, network):
    with pytest.raises(InputError, match="does not hold"):
        compile_chain(config, network)
    assert not differing(network, replace(config, activation_bytes=config.activation_bytes * 2), keep=False)


def test_a_tiny_network_that_has_no_room_for_two_tensors():
    assert not differing(load("mobilenet-v1-025"), PRESETS["ulx3s-mixed"], keep=False)


def test_parts_of_words_that_nothing_makes_are_filled_once():
    """And before they are read; where every part is made, or only a mean is taken, nothing is filled."""
    config = replace(BASE, rows=32, window_line=0)

    def fills(channels, *rest):
        network = chain((5, 5, 4), conv(5, 5, 4, channels), *rest)
        (run,) = compile_chain(config, network).layers[0].runs
        return sum(
            each.count_x
            for each in decode_program(run.code)
            if each.opcode == Opcode.LOAD and each.fill_only and each.space == Space.ACTIVATION
        )

    twice = (conv(5, 5, 16, 32), (conv(5, 5, 16, 32, residual=True), "t0", "t1"))
    assert fills(16, *twice) == 25
    assert fills(32, conv(5, 5, 32, 32)) == 0
    assert fills(16, Mean(5, 5, (5, 5, 16)), dense(16, 32)) == 1


@pytest.mark.parametrize("name", SOME)
def test_a_smaller_array(name):
    assert not differing(SOME[name], PRESETS["small"], 2)


@pytest.mark.parametrize("network", [load("ds-cnn"), *ALL.values()], ids=["ds-cnn", *ALL])
def test_reference_is_the_golden_model(network):
    seed, array = 3, chain_input(network, 3)
    values, found = ChainValues(network, seed), reference_chain(network, seed, array)
    for step in network.steps:
        operation, source = step.operation, found[step.input]
        if isinstance(operation, Mean):
            part, zero = source[: operation.height, : operation.width].astype(np.int64), values.zero_points[step.name]
            count = operation.height * operation.width
            mantissa, shift = numerics.scale_to_mantissa_shift(np.float32(1 / count))
            sums = numerics.add_bias(part.sum(axis=(0, 1))[None], -count * zero)
            expected = numerics.requantize(sums, mantissa, shift, zero)
        else:
            image = isinstance(operation, Conv)
            inputs = {"a": source, **({"residual": found[step.residual]} if step.residual else {})}
            inputs = {name: each[None] if image else each for name, each in inputs.items()}
            expected = golden(operation, 0, inputs, values.layers[step.name])
            expected = expected[0] if image else expected
        assert np.array_equal(found[step.name], expected), step.name


@pytest.mark.parametrize("name", TINY)
def test_activations_stay_alive(name):
    """No tensor is nearly constant or mostly clipped, and another input gives other results everywhere."""
    network = load(name)
    found, other = (reference_chain(network, 0, chain_input(network, seed)) for seed in (0, 1))
    for step in network.steps:
        tensor = found[step.name]
        assert np.mean(np.abs(tensor.astype(int) + 0.5) > 127) < 0.25, step.name
        assert np.mean(tensor == tensor.min()) < 0.8 and len(np.unique(tensor)) >= min(tensor.size, 4), step.name
        assert np.mean(tensor != other[step.name]) > 0.1, step.name


@pytest.mark.parametrize("name", [*TINY, *SOME])
def test_tensors_that_are_needed_together_lie_apart(name):
    """In the smallest memory that holds them."""
    network = load(name) if name in TINY else SOME[name]
    *positions, channels = network.input
    source, placed = (-(-channels // 16), math.prod(positions)), {}
    for size in (1 << n for n in range(10, 20)):
        try:
            placed = place_tensors(
                replace(BASE, activation_bytes=size), network, source, [s.name for s in network.steps]
            )
            break
        except InputError:
            continue
    last = {tensor: i for i, step in enumerate(network.steps) for tensor in step.reads}
    for i, step in enumerate(network.steps):
        made = {INPUT, *(each.name for each in network.steps[: i + 1])}
        words = [
            word
            for tensor in made
            if last.get(tensor, len(network.steps)) >= i or tensor == step.name
            for word in range(placed[tensor].address, placed[tensor].address + placed[tensor].size)
        ]
        assert len(words) == len(set(words)) and max(words) < size // 16


def test_the_seed_decides():
    network = load("autoencoder")
    one, same, other = (compile_chain(BASE, network, seed=seed).constants for seed in (0, 0, 1))
    assert one == same != other


@pytest.mark.nightly
@pytest.mark.parametrize("preset", ["ulx3s-85f", "ulx3s-pair", "ulx3s-mixed"])
@pytest.mark.parametrize("name", ["resnet8", "ds-cnn", "autoencoder", *SOME, *GROUPS])
def test_rtl_of_boards(name, preset):
    network = load(name) if name not in ALL else ALL[name]
    assert rtl_differs(network, PRESETS[preset], latency=100, stall_probability=0.1) == []


@pytest.mark.nightly
@pytest.mark.parametrize(
    "options", [{"latency": 20}, {"latency": 400}, {"latency": 100, "stall_probability": 0.2}], ids=str
)
@pytest.mark.parametrize("name", [*TINY, *ALL])
def test_rtl(name, options):
    assert rtl_differs(load(name) if name in TINY else ALL[name], BASE, **options) == []


def rtl_differs(network, config, **options):
    """As ``differing``, on RTL."""
    program, array = compile_chain(config, network, seed=4, keep=True), chain_input(network, 4)
    size = math.ceil(program.memory_bytes / (1 << 20)) << 20
    device = open_device("rtl", config, memory_bytes=size, bytes_per_cycle=config.bus_bytes, seed=4, **options)
    try:
        found = execute(device, program, {INPUT: array}).tensors
    finally:
        device.close()
    expected = reference_chain(network, 4, array)
    return [name for name, tensor in found.items() if not np.array_equal(tensor, expected[name])]


LARGE = conv(100, 100, 16, 16)


@pytest.mark.parametrize(
    ("config", "network", "message"),
    [
        (BASE, load("resnet18"), "network 'resnet18': steps are missing, which say how its layers follow one another"),
        (BASE, chain((100, 100, 16), LARGE), "step 'input': activation_bytes = 131072 does not hold its 160000 bytes"),
        (
            PRESETS["small"],
            load("resnet8"),
            "step 'stack1.conv1': activation_bytes = 32768 does not hold its 16384 bytes",
        ),
        (
            BASE,
            chain((4, 4, 16), conv(4, 4, 16, 32, 3, 1, 1, groups=4)),
            "step 't0': a group must have as many inputs as outputs, and a number of them that divides 16, in one program",
        ),
        (PRESETS["nano"], load("resnet8"), "config 'nano': a network as one program takes dma"),
        (
            BASE,
            chain((1, 16), dense(16, 4, output="int32")),
            "step 't0': output must be int8, and activation none, relu or relu6",
        ),
        (
            BASE,
            chain((1, 16), dense(16, 4, activation="gelu")),
            "step 't0': output must be int8, and activation none, relu or relu6",
        ),
        (
            BASE,
            chain((3, 16), dense(16, 4, 3, constant=False)),
            "step 't0': the right operand must be constant, and batch 1",
        ),
        (
            BASE,
            chain((2, 600, 16), conv(2, 600, 16, 16)),
            "step 't0': a line of 600 sums must fit half of accumulator_rows, which is 256",
        ),
        (
            BASE,
            chain((1, 16), dense(16, 9000)),
            "step 't0': 563 column tiles must fit half of accumulator_rows, which is 256",
        ),
        (
            BASE,
            chain((4, 4, 16), conv(4, 4, 16, 2000)),
            "step 't0': 125 column tiles must fit parameter_rows, which is 64",
        ),
        (
            BASE,
            chain((4, 4, 1600), conv(4, 4, 1600, 16, 3)),
            "step 't0': 230400 bytes of weights must fit weight_bytes, which is 65536",
        ),
    ],
)
def test_what_cannot_be_one_program(config, network, message):
    with pytest.raises(InputError) as error:
        compile_chain(config, network)
    assert message in str(error.value)
