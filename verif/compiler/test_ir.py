"""The graph level: its text reads back as itself, its reference computes docs/numerics.md, and nonsense gets one sentence."""

import numpy as np
import pytest
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block

from gemmary.compiler import ir
from gemmary.compiler.ir.numerics import multiplier, requantize
from gemmary.errors import InputError
from verif.compiler import texts
from verif.golden import numerics

CONV = """
func.func @main(%x: tensor<1x4x4x2x!graph.q<0.5, -3>>) -> tensor<1x4x4x3x!graph.q<1.0e-07, 4>> {
  %w = graph.constant {value = dense<2> : tensor<3x3x2x3xi8>} : tensor<3x3x2x3xi8>
  %s = graph.constant {value = dense<0.01> : tensor<1xf32>} : tensor<1xf32>
  %y = graph.conv2d %x, %w scale %s : tensor<1xf32> {source = "c1", padding = array<i64: 1, 1, 1, 1>} :
    tensor<1x4x4x2x!graph.q<0.5, -3>>, tensor<3x3x2x3xi8> -> tensor<1x4x4x3x!graph.q<1.0e-07, 4>>
  func.return %y : tensor<1x4x4x3x!graph.q<1.0e-07, 4>>
}
"""


@pytest.mark.parametrize("kind", [texts.random_conv, texts.random_matmul])
@pytest.mark.parametrize("seed", range(12))
def test_reference_computes_the_numerics(kind, seed):
    model, inputs, expected = kind(seed)
    np.testing.assert_array_equal(ir.interpret(model.verify(), inputs)["y"], expected)


@pytest.mark.parametrize("kind", [texts.random_conv, texts.random_matmul])
def test_text_reads_back_as_itself(kind, tmp_path):
    model, inputs, expected = kind(5)
    model.save(tmp_path / "model.mlir")
    again = ir.load(tmp_path / "model.mlir")
    assert again.text() == model.text()
    np.testing.assert_array_equal(ir.interpret(again, inputs)["y"], expected)


@pytest.mark.parametrize("scale", [0.1, 1e-30, 1.1754942e-38, 3.4e38, 1 / 3, 5])
def test_scales_read_back_exactly(scale):
    model = ir.parse(CONV.replace("0.5, -3", f"{float(np.float32(scale)):.20e}, -3"))
    found = ir.parse(model.text()).block.args[0].type.element_type.scale.data
    assert found == float(np.float32(scale))


@pytest.mark.parametrize("seed", range(4))
def test_rescaling_rounds_as_the_golden_numerics(seed):
    rng = np.random.default_rng(seed)
    scales = np.exp2(rng.uniform(-45, 20, 64)).astype(np.float32)
    sums = rng.integers(-(1 << 31), 1 << 31, (50, 64)).astype(np.int32) >> rng.integers(0, 31, (50, 64))
    sums[:8] = [[1], [3], [-1], [-3], [5], [-5], [1 << 20], [-(1 << 20)]]
    scales[:8] = 0.5  # ties
    mantissa, shift = numerics.scale_to_mantissa_shift(scales)
    expected = numerics.requantize(sums, mantissa, shift, 7)
    np.testing.assert_array_equal(requantize(sums, scales, 7, -128, 127), expected)


def test_multipliers_are_exact():
    scales = np.exp2(np.random.default_rng(0).uniform(-60, 24, 500)).astype(np.float32)
    for scale in [0, 2.0**-40, 2.0**-41, 2.0**-39, 1, 2.0**23, *scales[scales < 2**24]]:
        assert multiplier(scale) == numerics.scale_to_mantissa_shift(np.float32(scale))
    for scale in (2.0**24, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="a scale must be 0 or positive and below"):
            multiplier(scale)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "array<i64: 1, 1, 1, 1>",
            "array<i64: 1, 1, 0, 1>",
            "graph.conv2d (c1): result must have the shape [1, 4, 3, 3]",
        ),
        ("array<i64: 1, 1, 1, 1>", "array<i64: 1>", "strides and dilations take 2 numbers, padding 4"),
        ('"c1"', '"c1", low = 130 : i64', "low and high must be in order within −128 … 127, not 130 and 127"),
        ('"c1"', '"c1", groups = 2 : i64', "2 channels do not fit weight [3, 3, 2, 3] in 2 groups"),
        ('"c1"', '"c1", residual_scale = 1.0 : f32', "residual and residual_scale belong together"),
        ("scale %s : tensor<1xf32>", "", "a scale belongs to a result of !graph.q"),
        ("scale %s", "scale %w", "text, line 5: "),
        ("0.5, -3", "0.5, -300", "zero point of !graph.q must be −128 to 127, not -300"),
        ("0.5, -3", "-0.5, -3", "scale of !graph.q must be a positive float32"),
        ("graph.conv2d", "graph.conv3d", "text, line 5: "),
        ("func.return", "graph.constant", "text, line 7: "),
        ("value = dense<2> : tensor<3x3x2x3xi8>", "", "give a value or the name of a resource"),
        ("@main", "@other", "the module has no function @main"),
    ],
)
def test_nonsense_gets_one_sentence(old, new, sentence):
    assert old in CONV
    with pytest.raises(InputError) as error:
        assert ir.parse(CONV.replace(old, new)).function
    message = str(error.value)
    assert sentence in message and "\n" not in message


def test_missing_resources_are_named():
    text = CONV.replace("value = dense<2> : tensor<3x3x2x3xi8>", 'resource = "kernel"')
    with pytest.raises(InputError, match="resource 'kernel' is missing"):
        ir.interpret(ir.parse(text), {"input0": np.zeros((1, 4, 4, 2), np.int8)})
    with pytest.raises(InputError, match=r"resource 'kernel' must be int8 \[3, 3, 2, 3\], not int8 \[3\]"):
        ir.interpret(ir.parse(text, {"kernel": np.zeros(3, np.int8)}), {"input0": np.zeros((1, 4, 4, 2), np.int8)})


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({}, "input 'input0' is missing"),
        ({"input0": np.zeros((1, 4, 4, 2), np.float32)}, r"must be int8 \[1, 4, 4, 2\], not float32"),
        ({"input0": np.zeros((1, 4, 4, 2), np.int8), "z": np.zeros(1)}, "unknown input 'z': the model takes input0"),
    ],
)
def test_wrong_inputs_are_named(inputs, sentence):
    with pytest.raises(InputError, match=sentence):
        ir.interpret(ir.parse(CONV), inputs)


def test_infinities_survive_the_text():
    context, block = ir.GraphContext(), Block()
    numbers = np.array([-np.inf, 1, np.nan], np.float32)
    constant = context.constant("mask", numbers)
    block.add_ops([constant, ReturnOp(constant.result)])
    model = ir.new_model(context, block, [], ["y"], 21)
    again = ir.parse(model.text(), model.context.arrays)
    np.testing.assert_array_equal(again.context.array(again.block.first_op), numbers)
