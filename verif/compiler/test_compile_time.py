"""Compiling takes a time proportional to the model: counted in calls, so that no busy machine matters; ResNet-50 in seconds."""

import cProfile
import json
import xml.etree.ElementTree as ElementTree

import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra onnx: pip install 'gemmary[onnx]'")

from gemmary.compiler.backend.compiled import names_of  # noqa: E402
from gemmary.compiler.backend.partition import segments  # noqa: E402
from gemmary.compiler.frontends.onnx import import_onnx  # noqa: E402
from gemmary.compiler.passes import run_pipeline  # noqa: E402
from scripts import measure_compile, resnets  # noqa: E402


def calls(work) -> int:
    profile = cProfile.Profile()
    profile.runcall(work)
    return sum(entry.callcount for entry in profile.getstats())


def test_front_end_and_passes_grow_linearly():
    """A block more costs the same at any depth."""

    def cost(blocks: int) -> int:
        model = resnets.resnet((blocks, 0, 0, 0), 8, 2)

        def work():
            raised = run_pipeline(import_onnx(model))
            return names_of(raised), list(segments(raised)), raised.text()

        return calls(work)

    shallow, middle, deep = map(cost, (1, 2, 5))
    assert (deep - middle) / 3 < 1.05 * (middle - shallow)


def test_kept_figures_and_their_picture():
    kept = json.loads(measure_compile.FILE.read_text())
    assert list(kept) == [str(n) for n in measure_compile.BLOCKS]
    text = measure_compile.PICTURE.read_text(encoding="utf-8")
    assert ElementTree.fromstring(text) is not None and text == measure_compile.draw(kept)
    assert kept["50"]["seconds"] < measure_compile.SECONDS and kept["50"]["mebibytes"] < measure_compile.MEBIBYTES
    assert [resnets.layers_of(blocks) for blocks in measure_compile.BLOCKS.values()] == list(measure_compile.BLOCKS)


def test_growth_is_close_to_linear():
    """From 26 layers, which have every shape, to 101: a layer costs about the same."""
    kept = json.loads(measure_compile.FILE.read_text())
    for key in ("seconds", "mebibytes"):
        assert kept["101"][key] / 101 < 1.25 * kept["26"][key] / 26


@pytest.mark.nightly
def test_resnet50_within_its_bounds():
    figures = measure_compile.measured(50)
    assert figures["macs"] == 4_089_184_256
    assert figures["seconds"] < measure_compile.SECONDS and figures["mebibytes"] < measure_compile.MEBIBYTES
