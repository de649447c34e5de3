"""ONNX models in, against onnxruntime: as it computes without its optimizations, which saturate sums on some processors."""

import numpy as np
import pytest

from gemmary.config import preset
from gemmary.errors import InputError
from gemmary.runtime.device import open_device

onnx = pytest.importorskip("onnx", reason="needs the extra onnx: pip install 'gemmary[onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'gemmary[onnx]'")

from onnx import TensorProto, helper  # noqa: E402

from gemmary.compiler import ir  # noqa: E402
from gemmary.compiler.backend import compile_model, explain, run_compiled, signal_to_noise  # noqa: E402
from gemmary.compiler.frontends.models import load_model  # noqa: E402
from gemmary.compiler.frontends.onnx import import_onnx  # noqa: E402
from gemmary.compiler.frontends.onnx_export import export_onnx  # noqa: E402
from gemmary.compiler.passes import run_pipeline  # noqa: E402
from gemmary.models.digits import load_digits  # noqa: E402
from verif.compiler import onnx_models  # noqa: E402
from verif.golden import network as golden  # noqa: E402

FAST = ("silu", "residual", "mlp")
BATCH = 8

TIES = {"average_pool": 0.35, "attention": 0.005}
"""Shares of elements that may differ by a step, by default 0.001. Means of four int8 numbers end on a tie every fourth time, where
float32 sums fall to either side; a step in the scores of attention changes a whole row."""


def session(model):
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return runtime.InferenceSession(model.SerializeToString(), options)


def steps(found, expected, model):
    """Differences in units of the output's quantization."""
    (output,) = model.outputs.values()
    op = output.owner
    while op.name != "graph.dequantize":
        op = op.operands[0].owner
    return np.abs(found - expected) / op.input.type.element_type.scale.data


def cases(*fast):
    return [pytest.param(n, marks=() if n in fast else pytest.mark.nightly) for n in onnx_models.CASES]


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_every_opset(opset):
    check_against_onnxruntime("conv_relu", opset)


@pytest.mark.parametrize("name", cases(*FAST))
def test_results_are_those_of_onnxruntime(name):
    check_against_onnxruntime(name, 17)


def check_against_onnxruntime(name, opset):
    quantized, x = onnx_models.quantized(name, opset), onnx_models.inputs_of(name, BATCH)
    (expected,) = session(quantized).run(None, {"x": x})
    model = import_onnx(quantized, batch=BATCH)
    for each in (model, run_pipeline(import_onnx(quantized, batch=BATCH))):
        (found,) = ir.interpret(each, {"x": x}).values()
        differences = steps(found, expected, each)
        assert found.shape == expected.shape and differences.max() < 1.5
        assert np.count_nonzero(differences > 0.5) <= max(1, TIES.get(name, 0.001) * differences.size)


@pytest.mark.parametrize("name", cases("depthwise_hardswish"))
def test_programs_compute_what_the_reference_does(name):
    config = preset("small")
    model = run_pipeline(import_onnx(onnx_models.quantized(name), batch=2))
    compiled, x = compile_model(model, config), onnx_models.inputs_of(name, 2)
    (expected,) = ir.interpret(model, {"x": x}).values()
    (found,) = run_compiled(compiled, open_device("emulator", config), {"x": x}).outputs.values()
    np.testing.assert_array_equal(found, expected)
    totals = explain(compiled)["totals"]
    assert totals["device_share"] == 1.0
    computing = [op.source for op in compiled.fallbacks if op.name == "graph.float"]
    assert computing == (["mul5"] if name == "unsupported" else [])
    assert name in ("unsupported", "attention") or not compiled.warnings


def test_digits_equal_the_golden_network():
    digits = load_digits()
    network, images = digits.network, digits.images[:32]
    model = import_onnx(export_onnx(network, "batch"), sizes={"batch": 32})
    q = network.quantization[network.input]
    x = (images.astype(np.float32) - q.zero_point) * np.float32(q.scale)
    expected = golden.run(network, images)[network.output]
    out = network.quantization[network.output]
    for each in (model, run_pipeline(model)):
        real = ir.interpret(each, {"input": x})["output"]
        np.testing.assert_array_equal(np.rint(real / np.float32(out.scale)) + out.zero_point, expected)


def test_layers_fuse_as_the_network_has_them():
    model = run_pipeline(import_onnx(export_onnx(load_digits().network), batch=1))
    kinds = [op.name.removeprefix("graph.") for op in model.operations]
    assert [kind for kind in kinds if kind not in ("reshape", "quantize", "dequantize")] == [
        "conv2d",
        "conv2d",
        "max_pool",
        "conv2d",
    ]


def test_uint8_models():
    """uint8 activations, in and out of the model as they are: int8 by offset inside."""
    rng = np.random.default_rng(5)
    constants = {
        "s": np.float32(0.05), "z": np.uint8(130), "t": np.float32(0.1), "y0": np.uint8(7), "ws": np.full(6, 0.01037, np.float32),
        "wz": np.full(6, 128, np.uint8), "w": rng.integers(1, 256, (6, 4, 3, 3), np.uint8),
    }  # fmt: skip
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["fx"], name="in"),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["fw"], name="weights", axis=0),
        helper.make_node("Conv", ["fx", "fw"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["c", "t", "y0"], ["y"], name="out"),
    ]
    sides = [("x", (2, 4, 9, 9)), ("y", (2, 6, 9, 9))]
    x, y = (helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name, shape in sides)
    arrays = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "uint8", [x], [y], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    inputs = {"x": rng.integers(0, 256, (2, 4, 9, 9), np.uint8)}
    (expected,) = session(model).run(None, inputs)
    lowered = run_pipeline(import_onnx(model))
    assert [op.name for op in lowered.operations].count("graph.conv2d") == 1
    compiled, config = compile_model(lowered, preset("small")), preset("small")
    result = run_compiled(compiled, open_device("emulator", config), inputs).outputs["y"]
    assert result.dtype == np.uint8 and not compiled.warnings
    differences = np.abs(result.astype(int) - expected.astype(int))
    assert differences.max() <= 1 and np.count_nonzero(differences) <= 0.001 * differences.size
    assert len(np.unique(result)) > 50


def test_symbolic_sizes_are_named():
    model = export_onnx(load_digits().network, "images")
    with pytest.raises(InputError, match=r"input 'input': axis 0 \(images\) has no fixed size: give --batch N"):
        import_onnx(model)
    with pytest.raises(InputError, match="size 'images' must be at least 1, not 0"):
        import_onnx(model, sizes={"images": 0})


def one_node(kind, inputs, shape=(1, 4), opset=17, dtype=TensorProto.FLOAT, **options):
    values = [helper.make_tensor_value_info(name, dtype, shape) for name in inputs]
    node = helper.make_node(kind, inputs, ["y"], name="node", **options)
    graph = helper.make_graph([node], "one", values, [helper.make_tensor_value_info("y", TensorProto.UNDEFINED, None)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (lambda: one_node("Relu", ["x"], opset=12), "the model's opset must be 13 to 21, not 12"),
        (lambda: one_node("NonZero", ["x"]), "operator 'node': the shape of its result 'y' depends on the data"),
        (lambda: one_node("Relu", ["x"], shape=(1, "n")), r"axis 1 \(n\) has no fixed size: give --size n=N"),
        (lambda: one_node("Relu", ["x"], dtype=TensorProto.FLOAT16), "dtype FLOAT16 is not supported"),
        (lambda: one_node("Reshape", ["x", "z"]), "tensor|operator 'node'"),
    ],
)
def test_models_that_cannot_be_read_get_one_sentence(model, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        import_onnx(model(), batch=1)
    assert "\n" not in str(error.value)


def test_files_that_are_no_models(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\xff\xfe nonsense")
    with pytest.raises(InputError, match="is no ONNX model"):
        load_model(path)
    onnx.save(one_node("Relu", ["x"]), path)
    with pytest.raises(InputError, match="is not quantized: give inputs to calibrate it with"):
        load_model(path)
    with pytest.raises(InputError, match=r"the suffix of a model must be one of .onnx, .mlir"):
        load_model(tmp_path / "model.tflite")


def test_quantization_errors_are_those_of_the_float_model():
    digits = load_digits()
    q = digits.network.quantization["image"]
    x = {"input": (digits.images[:16].astype(np.float32) - q.zero_point) * np.float32(q.scale)}
    exported = export_onnx(digits.network, "batch")
    model, lowered = (import_onnx(exported, batch=16) for _ in range(2))
    ratios = signal_to_noise(model, run_pipeline(lowered), x)
    assert ratios.pop("image") == 999.0  # pixels are int8 without loss
    assert ratios.keys() == {"conv1.conv", "conv2.conv", "pool.pool", "dense.gemm"}
    assert all(35 < ratio < 60 for ratio in ratios.values())
    # A step that is four times as coarse costs about 12 dB.
    tensor = next(each for each in exported.graph.initializer if each.name == "conv1.scale")
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * np.float32(4), "conv1.scale"))
    model, lowered = (import_onnx(exported, batch=16) for _ in range(2))
    coarse = signal_to_noise(model, run_pipeline(lowered), x)
    assert ratios["conv1.conv"] - 15 < coarse["conv1.conv"] < ratios["conv1.conv"] - 8
