"""Transformers with wide residual streams: float in, int8 products on the device, the rest wide on the host."""

import numpy as np
import pytest

from gemmary.compiler import ir, lowering
from gemmary.config import preset
from gemmary.errors import InputError
from gemmary.runtime.device import open_device

onnx = pytest.importorskip("onnx", reason="needs the extra onnx: pip install 'gemmary[onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'gemmary[onnx]'")

from gemmary.compiler.backend import compile_model, explain, run_compiled, signal_to_noise  # noqa: E402
from gemmary.compiler.frontends.calibrate import calibrate  # noqa: E402
from gemmary.compiler.frontends.equalize import equalize  # noqa: E402
from gemmary.compiler.frontends.onnx import import_onnx  # noqa: E402
from gemmary.compiler.frontends.onnx_wide import multiplies_activations, quantize_wide  # noqa: E402
from gemmary.compiler.passes import run_pipeline  # noqa: E402
from verif.compiler import onnx_models, transformer_models  # noqa: E402
from verif.golden import numerics  # noqa: E402

BASE = preset("base")
VOCABULARY, WIDTH, HEADS, HIDDEN = 40, 32, 2, 48


def tiny(layers: int = 1) -> onnx.ModelProto:
    return transformer_models.bert(WIDTH, HEADS, HIDDEN, layers, VOCABULARY, 32)


def sentences(count: int, length: int, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = np.arange(length) < rng.integers(length // 2, length + 1, (count, 1))
    return {"input_ids": rng.integers(0, VOCABULARY, (count, length)) * mask, "attention_mask": mask.astype(np.int64)}


def quantized(model, batch: int, length: int) -> ir.Model:
    imported = import_onnx(model, {"sequence": length}, batch)
    return run_pipeline(quantize_wide(imported, sentences(8, length, seed=7)))


def cosines(a, b) -> np.ndarray:
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def kinds(ops) -> list[str]:
    return [op.name.removeprefix("graph.") for op in ops]


SIZES = [
    (1, 10, True),
    (2, 10, False),
    pytest.param(1, 16, True, marks=pytest.mark.nightly),
    pytest.param(2, 16, True, marks=pytest.mark.nightly),
]


@pytest.mark.parametrize(("batch", "length", "joined"), SIZES)
def test_a_block_from_float_to_the_device(batch, length, joined, tmp_path, monkeypatch):
    monkeypatch.setattr(lowering, "CANDIDATES", 1, raising=False)  # any tiling will do
    float_model, x = tiny(), sentences(batch, length)
    model = quantized(float_model, batch, length)
    (expected,) = ir.interpret(model, x).values()
    (real,) = runtime.InferenceSession(float_model.SerializeToString()).run(None, x)
    assert cosines(real, expected).min() > 0.98
    compiled = compile_model(model, BASE)
    (found,) = run_compiled(compiled, open_device("emulator", BASE), x).outputs.values()
    np.testing.assert_array_equal(found, expected)
    totals = explain(compiled)["totals"]
    assert totals["device_share"] == 1.0
    # Projections and scores; the mixed values and their projection; both dense layers with GELU between them.
    device = [kinds(step.segment.ops) for step in compiled.steps if step.program]
    assert [len(ops) for ops in device] == [4, 2, 2]
    assert ("transpose" in kinds(compiled.fallbacks)) != joined
    assert {"softmax", "layer_norm"} <= set(kinds(compiled.fallbacks))
    model.save(tmp_path / "model.mlir")
    again = ir.load(tmp_path / "model.mlir")
    assert again.text() == model.text()
    np.testing.assert_array_equal(next(iter(ir.interpret(again, x).values())), expected)


def test_a_vision_transformer(monkeypatch):
    """Patches by a convolution; query, key and value from one dense layer, scaled before their product."""
    monkeypatch.setattr(lowering, "CANDIDATES", 1, raising=False)
    float_model = transformer_models.vit(WIDTH, HEADS, HIDDEN, layers=1, patches=3, patch=4)
    x = {"image": np.random.default_rng(1).normal(0, 1, (6, 3, 12, 12)).astype(np.float32)}
    model = run_pipeline(quantize_wide(import_onnx(float_model), x))
    one = {"image": x["image"][:1]}
    (expected,) = ir.interpret(model, one).values()
    (real,) = runtime.InferenceSession(float_model.SerializeToString()).run(None, one)
    assert cosines(real, expected).min() > 0.98
    compiled = compile_model(model, BASE)
    (found,) = run_compiled(compiled, open_device("emulator", BASE), one).outputs.values()
    np.testing.assert_array_equal(found, expected)
    assert explain(compiled)["totals"]["device_share"] == 1.0
    assert [len(step.segment.ops) for step in compiled.steps if step.program] == [1, 4, 2, 2]


@pytest.mark.nightly
@pytest.mark.parametrize("config", ["small", "ulx3s-85f"])
def test_a_block_on_the_rtl(config):
    model, x, config = quantized(tiny(), 1, 16), sentences(1, 16), preset(config)
    compiled = compile_model(model, config)
    device = open_device("rtl", config)
    try:
        (found,) = run_compiled(compiled, device, x).outputs.values()
    finally:
        device.close()
    np.testing.assert_array_equal(found, ir.interpret(model, x)["embedding"])


def test_what_stays_wide():
    """Residual sums and normalisation see no int8: only operands of products, and the argument of GELU, are rounded."""
    imported = import_onnx(tiny(), {"sequence": 16}, 1)
    marked = quantize_wide(imported, sentences(4, 16))
    rounded = [op.source for op in marked.operations if op.name == "graph.quantize"]
    layer = "encoder.layer.0"
    assert sorted(rounded) == sorted(
        ["embeddings.LayerNorm", f"{layer}.attention.output.LayerNorm", f"{layer}.gelu", f"{layer}.intermediate.dense"]
        + [f"{layer}.attention.self.{part}" for part in ("query", "key", "value", "softmax", "mixed")]
    )
    for op in marked.operations:
        if op.name == "graph.quantize" and op.source.endswith(("query", "key", "value", "softmax")):
            assert op.result.type.element_type.zero_point.data == 0


@pytest.mark.parametrize(
    ("option", "more", "less"),
    [
        ("stream", ["attention.output.sum", "output.sum", "output.LayerNorm"], []),
        ("tables", [], ["intermediate.dense"]),
    ],
)
def test_what_may_be_rounded_too(option, more, less):
    def marks(pipeline):
        model = run_pipeline(import_onnx(tiny(), {"sequence": 16}, 1), pipeline)
        return sorted(
            op.source.removeprefix("encoder.layer.0.") for op in model.operations if op.name == "graph.observe"
        )

    value = {"stream": "true", "tables": "false"}[option]
    found, usual = marks(f"mark-quantized{{{option}={value}}}"), marks("mark-quantized")
    assert sorted(found + less) == sorted(usual + more)


def test_which_models_are_kept_wide():
    assert multiplies_activations(tiny()) and multiplies_activations(onnx_models.float_model("attention"))
    assert not multiplies_activations(onnx_models.float_model("mlp"))


MARKED = """func.func @main(%x: tensor<2x4xf32>) -> tensor<2x4xf32> attributes {inputs = ["x"], outputs = ["y"]} {
  %y = graph.observe %x {source = "mark"} : tensor<2x4xf32> -> tensor<2x4xf32>
  func.return %y : tensor<2x4xf32>
}"""


ARGUMENT = """func.func @main(%x: tensor<2x4xf32>) -> tensor<2x4xf32> attributes {inputs = ["x"], outputs = ["y"]} {
  %a = graph.observe %x {source = "argument"} : tensor<2x4xf32> -> tensor<2x4xf32>
  %r = graph.float "Relu"(%a) {source = "relu"} : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %y = graph.observe %r {source = "result"} : tensor<2x4xf32> -> tensor<2x4xf32>
  func.return %y : tensor<2x4xf32>
}"""


def test_arguments_are_not_resolved_where_the_function_is_flat():
    x = np.random.default_rng(0).normal(0, 1, (1000, 4)).astype(np.float32)
    model, alone = (ir.parse(text.replace("2x4", "500x4")) for text in (ARGUMENT, MARKED))
    ends = calibrate(model, {"x": x})
    ranges = {op.source: (op.low.value.data, op.high.value.data) for op in ends}
    step = x.max() / 255
    assert abs(ranges["argument"][0]) < 0.3 * step and x.max() - 0.3 * step < ranges["argument"][1] <= x.max()
    (op,) = calibrate(alone, {"x": x})
    assert (op.low.value.data, op.high.value.data) == (x.min(), x.max())


def test_channels_are_made_alike():
    """What the host makes is scaled for each channel, what reads it back again: in float nothing changes, in int8 less is lost."""
    rng, shape = np.random.default_rng(0), (2, 4)
    x = {"x": (rng.normal(0, 1, shape) * [1, 1, 50, 0]).astype(np.float32)}
    model = ir.parse(EQUAL)
    expected = ir.interpret(model, x)
    equalize(model, calibrate(model, x))
    (mark,) = [op for op in model.operations if op.name == "graph.observe"]
    assert mark.input.owner.kind.data == "Mul"
    for name, array in ir.interpret(model, x).items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-5)
    found = ir.interpret(run_pipeline(model, "insert-quantization"), x)
    plain = ir.parse(EQUAL)
    calibrate(plain, x)
    without = ir.interpret(run_pipeline(plain, "insert-quantization"), x)
    for name, array in expected.items():
        assert np.abs(found[name] - array).mean() < 0.5 * np.abs(without[name] - array).mean()


EQUAL = """func.func @main(%x: tensor<2x4xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) attributes {inputs = ["x"], outputs = ["y", "z"]} {
  %v = graph.constant {value = dense<[[1.0, -1.0, 0.5], [0.5, 1.0, 1.0], [0.02, 0.01, -0.02], [1.0, 1.0, 1.0]]> : tensor<4x3xf32>} : tensor<4x3xf32>
  %w = graph.constant {value = dense<[[-0.5, 1.0, 1.0], [0.5, 2.0, 1.0], [0.03, -0.01, 0.01], [1.0, 1.0, 1.0]]> : tensor<4x3xf32>} : tensor<4x3xf32>
  %a = graph.observe %x {source = "x"} : tensor<2x4xf32> -> tensor<2x4xf32>
  %y = graph.float "MatMul"(%a, %v) {source = "first"} : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  %z = graph.float "Gemm"(%a, %w) {source = "second"} : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  func.return %y, %z : tensor<2x3xf32>, tensor<2x3xf32>
}"""


@pytest.mark.parametrize(
    ("old", "new"), [("%y, %z :", "%y, %a :"), ('"x"}', '"x", symmetric}')], ids=["read", "symmetric"]
)  # fmt: skip
def test_channels_are_left_alone(old, new):
    """Where something else reads them, and operands of products of computed tensors."""
    text = EQUAL.replace(old, new)
    text = text.replace("tensor<2x3xf32>) attributes", "tensor<2x4xf32>) attributes") if "%a :" in new else text
    text = text.replace("tensor<2x3xf32>\n}", "tensor<2x4xf32>\n}") if "%a :" in new else text
    assert text != EQUAL
    model = ir.parse(text)
    equalize(model, calibrate(model, {"x": np.ones((2, 4), np.float32)}))
    assert "Mul" not in [op.kind.data for op in model.operations if op.name == "graph.float"]


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({}, "calibration data lack the input 'x'"),
        ({"x": np.zeros((1, 4), np.float32)}, "at least a batch of 2 samples of input 'x'"),
        ({"x": np.zeros((2, 5), np.float32)}, r"input 'x' must be float32 \[2, 4\], not float32 \[2, 5\]"),
        ({"x": np.full((2, 4), np.inf, np.float32)}, "operator 'mark': with the calibration data it is not finite"),
    ],
)
def test_calibration_data_that_do_not_fit(arrays, sentence):
    with pytest.raises(InputError, match=sentence):
        calibrate(ir.parse(MARKED), arrays)


def test_a_model_must_be_calibrated():
    with pytest.raises(InputError, match="operator 'mark': its range is not known: calibrate the model first"):
        run_pipeline(ir.parse(MARKED), "insert-quantization")


HEADED = """func.func @main(%x: tensor<2x3x8x!graph.q<0.5, 0>>, %z: tensor<2x5x8x!graph.q<0.25, 0>>, %p: tensor<2x4x3x5x!graph.q<1.0, 0>>)
    -> (tensor<2x4x3x5xi32>, tensor<2x3x8x!graph.q<0.5, 3>>) attributes {inputs = ["x", "z", "p"], outputs = ["s", "y"]} {
  %c = graph.constant {value = dense<0.004> : tensor<1xf32>} : tensor<1xf32>
  %s = graph.matmul %x, %z {source = "scores", transposed, heads = 4 : i64, joined = array<i64: 0, 1>} :
    tensor<2x3x8x!graph.q<0.5, 0>>, tensor<2x5x8x!graph.q<0.25, 0>> -> tensor<2x4x3x5xi32>
  %y = graph.matmul %p, %z scale %c : tensor<1xf32> {source = "mixed", heads = 4 : i64, joined = array<i64: 1, 2>} :
    tensor<2x4x3x5x!graph.q<1.0, 0>>, tensor<2x5x8x!graph.q<0.25, 0>> -> tensor<2x3x8x!graph.q<0.5, 3>>
  func.return %s, %y : tensor<2x4x3x5xi32>, tensor<2x3x8x!graph.q<0.5, 3>>
}"""


def test_heads_side_by_side():
    model, rng = ir.parse(HEADED), np.random.default_rng(2)
    shapes = {"x": (2, 3, 8), "z": (2, 5, 8), "p": (2, 4, 3, 5)}
    inputs = {name: rng.integers(-128, 128, shape, np.int8) for name, shape in shapes.items()}
    x, z, p = (array.astype(np.int64) for array in inputs.values())
    outputs = ir.interpret(model, inputs)
    for head in range(4):
        some = slice(2 * head, 2 * head + 2)
        scores = x[..., some] @ z[..., some].swapaxes(1, 2)
        np.testing.assert_array_equal(outputs["s"][:, head], scores)
        mantissa, shift = numerics.scale_to_mantissa_shift(np.float32(0.004))
        mixed = numerics.requantize(numerics.wrap(p[:, head] @ z[..., some]), mantissa, shift, 3)
        np.testing.assert_array_equal(outputs["y"][..., some], mixed)
    again = ir.parse(model.text())
    assert again.text() == model.text()


@pytest.mark.parametrize(
    ("text", "old", "new", "sentence"),
    [
        (HEADED, "array<i64: 0, 1>", "array<i64: 0, 3>", "joined must be of 0 (input), 1 (weight) and 2 (result)"),
        (HEADED, "heads = 4", "heads = 3", "graph.matmul (scores): 8 channels are no 3 heads"),
        (HEADED, "heads = 4", "heads = 0", "heads must be at least 1"),
        (HEADED, "heads = 4 : i64, joined = array<i64: 1, 2>", "heads = 4 : i64, joined = array<i64: 2>", "must have the same outer sizes"),
        (HEADED, "array<i64: 1, 2>", "array<i64: 1>", "result must have the shape [2, 4, 3, 2], not [2, 3, 8]"),
        (MARKED, '"mark"', '"mark", low = 1.0 : f32', "graph.observe (mark): low and high belong together"),
        (MARKED, '"mark"', '"mark", low = 1.0 : f32, high = 0.0 : f32', "low and high must be finite and in order, not 1.0 and 0.0"),
    ],
)  # fmt: skip
def test_nonsense_gets_one_sentence(text, old, new, sentence):
    assert old in text
    with pytest.raises(InputError) as error:
        ir.parse(text.replace(old, new))
    assert sentence in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("sizes", "batch", "sentence"),
    [
        ({}, None, r"input 'input_ids': axis 0 \(batch\) has no fixed size: give --batch N"),
        ({}, 1, r"input 'input_ids': axis 1 \(sequence\) has no fixed size: give --size sequence=N"),
        ({"batch": 1}, None, r"input 'input_ids': axis 1 \(sequence\) has no fixed size"),
    ],
)
def test_sizes_must_be_fixed(sizes, batch, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        import_onnx(tiny(), sizes, batch)
    assert "\n" not in str(error.value)


def test_every_rounding_has_its_error():
    x = sentences(1, 16)
    marked, lowered = (
        quantize_wide(import_onnx(tiny(), {"sequence": 16}, 1), sentences(8, 16, seed=7)) for _ in range(2)
    )
    ratios = signal_to_noise(marked, run_pipeline(lowered), x)
    names = {name.removeprefix("encoder.layer.0.").partition(":")[0] for name in ratios}
    assert {
        "attention.self.query.product",
        "attention.self.softmax",
        "attention.self.mixed",
        "embeddings.LayerNorm",
    } <= names
    assert all(15 < ratio < 70 for ratio in ratios.values()), ratios
