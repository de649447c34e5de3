"""JAX functions in, against JAX's own results."""

import json
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from gemmary.compiler.executable import Executable, FallbackWarning
from gemmary.errors import InputError
from verif.software.test_cli import gemmary as command

jax = pytest.importorskip("jax", reason="needs the extra jax: pip install 'gemmary[jax]'")
pytest.importorskip("onnx", reason="needs the extra jax: pip install 'gemmary[jax]'")

from jax import lax  # noqa: E402
from jax import numpy as jnp  # noqa: E402

import gemmary  # noqa: E402
from gemmary.compiler.ir import interpret  # noqa: E402
from verif.compiler import jax_models  # noqa: E402
from verif.compiler.pages import run_page  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::gemmary.compiler.executable.FallbackWarning")

WITH_FALLBACKS = ("attention",)


def export(function, *arguments):
    shapes = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in arguments]
    return jax.export.export(jax.jit(function))(*shapes)


def windows(x):
    return lax.reduce_window(x, 0, lax.add, (1, 2, 2, 1), (1, 1, 1, 1), "SAME")


def check(found, expected):
    """At most one step off, on at most 0.1 % of elements."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape and found.dtype == expected.dtype and len(np.unique(expected)) > 20
    if found.dtype == np.int8:
        differences = np.abs(found.astype(int) - expected)
        assert differences.max() <= 1 and np.count_nonzero(differences) <= max(1, 0.001 * differences.size)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def compiled():
    """Programs by name, each made once."""
    return cache(lambda name: gemmary.compile(jax_models.export(name), "small", strict=name not in WITH_FALLBACKS))


@pytest.mark.parametrize("name", jax_models.FUNCTIONS)
def test_results_are_those_of_jax(compiled, name):
    x, executable = jax_models.inputs_of(name), compiled(name)
    check(executable(x), jax_models.FUNCTIONS[name](x))
    for key, array in interpret(executable.compiled.model, {"x": x}).items():
        np.testing.assert_array_equal(executable.result.outputs[key], array)
    assert executable.explain()["totals"]["device_share"] == 1.0


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("residual", ["conv2d", "conv2d", "max_pool"]),
        ("zero_points", ["conv2d"] * 3),
        ("mlp", ["matmul"] * 3),
        ("sums", ["conv2d", "table", "add", "average_pool", "conv2d"]),
        ("attention", ["matmul"] * 6),
    ],
)
def test_operators_fuse_into_the_drain(compiled, name, kinds):
    report = compiled(name).explain()
    assert [row["kind"] for row in report["operators"] if row["engine"] in ("tensor", "vector")] == kinds


def test_rtl_gives_the_same_bits(compiled):
    x = jax_models.inputs_of("mlp")
    with Executable(compiled("mlp").compiled, "rtl") as executable:
        found = executable(x)
        assert executable.result.cycles > 1000
    np.testing.assert_array_equal(found, compiled("mlp")(x))


def test_a_program_knows_its_lines(compiled, tmp_path, capsys):
    path, x = tmp_path / "model.gem", jax_models.inputs_of("residual")
    executable = compiled("residual")
    executable.save(path)
    np.testing.assert_array_equal(Executable.load(path)(x), executable(x))
    status, out, _ = command(capsys, "explain", path, "--json")
    rows = [row for row in json.loads(out)["operators"] if row["macs"]]
    assert status == 0 and [row["operator"] for row in rows] == ["conv_general_dilated", "conv_general_dilated_1"]
    file, _, line = rows[1]["location"].rpartition(":")
    with open(jax_models.__file__) as source:
        text = source.read().splitlines()[int(line) - 1]
    assert file.endswith("jax_models.py") and "lax.conv_general_dilated" in text


def test_fallbacks_are_warned_of():
    with pytest.warns(FallbackWarning, match=r"operator 'div_1' \(softmax\) runs on the host: ") as caught:
        gemmary.compile(jax_models.export("attention"), "small")
    assert {each.filename for each in caught} == {__file__}


def test_other_orders_of_axes():
    """Channels first, one spatial axis, and products over several axes."""
    x, image = jax_models.weights(20, 2, 8, 6, 5), jax_models.weights(21, 2, 9, 4)

    def function(x, image):
        y = lax.conv_general_dilated(
            x, jax_models.weights(22, 8, 8, 3, 3), (1, 1), "SAME", preferred_element_type=jnp.int32
        )
        y = jax_models.requantize(y + np.arange(8, dtype=np.int32)[:, None, None], np.float32(0.00173))
        y = lax.reduce_window(y, np.int8(-128), lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        z = lax.conv_general_dilated(
            image, jax_models.weights(23, 3, 4, 16), (2,), "VALID", dimension_numbers=("NWC", "WIO", "NWC"),
            preferred_element_type=jnp.int32,
        )  # fmt: skip
        z = jax_models.requantize(z, np.float32(0.00291))
        d = jax_models.dot(jax_models.weights(24, 8, 3, 24), y, ((0, 1), (1, 2)))
        return {"y": y, "z": z, "d": jax_models.requantize(d.reshape(24, 4), np.float32(0.00391))}

    executable = gemmary.compile(export(function, x, image), "small")
    found, expected = executable(x, image), function(x, image)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        check(found[name], array)
    assert executable.explain()["totals"]["device_share"] == 1.0


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.astype(jnp.int32).max(1).sum() + windows(x.astype(jnp.int32).reshape(1, 4, 3, 1)),
        lambda x: jnp.where(x > 3, x, -x)[:, ::2].astype(jnp.float32),
        lambda x: jnp.concatenate([x, jnp.pad(x, ((0, 0), (1, 2)))], 1) * jnp.arange(9, dtype=jnp.int8),
        lambda x: jnp.dot(x.astype(jnp.float32), jnp.eye(3)) / (1 + jnp.exp(-x.astype(jnp.float32))),
        lambda x: lax.dot_general(x, x, (((1,), (1,)), ((), ())), preferred_element_type=jnp.int32).astype(jnp.int8),
    ],
)
def test_what_stays_on_the_host_is_right(function):
    x = jax_models.weights(30, 4, 3)
    found, expected = gemmary.compile(export(function, x), "small")(x), np.asarray(function(x))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_page_runs():
    names = run_page("JAX")
    assert names["program"].explain()["totals"]["fallbacks"] == 0


def test_what_cannot_be_compiled_gets_one_sentence():
    x = jax_models.weights(31, 4, 3)
    n = jax.export.symbolic_shape("n, 3")
    symbolic = jax.export.export(jax.jit(lambda x: x + 1))(jax.ShapeDtypeStruct(n, np.int8))
    with pytest.raises(InputError, match=r"the function's sizes \[n, 3\] are symbolic: export it with fixed ones"):
        gemmary.compile(symbolic)
    with pytest.raises(InputError, match=r"operator 'sort' \(.*test_jax.py:\d+\): stablehlo.sort is not supported"):
        gemmary.compile(export(lambda x: jnp.sort(x), x))
    with pytest.raises(InputError, match="dtype bf16 is not supported: use int8, int32 or float32"):
        gemmary.compile(export(lambda x: x.astype(jnp.bfloat16), x))
    images, kernel = jax_models.weights(32, 1, 4, 4, 2), jax_models.weights(33, 3, 3, 2, 2)
    with pytest.raises(InputError, match="the weights of a convolution must be constant: close over them"):
        gemmary.compile(export(jax_models.conv, images, kernel))
    executable = gemmary.compile(export(lambda x: x, x))
    with pytest.raises(InputError, match=r"input 'x' must be int8 \[4, 3\], not int8 \[3, 4\]"):
        executable(x.T)


def test_a_missing_package_is_named():
    code = "import sys; sys.modules['jax'] = None; import gemmary.jax"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.endswith("InputError: gemmary.jax needs the Python package jax: pip install 'gemmary[jax]'\n")
