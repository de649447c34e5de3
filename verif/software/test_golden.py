"""The golden functions against exact arithmetic, and the golden digits network."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gemmary.models.digits import load_digits
from gemmary.models.network import (
    Add,
    AveragePool,
    Conv2D,
    MaxPool,
    Network,
    Quantization,
    Residual,
    Scale,
)
from verif.golden import network as golden
from verif.golden import numerics

INT32 = st.integers(-(2**31), 2**31 - 1)
INT8 = st.integers(-128, 127)
MANTISSA = st.integers(0, 2**24 - 1)
SHIFT = st.integers(0, 63)


def exact(t, mantissa, shift, zero_point, low, high, q=0, q_zero=0, q_mantissa=0, q_shift=0):
    """Steps 5 to 8 in rationals; Python rounds a Fraction half to even."""
    p = t * mantissa + (q - q_zero) * q_mantissa * 2 ** ((shift - q_shift) % 32)
    return min(max(round(Fraction(p, 2**shift)) + zero_point, low), high)


def wrap(value):
    """A Python int modulo 2^32, read as signed."""
    return (value + 2**31) % 2**32 - 2**31


def random_int8(rng, *shape):
    """Uniform, with the extremes more often."""
    values = rng.integers(-128, 128, shape)
    return np.where(rng.random(shape) < 0.2, rng.choice([-128, 127], shape), values).astype(np.int8)


@settings(deadline=None)
@given(t=INT32, mantissa=MANTISSA, shift=SHIFT, zero_point=INT8, clip=st.tuples(INT8, INT8))
@example(t=-(2**31), mantissa=2**24 - 1, shift=0, zero_point=-128, clip=(-128, 127))
@example(t=2**31 - 1, mantissa=2**24 - 1, shift=63, zero_point=5, clip=(-128, 127))
def test_requantize_is_exact(t, mantissa, shift, zero_point, clip):
    low, high = sorted(clip)
    y = numerics.requantize(t, mantissa, shift, zero_point, low, high)
    assert y.dtype == np.int8
    assert y == exact(t, mantissa, shift, zero_point, low, high)


@settings(deadline=None)
@given(
    t=INT32,
    mantissa=MANTISSA,
    shift=SHIFT,
    q=INT8,
    q_zero=INT8,
    q_mantissa=MANTISSA,
    q_shift=SHIFT,
)
# The widest sums, and the ties at shift 63: p = 2^62 and -2^62, where only even 0 is right.
@example(-(2**31), 2**24 - 1, 63, -128, 127, 2**24 - 1, 32)
@example(2**31 - 1, 2**24 - 1, 63, 127, -128, 2**24 - 1, 32)
@example(2**31 - 1, 2**24 - 1, 0, 127, -128, 2**24 - 1, 1)
@example(-(2**31), 2**24 - 1, 0, -128, 127, 2**24 - 1, 1)
@example(-(2**31), 127, 63, 127, -128, 8421505, 32)
@example(-(2**31), 128, 63, -128, 127, 8421504, 32)
def test_residual_is_exact(t, mantissa, shift, q, q_zero, q_mantissa, q_shift):
    y = numerics.requantize(
        t,
        mantissa,
        shift,
        residual=q,
        residual_zero_point=q_zero,
        residual_mantissa=q_mantissa,
        residual_shift=q_shift,
    )
    assert y == exact(t, mantissa, shift, 0, -128, 127, q, q_zero, q_mantissa, q_shift)


def test_requantize_of_results_in_range():
    """Arrays whose results mostly lie within int8, each channel with parameters of its own."""
    rng = np.random.default_rng(1)
    rows, channels = 40, 64
    shift = np.arange(channels)
    mantissa = rng.integers(2**22, 2**24, channels)
    t = np.clip(rng.normal(0, 60, (rows, channels)) * 2.0**shift / mantissa, -(2**31), 2**31 - 1)
    t = np.rint(t).astype(np.int32)
    q = random_int8(rng, rows, channels)
    q_shift = np.maximum(shift - 25, 0)
    got = numerics.requantize(
        t,
        mantissa,
        shift,
        -7,
        -100,
        100,
        residual=q,
        residual_zero_point=3,
        residual_mantissa=12345678,
        residual_shift=q_shift,
    )
    want = [
        [
            exact(
                *map(int, (t[r, c], mantissa[c], shift[c])),
                -7,
                -100,
                100,
                *map(int, (q[r, c], 3, 12345678, q_shift[c])),
            )
            for c in range(channels)
        ]
        for r in range(rows)
    ]
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("shift", range(1, 25))
def test_ties_go_to_even(shift):
    halves = np.arange(-255, 256, 2)  # odd, so each is a tie
    y = numerics.requantize(halves, 1 << (shift - 1), shift)
    np.testing.assert_array_equal(y, np.clip(np.round(halves / 2), -128, 127))
    assert not np.any(y % 2) or set(y[y % 2 == 1]) == {127}


def test_tie_with_a_residual_rounds_once():
    """0.5 + 1.0 is a tie to 2; rounding the two apart would give 1."""
    one = 1 << 23
    y = numerics.requantize(1, one, 24, residual=1, residual_mantissa=one, residual_shift=23, residual_zero_point=0)
    assert y == 2


@pytest.mark.parametrize("d", range(32))
def test_the_last_bit_decides_a_tie(d):
    """A residual of 0.5 or 1.5, and a product one unit of 2^-shift to either side of it."""
    y = numerics.requantize(
        [[-1], [0], [1]],
        1,
        24 + d,
        residual=[[-3, -1, 1, 3]] * 3,
        residual_mantissa=1 << 23,
        residual_shift=24,
    )
    np.testing.assert_array_equal(y, [[-2, -1, 0, 1], [-2, 0, 0, 2], [-1, 0, 1, 2]])


@settings(deadline=None)
@given(st.floats(0, 2**24, exclude_max=True, width=32))
@example(2.0**-40)
@example(float(np.nextafter(np.float32(2**-40), np.float32(0))))
@example(float(np.nextafter(np.float32(2**24), np.float32(0))))
@example(2.0**-64)
@example(3 * 2.0**-64)
@example(float(np.float32(1e-45)))
def test_scale_to_mantissa_shift(scale):
    mantissa, shift = numerics.scale_to_mantissa_shift(np.float32(scale))
    assert 0 <= mantissa < 2**24
    if scale == 0:
        assert (mantissa, shift) == (0, 0)
    elif scale >= 2.0**-40:
        assert Fraction(mantissa, 2**shift) == Fraction(scale)
        assert mantissa >= 2**23
        assert 0 <= shift <= 63
    else:
        assert (mantissa, shift) == (round(Fraction(scale) * 2**63), 63)


def test_scale_arrays_keep_their_shape():
    scales = np.array([[0.5, 1, 3e-3], [0, 1e-20, 2.0**23]], np.float32)
    mantissa, shift = numerics.scale_to_mantissa_shift(scales)
    assert (mantissa.dtype, shift.dtype) == (np.uint32, np.uint8)
    for index, scale in np.ndenumerate(scales):
        assert (mantissa[index], shift[index]) == numerics.scale_to_mantissa_shift(scale)


@pytest.mark.parametrize("scale", [2.0**24, -1.0, float("inf"), float("nan")])
def test_scales_refused(scale):
    with pytest.raises(ValueError, match="a scale is"):
        numerics.scale_to_mantissa_shift(scale)


def test_matmul_wraps():
    rng = np.random.default_rng(2)
    a, w = random_int8(rng, 5, 70), random_int8(rng, 70, 6)
    acc = rng.choice([-(2**31), 2**31 - 1, 0, 12345], (5, 6)).astype(np.int32)
    got = numerics.matmul(a, w, acc)
    want = [
        [wrap(int(acc[m, n]) + sum(int(x) * int(y) for x, y in zip(a[m], w[:, n], strict=True))) for n in range(6)]
        for m in range(5)
    ]
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, want)


def test_bias_wraps():
    np.testing.assert_array_equal(
        numerics.add_bias(np.array([2**31 - 1, -(2**31), 7], np.int32), np.array([1, -1, -8])),
        [-(2**31), 2**31 - 1, -1],
    )


def naive_windows(x, window, stride, padding, outside):
    """Each window as a list of Python ints, by `(image, row, column, channel)`."""
    batch, height, width, channels = x.shape
    (top, bottom), (left, right) = padding
    rows = range(-top, height + bottom - window[0] + 1, stride[0])
    columns = range(-left, width + right - window[1] + 1, stride[1])

    def pixel(n, r, c, channel):
        inside = 0 <= r < height and 0 <= c < width
        return int(x[n, r, c, channel]) if inside else outside

    return {
        (n, i, j, channel): [pixel(n, r + dr, c + dc, channel) for dr in range(window[0]) for dc in range(window[1])]
        for n in range(batch)
        for i, r in enumerate(rows)
        for j, c in enumerate(columns)
        for channel in range(channels)
    }


GEOMETRIES = pytest.mark.parametrize(
    ("window", "stride", "padding"),
    [
        ((3, 3), (1, 1), ((1, 1), (1, 1))),
        ((2, 2), (2, 2), ((0, 0), (0, 0))),
        ((3, 2), (2, 3), ((1, 0), (0, 2))),
        ((1, 1), (2, 2), ((0, 0), (0, 0))),
        ((5, 7), (1, 1), ((0, 0), (0, 0))),
    ],
)


@GEOMETRIES
def test_conv2d(window, stride, padding):
    rng = np.random.default_rng(3)
    x, weight = random_int8(rng, 2, 5, 7, 3), random_int8(rng, *window, 3, 4)
    got = numerics.conv2d(x, weight, stride, padding, outside=-49)
    seen = naive_windows(x, window, stride, padding, -49)
    for n, i, j, cout in np.ndindex(got.shape):
        taps = [
            value * int(factor)
            for cin in range(3)
            for value, factor in zip(seen[n, i, j, cin], weight[:, :, cin, cout].ravel(), strict=True)
        ]
        assert got[n, i, j, cout] == sum(taps)
    assert got.size * 3 == len(seen) * 4


@GEOMETRIES
def test_pools(window, stride, padding):
    rng = np.random.default_rng(4)
    x = random_int8(rng, 2, 5, 7, 3)
    largest = numerics.max_pool(x, window, stride, padding)
    size = window[0] * window[1]
    mantissa, shift = numerics.scale_to_mantissa_shift(1.25 / size)
    mean = numerics.average_pool(x, window, stride, mantissa, shift, input_zero_point=9, zero_point=-4, padding=padding)
    for index, seen in naive_windows(x, window, stride, padding, -128).items():
        assert largest[index] == max(seen)
    for index, seen in naive_windows(x, window, stride, padding, 9).items():
        assert mean[index] == exact(sum(seen) - size * 9, mantissa, shift, -4, -128, 127)
    assert largest.dtype == mean.dtype == np.int8


def test_add():
    a, b = (grid.astype(np.int8) for grid in np.meshgrid(*[np.arange(-128, 128, 5)] * 2))
    a_scale = numerics.scale_to_mantissa_shift(0.31)
    b_scale = numerics.scale_to_mantissa_shift(1.7)
    got = numerics.add(a, b, *a_scale, *b_scale, a_zero_point=-128, b_zero_point=7, zero_point=-50)
    want = [
        exact(int(x) + 128, *a_scale, -50, -128, 127, int(y), 7, *b_scale)
        for x, y in zip(a.ravel(), b.ravel(), strict=True)
    ]
    np.testing.assert_array_equal(got.ravel(), want)


def test_table():
    entries = np.random.default_rng(5).permutation(256).astype(np.uint8).view(np.int8)
    y = np.arange(-128, 128, dtype=np.int8)
    np.testing.assert_array_equal(numerics.table(y, entries), entries)
    assert numerics.table(np.int8(-128), entries) == entries[0]


# The digits network.


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture(scope="module")
def activations(digits):
    return golden.run(digits.network, digits.images)


def float_network(parameters, images):
    """Every tensor of the float32 network, in NumPy, for images of 0..1."""

    def conv(x, name):
        weight = parameters[f"{name}.weight"]
        seen = numerics.windows(x, weight.shape[:2], padding=((1, 1), (1, 1)))
        return np.tensordot(seen, weight, axes=3) + parameters[f"{name}.bias"]

    conv1 = np.maximum(conv(images, "conv1"), 0)
    conv2 = np.maximum(conv(conv1, "conv2") + conv1, 0)
    pool = conv2.reshape(-1, 4, 2, 4, 2, 16).max(axis=(2, 4))
    dense = pool.reshape(-1, 256) @ parameters["dense.weight"] + parameters["dense.bias"]
    return {"conv1": conv1, "conv2": conv2, "pool": pool, "dense": dense}


def test_digits_file(digits):
    network = digits.network
    assert network.shapes == {
        "image": (8, 8, 1),
        "conv1": (8, 8, 16),
        "conv2": (8, 8, 16),
        "pool": (4, 4, 16),
        "dense": (10,),
    }
    assert digits.images.dtype == np.int8
    assert digits.images.shape == (len(digits.labels), 8, 8, 1)
    assert len(digits.images) >= 360
    assert digits.images.min() == -128
    assert digits.images.max() == -112
    assert set(digits.labels) == set(range(10))
    zero_points = {tensor.zero_point for tensor in network.quantization.values()}
    assert 0 not in zero_points
    assert abs(network.quantization["conv1"].zero_point) < 127  # what conv2 pads with


def test_digits_scales(digits):
    """Every stored scale follows from the tensors' and weights' scales as numerics.md says."""
    quantization = digits.network.quantization

    def check(scale, real):
        np.testing.assert_array_equal(scale.real, np.asarray(real, np.float32))
        mantissa, shift = numerics.scale_to_mantissa_shift(scale.real)
        np.testing.assert_array_equal(scale.mantissa, mantissa)
        np.testing.assert_array_equal(scale.shift, shift)

    for layer in digits.network.layers:
        if isinstance(layer, MaxPool):
            continue
        assert layer.weight.dtype == np.int8
        assert (layer.bias.dtype, layer.weight_scale.dtype) == (np.int32, np.float32)
        assert layer.bias.shape == layer.weight_scale.shape == layer.weight.shape[-1:]
        factor = quantization[layer.input].scale * layer.weight_scale.astype(np.float64)
        check(layer.scale, factor / quantization[layer.output].scale)
        if layer.residual:
            other = quantization[layer.residual.tensor].scale
            check(layer.residual.scale, other / quantization[layer.output].scale)


def test_digits_accuracy(digits, activations):
    images = (digits.images + np.float32(128)) / 16
    logits = float_network(digits.float_parameters, images)["dense"]
    assert np.mean(logits.argmax(axis=1) == digits.labels) == digits.accuracy_float

    accuracy = np.mean(activations["dense"].argmax(axis=1) == digits.labels)
    assert accuracy >= 0.97
    assert abs(accuracy - digits.accuracy_float) <= 0.01


def test_digits_layers_follow_float(digits, activations):
    """Each int8 layer stays within a few steps of the float one, at the borders as inside."""
    images = (digits.images + np.float32(128)) / 16
    for name, real in float_network(digits.float_parameters, images).items():
        tensor = digits.network.quantization[name]
        q = real / tensor.scale + tensor.zero_point
        error = np.abs(activations[name] - np.clip(q, -128, 127))
        assert activations[name].dtype == np.int8
        assert error.max() < 5
        assert error.mean() < 0.7


def test_digits_by_hand(digits, activations):
    """One image in Python ints, subtracting each zero point where it is read, folding nothing."""
    network = digits.network
    conv2 = network.layers[1]
    zero = {name: tensor.zero_point for name, tensor in network.quantization.items()}
    x = activations["conv1"][:1].astype(int)
    for row, column in [(0, 0), (0, 5), (7, 7), (3, 4)]:
        for channel in range(16):
            total = int(conv2.bias[channel])
            for dr, dc, cin in np.ndindex(3, 3, 16):
                r, c = row + dr - 1, column + dc - 1
                if 0 <= r < 8 and 0 <= c < 8:
                    weight = int(conv2.weight[dr, dc, cin, channel])
                    total += (int(x[0, r, c, cin]) - zero["conv1"]) * weight
            other = conv2.residual.scale
            want = exact(
                total,
                int(conv2.scale.mantissa[channel]),
                int(conv2.scale.shift[channel]),
                zero["conv2"],
                zero["conv2"],
                127,
                int(x[0, row, column, channel]),
                zero["conv1"],
                other.mantissa,
                other.shift,
            )
            assert activations["conv2"][0, row, column, channel] == want


# The layers that the digits network lacks, and networks that do not fit together.


def scale_of(real):
    return Scale(real, *numerics.scale_to_mantissa_shift(real))


def test_average_pool_and_add_layers():
    network = Network(
        name="pools",
        input="x",
        input_shape=(4, 4, 3),
        output="sum",
        quantization={
            "x": Quantization(0.5, 3),
            "largest": Quantization(0.5, 3),
            "mean": Quantization(0.25, -20),
            "sum": Quantization(1.0, 11),
        },
        layers=(
            MaxPool("largest", "x", "largest", window=(2, 2), stride=(2, 2)),
            AveragePool("mean", "x", "mean", (2, 2), (2, 2), scale_of(0.5 / (4 * 0.25))),
            Add("sum", "mean", "sum", scale_of(0.25), Residual("largest", scale_of(0.5)), low=11),
        ),
    )
    x = random_int8(np.random.default_rng(6), 3, 4, 4, 3)
    got = golden.run(network, x)
    blocks = x.astype(int).reshape(3, 2, 2, 2, 2, 3)
    largest = blocks.max(axis=(2, 4))
    mean = np.clip(np.round((blocks.sum(axis=(2, 4)) - 12) / 2) - 20, -128, 127)
    total = np.clip(np.round((mean + 20) / 4 + (largest - 3) / 2) + 11, 11, 127)
    np.testing.assert_array_equal(got["largest"], largest)
    np.testing.assert_array_equal(got["mean"], mean)
    np.testing.assert_array_equal(got["sum"], total)


def one_layer(layer, **quantization):
    tensors = {"x": Quantization(1.0, 0), "y": Quantization(1.0, 0)} | quantization
    return Network("one", "x", (4, 4, 2), "y", tensors, (layer,))


def convolution(cin=2, residual=None, real=0.01):
    scales = np.full(2, real, np.float32)
    return Conv2D(
        "conv",
        "x",
        "y",
        weight=np.zeros((1, 1, cin, 2), np.int8),
        bias=np.zeros(2, np.int32),
        weight_scale=scales,
        scale=scale_of(scales),
        residual=residual,
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: one_layer(convolution(cin=3)), "2 input channels"),
        (lambda: one_layer(convolution(residual=Residual("z", scale_of(1.0)))), "residual 'z'"),
        (lambda: one_layer(convolution(residual=Residual("x", scale_of(1e-3)))), "within 0..31"),
        (lambda: one_layer(MaxPool("pool", "z", "y", (2, 2), (2, 2))), "no tensor 'z'"),
        (lambda: one_layer(MaxPool("pool", "x", "x", (2, 2), (2, 2))), "a second time"),
        (
            lambda: one_layer(MaxPool("pool", "x", "y", (2, 2), (2, 2)), y=Quantization(2.0, 0)),
            "cannot change the quantization",
        ),
        (lambda: one_layer(convolution(), z=Quantization(1.0, 0)), r"\['z'\]"),
    ],
)
def test_networks_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_images_refused(digits):
    with pytest.raises(ValueError, match="images are int8"):
        golden.run(digits.network, digits.images.astype(np.int32))
