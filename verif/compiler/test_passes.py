"""Every pass on a text: FileCheck on what it leaves, and the same numbers before and after it."""

import io
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from gemmary.compiler import ir, opt
from gemmary.compiler.ir.types import numpy_dtype, shape_of, tensor_type
from gemmary.compiler.passes import DEFAULT, PASSES, run_pipeline
from gemmary.errors import InputError

pytest.importorskip("onnx", reason="float operators need the extra onnx: pip install 'gemmary[onnx]'")
matcher = pytest.importorskip("filecheck.matcher", reason="needs the extra test: pip install 'gemmary[test]'")
from filecheck.options import parse_argv_options  # noqa: E402

FILES = sorted((Path(__file__).parent / "passes").glob("*.mlir"))


def pipeline_of(path: Path) -> str:
    return re.search(r"// RUN: gemmary-opt %s -p (\S+)", path.read_text()).group(1)


def check(path: Path, text: str, tmp_path: Path) -> int:
    result = tmp_path / "result.mlir"
    result.write_text(text)
    with redirect_stdout(io.StringIO()):
        return matcher.Matcher.from_opts(
            parse_argv_options(["filecheck", str(path), "--input-file", str(result)])
        ).run()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_filecheck(path, tmp_path, capsys):
    assert opt.main([str(path), "-p", pipeline_of(path)]) == 0
    assert check(path, capsys.readouterr().out, tmp_path) == 0
    assert check(path, ir.load(path).text(), tmp_path) != 0, "the checks hold without the pass too"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("all_passes", [False, True])
def test_passes_keep_the_numbers(path, all_passes):
    model = ir.load(path)
    rng = np.random.default_rng(3)
    inputs = {
        name: rng.integers(-128, 128, shape_of(value)).astype(numpy_dtype(value.type.element_type))
        for name, value in model.inputs.items()
    }
    expected = ir.interpret(model, inputs)
    found = ir.interpret(run_pipeline(model, DEFAULT if all_passes else pipeline_of(path)), inputs)
    for name, array in expected.items():
        # A float result that is now scaled once from int32 sums; a bias that was rounded to int32: less than one step.
        np.testing.assert_allclose(found[name], array, rtol=1e-6, atol=1 if array.dtype == np.int8 else 1e-6)


def test_every_pass_has_a_text():
    assert {name.replace("-", "_") for name in PASSES} == {path.stem for path in FILES}


@pytest.mark.parametrize(
    ("pipeline", "sentence"),
    [
        ("dead-code,polish", "unknown pass 'polish': choose of sink-scalars"),
        ("dead-code{", "pipeline 'dead-code{' cannot be read"),
        ("dead-code{speed=3}", "pipeline 'dead-code{speed=3}'"),
    ],
)
def test_wrong_pipelines_get_one_sentence(pipeline, sentence, capsys):
    assert opt.main([str(FILES[0]), "-p", pipeline]) == 2
    message = capsys.readouterr().err
    assert sentence in message and message.count("\n") == 1


def test_a_pass_that_breaks_the_ir_is_named(monkeypatch):
    class Broken(PASSES["dead-code"]):
        def apply(self, ctx, op):
            block = next(iter(op.ops)).body.block
            block.first_op.results[0]._type = tensor_type((1,), np.dtype(np.int8))

    monkeypatch.setitem(PASSES, "dead-code", Broken)
    with pytest.raises(InputError, match="after pass dead-code: "):
        run_pipeline(ir.load(FILES[0]), "dead-code")


def test_a_missing_package_is_named(monkeypatch, capsys):
    """Without it no table can be computed: the operators must not stay on the host in silence."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    path = next(path for path in FILES if path.stem == "raise_tables")
    assert opt.main([str(path)]) == 2
    assert "needs the Python package onnx: pip install 'gemmary[onnx]'" in capsys.readouterr().err
