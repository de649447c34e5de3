"""PyTorch models in, against PyTorch's own: the model that PT2E converts, computed in eager."""

import json
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from gemmary.compiler.executable import Executable, FallbackWarning
from gemmary.errors import InputError
from gemmary.models.digits import load_digits
from verif.software.test_cli import gemmary as command

torch = pytest.importorskip("torch", reason="needs the extra torch: pip install 'gemmary[torch]'")
pytest.importorskip("torchao", reason="needs the extra torch: pip install 'gemmary[torch]'")
pytest.importorskip("onnx", reason="needs the extra torch: pip install 'gemmary[torch]'")

from torch.nn import functional  # noqa: E402

import gemmary  # noqa: E402
import gemmary.torch  # noqa: E402
from gemmary.compiler.frontends.torch_export import QUANTIZE, import_program  # noqa: E402
from gemmary.compiler.frontends.torch_source import source_of  # noqa: E402
from gemmary.compiler.ir import interpret  # noqa: E402
from gemmary.compiler.ir.edges import Quantize  # noqa: E402
from gemmary.compiler.ir.interpreter import evaluate  # noqa: E402
from gemmary.compiler.ir.types import quantization  # noqa: E402
from gemmary.compiler.passes import run_pipeline  # noqa: E402
from verif.compiler import torch_models  # noqa: E402
from verif.compiler.pages import run_page  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::gemmary.compiler.executable.FallbackWarning"
    ),  # where it matters it is asked for
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
]

WITH_FALLBACKS = {"attention": "softmax", "gated": "mul"}
"""Models with operators on the host, and one of those."""

WIDE = {"classifier", "attention"}
"""Models whose last operator nobody quantizes: their sums are compared in steps of 1/255 of their range."""

STEPS = {"mlp": (3, 0.005), "attention": (1, 0.005)}
"""How far results may be off where one step of an early tensor changes a whole row: steps, and the share of elements."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def exported():
    """Quantized models by name, each made once."""

    def quantized(name):
        batches = [torch_models.inputs_of(name, seed=seed) for seed in (7, 8, 9)]
        return gemmary.torch.quantize(torch_models.model_of(name), batches)

    return cache(quantized)


@pytest.fixture(scope="module")
def compiled(exported):
    """Their programs, each made once."""
    return cache(lambda name: gemmary.compile(exported(name), "small", strict=name not in WITH_FALLBACKS))


def step_of(expected, name) -> float:
    """One step of a result's quantization."""
    if name in WIDE:
        return float(expected.max() - expected.min()) / 255
    values = torch.unique(expected)
    assert len(values) > 20
    return float(torch.diff(values).min())


def check(found, expected, name):
    """At most one step off, on at most 0.1 % of elements."""
    assert found.shape == expected.shape and found.dtype == expected.dtype
    differences = (found - expected).abs() / step_of(expected, name)
    steps, share = STEPS.get(name, (1, 0.001))
    assert differences.max() < steps + 0.5
    assert (differences > 0.5).sum() <= max(1, share * differences.numel())


@pytest.mark.parametrize("name", torch_models.MODELS)
def test_results_are_those_of_pytorch(exported, compiled, name):
    program, executable, x = exported(name), compiled(name), torch_models.inputs_of(name)
    with torch.no_grad():
        expected = program.module()(x)
    check(executable(x), expected, name)
    for key, array in interpret(executable.compiled.model, {"x": x.numpy()}).items():
        np.testing.assert_array_equal(executable.result.outputs[key], array)
    totals = executable.explain()["totals"]
    assert totals["device_share"] == 1.0 and totals["macs"] > 10_000


class Recorder(torch.fx.Interpreter):
    """The int8 tensors of a program by the names that the compiler gives them."""

    def run_node(self, node):
        result = super().run_node(node)
        if node.target in QUANTIZE:
            self.tensors[f"{source_of(node)}.int8"] = result.numpy()
        return result


@pytest.mark.parametrize("name", torch_models.MODELS)
def test_each_operator_alone_is_within_a_step(exported, name):
    """Every operator reads what PyTorch computed, so that no error adds up."""
    recorder, x = Recorder(exported(name).module()), torch_models.inputs_of(name)
    recorder.tensors = {}
    with torch.no_grad():
        recorder.run(x)
    model = run_pipeline(import_program(exported(name)).model)
    values, wrong, seen = {model.block.args[0]: x.numpy()}, 0, 0
    for op in model.operations:
        values |= dict(zip(op.results, evaluate(model.context, op, values, model.opset)))
        origin = op.attributes.get("source" if isinstance(op, Quantize) else "tensor")
        expected = recorder.tensors.get(origin.data if origin is not None else None)
        if expected is None or quantization(op.results[0]) is None:
            continue
        found = values[op.results[0]]
        orders = [expected] + ([expected.transpose(0, 2, 3, 1)] if expected.ndim == 4 else [])
        orders = [each.reshape(found.shape) for each in orders]
        expected = min(orders, key=lambda each: np.count_nonzero(each != found))
        values[op.results[0]] = expected
        differences = np.abs(found.astype(int) - expected)
        assert differences.max() <= 1
        wrong, seen = wrong + np.count_nonzero(differences), seen + found.size
    assert seen > 1000 and wrong <= max(1, 0.001 * seen)


def test_fallbacks_are_warned_of(exported):
    program = exported("attention")
    with pytest.warns(FallbackWarning, match="operator 'softmax' .* runs on the host: ") as caught:
        gemmary.compile(program, "small")
    assert {each.filename for each in caught} == {__file__}
    with pytest.raises(InputError, match=r"on the host: .* \(--strict forbids it\)"):
        gemmary.compile(program, "small", strict=True)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("residual", ["conv2d"] * 3 + ["max_pool"]),
        ("depthwise", ["conv2d"] * 3),
        ("mlp", ["matmul"] * 3),
        ("classifier", ["conv2d", "average_pool", "conv2d"]),
    ],
)
def test_operators_fuse_into_the_drain(compiled, name, kinds):
    report = compiled(name).explain()
    assert [row["kind"] for row in report["operators"] if row["engine"] in ("tensor", "vector")] == kinds


def test_quantization_costs_little(compiled):
    report = compiled("residual").explain(torch_models.inputs_of("residual", seed=7))
    ratios = [row["sqnr_db"] for row in report["operators"] if row["sqnr_db"] is not None]
    assert len(ratios) >= 4 and all(30 < ratio < 70 for ratio in ratios)


def test_rtl_gives_the_same_bits(compiled):
    x = torch_models.inputs_of("mlp")
    with Executable(compiled("mlp").compiled, "rtl") as executable:
        found = executable(x.numpy())
        assert executable.result.cycles > 1000
    np.testing.assert_array_equal(found, compiled("mlp")(x).numpy())


def test_a_program_knows_its_modules_and_lines(compiled, tmp_path, capsys, monkeypatch):
    path = tmp_path / "model.gem"
    compiled("residual").save(path)
    status, out, _ = command(capsys, "explain", path, "--json")
    rows = {row["operator"]: row for row in json.loads(out)["operators"] if row["macs"]}
    assert status == 0 and rows.keys() == {"stem.conv", "left", "right"}
    with open(torch_models.__file__) as source:
        lines = source.read().splitlines()
    for name, text in (("stem.conv", "self.norm(self.conv(x))"), ("left", "self.left(x) + x")):
        file, _, line = rows[name]["location"].rpartition(":")
        assert file.endswith("torch_models.py") and text in lines[int(line) - 1]
    status, out, _ = command(capsys, "disassemble", path)
    assert status == 0 and f"# operator left ({rows['left']['location']}): " in out
    monkeypatch.setenv("COLUMNS", "160")
    status, out, _ = command(capsys, "explain", path)
    assert status == 0 and f"torch_models.py:{line}" in out


def test_saved_programs_run(compiled, tmp_path):
    x, path, executable = torch_models.inputs_of("classifier"), tmp_path / "model.gem", compiled("classifier")
    executable.save(path)
    np.testing.assert_array_equal(Executable.load(path)(x.numpy()), executable(x).numpy())


# torch.compile


def optimized(module, **options):
    torch.compiler.reset()
    return torch.compile(module, backend="gemmary", options={"preset": "small"} | options)


@pytest.mark.parametrize("name", ["classifier", "gated", "attention"])
def test_torch_compile_runs_what_it_can_on_the_device(exported, name):
    module, x = exported(name).module(), torch_models.inputs_of(name)
    if name in WITH_FALLBACKS:
        with pytest.warns(
            FallbackWarning, match=rf"operator '{WITH_FALLBACKS[name]}' \(aten\.\w+\.\w+\) runs in PyTorch: "
        ):
            found = optimized(module)(x)
    else:
        found = optimized(module)(x)
    with torch.no_grad():
        check(found, module(x), name)


def test_torch_compile_of_float_models_says_what_to_do():
    model, x = torch_models.model_of("classifier"), torch_models.inputs_of("classifier")
    with (
        torch.no_grad(),
        pytest.warns(FallbackWarning, match="the model is not quantized, so all of it runs in PyTorch: "),
    ):
        torch.testing.assert_close(optimized(model)(x), model(x))
    with pytest.raises(Exception, match=r"strict forbids it"), torch.no_grad():
        optimized(model, strict=True)(x)
    with pytest.raises(Exception, match=r"unknown option 'speed' of backend gemmary: choose of preset, device, strict"):
        optimized(model, speed=2)(x)


def test_torch_compile_with_operators_that_write_in_place(exported):
    module, x = exported("classifier").module(), torch_models.inputs_of("classifier")

    def harmless(x):
        return functional.relu_(module(x))

    def harmful(x):
        return module(x.mul_(0.5))

    with torch.no_grad(), pytest.warns(FallbackWarning, match="operator 'relu_' .* runs in PyTorch"):  # of wide sums
        torch.testing.assert_close(optimized(harmless)(x), harmless(x), rtol=0, atol=1e-4)
    found, expected = x.clone(), x.clone()
    with torch.no_grad(), pytest.warns(FallbackWarning, match="the model writes to its tensors in place"):
        torch.testing.assert_close(optimized(harmful)(found), harmful(expected))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_weights_that_change_after_compilation_are_noticed(exported):
    module, x = exported("classifier").module(), torch_models.inputs_of("classifier")
    run, weights = optimized(module), dict(module.named_buffers())["_frozen_param0"]
    run(x)
    weights.add_(1)
    with pytest.raises(InputError, match="the model's weights have changed since it was compiled"):
        run(x)
    weights.sub_(1)


# The digits network


def digits_network():
    """The float network that scripts/train_digits.py trains, with the weights that come with the repository."""
    from torch import nn
    from torch.nn import functional

    class Digits(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
            self.dense = nn.Linear(256, 10)

        def forward(self, image):
            x = functional.relu(self.conv1(image))
            x = functional.max_pool2d(functional.relu(self.conv2(x) + x), 2)
            return self.dense(x.permute(0, 2, 3, 1).flatten(1))

    model = Digits()
    arrays = load_digits().float_parameters
    state = {}
    for name, array in arrays.items():
        axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]
        state[name] = torch.from_numpy(np.ascontiguousarray(array.transpose(axes)))
    model.load_state_dict(state)
    return model


def test_digits_keep_their_accuracy():
    digits = load_digits()
    images = torch.from_numpy((digits.images.transpose(0, 3, 1, 2).astype(np.float32) + 128) / 16)
    model = digits_network()
    with torch.no_grad():
        right = (model(images).argmax(1).numpy() == digits.labels).mean()
    assert right == pytest.approx(digits.accuracy_float)
    program = gemmary.torch.quantize(model, images.split(36))
    executable = gemmary.compile(program, "small", strict=True)
    lowered = executable.compiled.model
    logits = np.concatenate([interpret(lowered, {"image": each.numpy()})["output"] for each in images.split(36)])
    np.testing.assert_array_equal(executable(images[:36]).numpy(), logits[:36])
    assert (logits.argmax(1) == digits.labels).mean() >= right - 0.01
    with torch.no_grad():
        expected = torch.cat([program.module()(each) for each in images.split(36)]).numpy()
    steps = np.abs(logits - expected) / ((expected.max() - expected.min()) / 255)
    assert steps.max() < 1.5 and (steps > 0.5).mean() <= 0.001


@pytest.mark.filterwarnings("error::gemmary.compiler.executable.FallbackWarning")
def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    torch.compiler.reset()
    names = run_page("PyTorch")
    assert names["y"].shape == (1, 10)
    status, out, _ = command(capsys, "disassemble", "model.gem")
    assert status == 0 and "# operator 0" in out


# What is refused


class Strange(torch.nn.Module):
    def forward(self, x):
        return torch.fft.rfft(x).abs()


class Training(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count += 1
        return x + self.count


def test_what_cannot_be_compiled_gets_one_sentence():
    x = torch.zeros(2, 4)
    for model, sentence in (
        (
            Strange(),
            r"operator '_fft_r2c' \(.*test_torch.py:\d+\): PyTorch's operator aten._fft_r2c.default is not supported",
        ),
        (Training(), "the model changes 'count' while it runs: call model.eval"),
    ):
        with pytest.raises(InputError, match=sentence):
            gemmary.compile(torch.export.export(model, (x,)))
    dynamic = torch.export.export(torch.nn.ReLU(), (x,), dynamic_shapes=({0: torch.export.Dim("n", min=2, max=8)},))
    with pytest.raises(
        InputError, match=r"'input': its sizes \[\S+, 4\] are dynamic: export the model with fixed ones"
    ):
        gemmary.compile(dynamic)
    with pytest.raises(
        InputError, match=r"gemmary.compile takes a torch.export.ExportedProgram or .* not a torch.ReLU: export"
    ):
        gemmary.compile(torch.nn.ReLU())
    with pytest.raises(InputError, match="calibration holds no batch"):
        gemmary.torch.quantize(torch.nn.Linear(4, 4), [])
    with pytest.raises(InputError, match="calibration batch 1 has other sizes than the first"):
        gemmary.torch.quantize(torch.nn.Linear(4, 4), [x, x[:1]])
    with pytest.raises(InputError, match=r"dtype float16 is not supported: use float32, int8 or uint8"):
        gemmary.compile(torch.export.export(torch.nn.ReLU(), (x.half(),)))


def test_arguments_are_checked(compiled):
    with pytest.raises(InputError, match=r"input 'x' must be float32 \[4, 3, 12, 12\], not float32 \[1, 3, 12, 12\]"):
        compiled("classifier")(torch.zeros(1, 3, 12, 12))


def test_importing_gemmary_imports_no_framework():
    code = "import sys, gemmary, gemmary.cli; assert not {'torch', 'jax', 'xdsl', 'onnx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("package", "code", "sentence"),
    [
        ("torch", "import gemmary.torch", "gemmary.torch needs the Python package torch: pip install 'gemmary[torch]'"),
        (
            "torchao",
            "import torch, gemmary.torch; gemmary.torch.quantize(torch.nn.ReLU(), torch.zeros(1))",
            "quantizing needs the Python package torchao: pip install 'gemmary[torch]'",
        ),
    ],
)
def test_a_missing_package_is_named(package, code, sentence):
    code = f"import sys; sys.modules[{package!r}] = None; {code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.endswith(f"InputError: {sentence}\n")
