"""MiniLM-L6 sentence embeddings: the model of the package, quantized wide, compiled, on the emulator and on the RTL."""

import json
import subprocess
import sys

import numpy as np
import pytest

from gemmary.compiler import ir
from gemmary.runtime.device import open_device

pytestmark = pytest.mark.nightly

onnx = pytest.importorskip("onnx", reason="needs the extra onnx: pip install 'gemmary[onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'gemmary[onnx]'")
pytest.importorskip("tokenizers", reason="needs the extra models: pip install 'gemmary[models]'")

from gemmary.compiler.backend import load_compiled, run_compiled  # noqa: E402
from scripts import make_minilm  # noqa: E402
from verif.compiler.test_wide import cosines  # noqa: E402
from verif.software.test_cli import gemmary  # noqa: E402

LENGTH = 64
ON_EMULATOR = 4
"""Sentences; all of them are computed by the reference, which gives the same bits."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The model, as the page says: made, and compiled by the command."""
    folder = tmp_path_factory.mktemp("minilm")
    onnx.save(make_minilm.minilm(), str(folder / "minilm.onnx"))
    calibration, _ = make_minilm.read_sentences()
    np.savez(folder / "calibration.npz", **make_minilm.tokens(calibration, LENGTH))
    return folder


@pytest.fixture(scope="module")
def program(folder):
    path = folder / "minilm.gem"
    main = "import sys; from gemmary.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", main, "compile", folder / "minilm.onnx", "-o", path, "--batch", "1"]
    command += ["--size", f"sequence={LENGTH}", "--calibration", folder / "calibration.npz", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(result.stdout)
    assert any("(softmax) run on the host" in warning for warning in report["warnings"])
    return path


@pytest.fixture(scope="module")
def sentences():
    _, texts = make_minilm.read_sentences()
    assert len(texts) >= 30
    return texts, make_minilm.tokens(texts, LENGTH)


def one(arrays, i):
    return {name: array[i : i + 1] for name, array in arrays.items()}


def test_the_float_model_is_the_packages(folder, sentences):
    texts, arrays = sentences
    script = (
        "import json, sys, numpy as np; from sentence_transformers import SentenceTransformer as T;"
        f"model = T({str(make_minilm.folder())!r}, device='cpu'); model.max_seq_length = {LENGTH};"
        "np.save(sys.argv[1], model.encode(json.load(sys.stdin)))"
    )
    path = folder / "package.npy"
    subprocess.run(
        [sys.executable, "-c", script, path], input=json.dumps(texts), text=True, check=True, capture_output=True
    )
    real = runtime.InferenceSession(str(folder / "minilm.onnx")).run(None, arrays)[0]
    np.testing.assert_allclose(real, np.load(path), atol=1e-5)


def test_cosine_and_share(program, folder, sentences, capsys):
    texts, arrays = sentences
    model = load_compiled(program).model
    found = np.concatenate([ir.interpret(model, one(arrays, i))["embedding"] for i in range(len(texts))])
    real = runtime.InferenceSession(str(folder / "minilm.onnx")).run(None, arrays)[0]
    alike = cosines(found, real)
    assert alike.min() >= 0.98 and alike.mean() >= 0.99
    # What they are for: which sentences say the same.
    first, second = (
        texts.index("What is the capital of Australia?"),
        texts.index("Canberra is the capital city of Australia."),
    )
    scores = found @ found[first]
    scores[first] = 0
    assert scores.argmax() == second
    status, out, _ = gemmary(capsys, "explain", program, "--json")
    report = json.loads(out)
    assert status == 0 and report["totals"]["device_share"] >= 0.95
    hosts = {row["kind"]: row["fallback"] for row in report["operators"] if row["engine"] == "host" and row["fallback"]}
    assert hosts["softmax"] == hosts["layer_norm"] == "the vector engine has no exponential and no root"
    assert "transpose" not in hosts and not any(row["macs"] for row in report["operators"] if row["engine"] == "host")


@pytest.mark.parametrize(("name", "count"), [("emulator", ON_EMULATOR), ("rtl", 1)])
def test_devices_give_the_same_bits(name, count, program, sentences):
    _, arrays = sentences
    compiled = load_compiled(program)
    device = open_device(name, compiled.config)
    try:
        for i in range(count):
            result = run_compiled(compiled, device, one(arrays, i))
            np.testing.assert_array_equal(
                result.outputs["embedding"], ir.interpret(compiled.model, one(arrays, i))["embedding"]
            )
    finally:
        device.close()
    if name == "rtl":
        predicted = sum(
            run.expected_cycles
            for step in compiled.steps
            if step.program
            for layer in step.program.layers
            for run in layer.runs
        )
        assert abs(result.cycles - predicted) <= 0.01 * predicted
