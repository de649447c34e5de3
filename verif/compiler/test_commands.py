"""gemmary compile, run and explain: figures, exit statuses, sentences."""

import json

import numpy as np
import pytest

from gemmary.compiler.ir import parse
from verif.compiler.test_backend import HOST
from verif.software.test_cli import gemmary

TEXT = HOST.replace("ZERO", "0")


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.mlir"
    path.write_text(TEXT)
    rng = np.random.default_rng(0)
    arrays = {n: rng.integers(-128, 128, v.type.get_shape(), np.int8) for n, v in parse(TEXT).inputs.items()}
    np.savez(tmp_path / "x.npz", **arrays)
    np.savez(tmp_path / "three.npz", **{name: np.concatenate([array] * 3) for name, array in arrays.items()})
    return path


@pytest.fixture
def program(model, capsys):
    path = model.with_suffix(".gem")
    status, out, err = gemmary(capsys, "compile", model, "-o", path, "--preset", "small", "--json")
    report = json.loads(out)
    assert status == 0 and out.count("\n") == 1
    assert report["device_share"] == 1.0 and report["fallbacks"] == 1 and len(report["warnings"]) == 1
    assert err.startswith("gemmary: warning: operator 'weights' (softmax) runs on the host")
    return path


def test_run_checks_against_the_reference(program, capsys):
    folder = program.parent
    arguments = (
        "--inputs",
        folder / "x.npz",
        "--outputs",
        folder / "y.npz",
        "--device",
        "emulator",
        "--check",
        "--json",
    )
    status, out, _ = gemmary(capsys, "run", program, *arguments)
    report = json.loads(out)
    assert status == 0 and report["mismatches"] == 0 and report["outputs"] == {"y": [4, 4]}
    with np.load(folder / "y.npz") as file:
        assert file["y"].shape == (4, 4)


def test_run_takes_several_batches(program, capsys):
    folder = program.parent
    status, out, _ = gemmary(
        capsys, "run", program, "--inputs", folder / "three.npz", "--device", "emulator", "--check", "--json"
    )
    report = json.loads(out)
    assert (status, report["batches"], report["mismatches"], report["outputs"]) == (0, 3, 0, {"y": [12, 4]})


def test_a_mismatch_is_status_1(program, capsys, monkeypatch):
    from gemmary.compiler.ir import numerics

    monkeypatch.setattr(numerics, "wrap", lambda sums: np.asarray(sums).astype(np.int32) + 300)
    arguments = ("--inputs", program.parent / "x.npz", "--device", "emulator", "--check", "--json")
    status, out, _ = gemmary(capsys, "run", program, *arguments)
    assert status == 1 and json.loads(out)["mismatches"] > 0


def test_explain(program, capsys):
    status, out, _ = gemmary(capsys, "explain", program, "--json")
    rows = json.loads(out)["operators"]
    assert status == 0 and [row["engine"] for row in rows] == ["tensor", "host", "tensor"]
    assert rows[1]["fallback"] and all(row["cycles"] > 0 and row["bytes"] > 0 for row in rows[::2])
    status, out, _ = gemmary(capsys, "explain", program)
    assert status == 0 and "scores" in out and "device_share" in out


def test_disassemble_names_the_operators(program, capsys):
    status, out, _ = gemmary(capsys, "disassemble", program)
    comments = [line for line in out.splitlines() if line.startswith("#")]
    assert status == 0 and comments == [
        "# operator scores: 96 multiply-accumulates",
        "# on the host: weights",
        "# operator out: 64 multiply-accumulates",
    ]
    assert out.count("matmul") >= 2 and out.count("store") >= 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("compile", "/nowhere.onnx", "-o", "x.gem"), "cannot read /nowhere.onnx: No such file or directory"),
        (("compile", "MODEL", "-o", "/nowhere/x.gem", "--preset", "small"), "cannot write /nowhere/x.gem"),
        (("compile", "MODEL", "-o", "x.gem", "--preset", "huge"), "unknown preset 'huge'"),
        (("compile", "MODEL", "-o", "x.gem", "--strict"), "(--strict forbids it)"),
        (("compile", "MODEL", "-o", "x.gem", "--size", "n=x"), "--size must be NAME=N with N of at least 1, not 'n=x'"),
        (("compile", "MODEL", "-o", "x.gem", "--calibration", "MODEL"), "is no .npz file of arrays"),
        (("run", "PROGRAM", "--inputs", "/nowhere.npz"), "cannot read /nowhere.npz: No such file or directory"),
        (
            ("run", "PROGRAM", "--inputs", "X", "--batch", "2"),
            "is compiled already: --batch belongs to gemmary compile",
        ),
        (("run", "PROGRAM", "--inputs", "X", "--preset", "base"), "the device has 'base'"),
        (("run", "PROGRAM", "--inputs", "X", "--strict"), "(--strict forbids it)"),
        (("run", "PROGRAM", "--inputs", "Z"), "input 'x' is missing"),
        (("explain", "X"), "the suffix of a model must be one of .onnx, .mlir"),
    ],
)
def test_bad_input_is_status_2_and_one_sentence(program, capsys, arguments, sentence):
    folder = program.parent
    np.savez(folder / "z.npz", z=np.zeros((6, 4), np.int8))
    files = {"MODEL": folder / "model.mlir", "PROGRAM": program, "X": folder / "x.npz", "Z": folder / "z.npz"}
    device = ("--device", "emulator") if arguments[0] == "run" else ()
    status, out, err = gemmary(capsys, *(files.get(each, each) for each in arguments), *device)
    errors = [line for line in err.splitlines() if not line.startswith("gemmary: warning: ")]
    assert (status, out) == (2, "") and len(errors) == 1 and sentence in errors[0]
