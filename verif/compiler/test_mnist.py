"""A CNN trained on MNIST from float ONNX to the device: accuracy, onnxruntime's numbers, and the same bits everywhere."""

import numpy as np
import pytest

from gemmary.config import preset
from gemmary.runtime.device import open_device

onnx = pytest.importorskip("onnx", reason="needs the extra onnx: pip install 'gemmary[onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'gemmary[onnx]'")
torch = pytest.importorskip("torch", reason="needs the extra train: pip install 'gemmary[train]'")
pytest.importorskip("mlxtend", reason="needs the extra train: pip install 'gemmary[train]'")

from gemmary.compiler import ir  # noqa: E402
from gemmary.compiler.backend import compile_model, explain, run_compiled  # noqa: E402
from gemmary.compiler.frontends.onnx import import_onnx  # noqa: E402
from gemmary.compiler.frontends.onnx_quantize import quantize_onnx  # noqa: E402
from gemmary.compiler.passes import run_pipeline  # noqa: E402
from scripts import train_mnist  # noqa: E402
from verif.compiler.test_onnx import session, steps  # noqa: E402

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def trained():
    """(quantized model, test images, labels, right answers in float32)."""
    torch.set_num_threads(1)
    train_images, images, train_labels, labels = train_mnist.load_split()
    network = train_mnist.train(train_images, train_labels)
    with torch.no_grad():
        right = int((network(torch.from_numpy(images)).argmax(1).numpy() == labels).sum())
    quantized = quantize_onnx(train_mnist.to_onnx(network), {"image": train_images[:256]})
    return quantized, images, labels, right


def test_accuracy_and_numbers(trained):
    quantized, images, labels, right = trained
    model = run_pipeline(import_onnx(quantized, batch=len(images)))
    logits = ir.interpret(model, {"image": images})["logits"]
    assert right >= 940 and (logits.argmax(1) == labels).sum() >= right - 10  # within one point
    differences = steps(logits, session(quantized).run(None, {"image": images})[0], model)
    assert differences.max() < 1.5 and np.mean(differences > 0.5) <= 0.001


@pytest.mark.parametrize("device", ["emulator", "rtl"])
def test_devices_give_the_same_bits(trained, device):
    quantized, images, _, _ = trained
    config, batch = preset("small"), {"image": images[:2]}
    model = run_pipeline(import_onnx(quantized, batch=2))
    compiled = compile_model(model, config, strict=True)
    assert explain(compiled)["totals"]["device_share"] >= 0.99
    opened = open_device(device, config)
    try:
        result = run_compiled(compiled, opened, batch)
    finally:
        opened.close()
    np.testing.assert_array_equal(result.outputs["logits"], ir.interpret(model, batch)["logits"])
