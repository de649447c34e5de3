"""Whole segments as chains: the same numbers as operator by operator, in fewer cycles, and only where they fit."""

import numpy as np
import pytest

from gemmary.compiler import ir
from gemmary.compiler.backend import compile_model, explain, run_compiled
from gemmary.compiler.backend.binary import decode_compiled, encode_compiled
from gemmary.compiler.checker import check_program
from gemmary.config import preset
from gemmary.runtime.device import open_device

BASE = preset("base")


def network(rng, *, channels=16, size=8, per_channel=True, window=True) -> tuple[ir.Model, np.ndarray]:
    """Convolution, depthwise, pointwise with a residual, mean, dense: a text with random constants."""
    context, lines = ir.GraphContext(), []

    def constant(name, array):
        context.arrays[name] = array
        kind = {"int8": "i8", "int32": "i32", "float32": "f32"}[array.dtype.name]
        shape = "x".join(map(str, array.shape))
        lines.append(f'%{name} = graph.constant {{resource = "{name}"}} : tensor<{shape}x{kind}>')
        return f"tensor<{shape}x{kind}>"

    def image(*shape, scale=0.05, zero=-5):
        return f"tensor<{'x'.join(map(str, shape))}x!graph.q<{scale}, {zero}>>"

    def contraction(number, op, source, kind, weight, attributes, result, spread):
        w = constant(f"w{number}", rng.integers(-128, 128, weight, np.int8))
        b = constant(f"b{number}", rng.integers(-2000, 2000, weight[-1], np.int32))
        count = weight[-1] if per_channel else 1
        s = constant(f"s{number}", (rng.uniform(0.5, 1.5, count) * spread).astype(np.float32))
        lines.append(
            f"%v{number} = graph.{op} {source}, %w{number} bias %b{number} : {b} scale %s{number} : {s} "
            f"{attributes.replace('SOURCE', f'l{number}')} : {kind}, {w} -> {result}"
        )

    c, n = channels, size
    inputs, body = image(1, n, n, 3), image(1, n, n, c, zero=3)
    pad = "padding = array<i64: 1, 1, 1, 1>"
    contraction(1, "conv2d", "%x", inputs, (3, 3, 3, c), f'{{source = "SOURCE", {pad}}}', body, 0.001)
    contraction(
        2, "conv2d", "%v1", body, (3, 3, 1, c), f'{{source = "SOURCE", {pad}, groups = {c} : i64}}', body, 0.002
    )
    residual = f"residual %v1 : {body}"
    contraction(
        3, "conv2d", "%v2", body, (1, 1, c, c), '{source = "SOURCE", residual_scale = 0.25 : f32}', body, 0.0015
    )
    lines[-1] = lines[-1].replace(" {source", f" {residual} {{source", 1)
    mean = image(1, 1, 1, c, zero=3)
    lines.append(
        f'%m = graph.average_pool %v3 {{source = "mean", window = array<i64: {n}, {n}>, strides = array<i64: 1, 1>, '
        f"scale = {float(np.float32(1 / n / n))!r} : f32}} : {body} -> {mean}"
    )
    flat, out = image(1, c, zero=3), image(1, 10)
    lines.append(f'%f = graph.reshape %m {{source = "flat"}} : {mean} -> {flat}')
    contraction(4, "matmul", "%f", flat, (c, 10), '{source = "SOURCE"}', out, 0.02)
    text = f"""func.func @main(%x: {inputs}) -> {out} attributes {{inputs = ["x"], outputs = ["y"]}} {{
        {chr(10).join(lines)}
        func.return %v4 : {out}
    }}"""
    return ir.parse(text, context.arrays), rng.integers(-128, 128, (1, n, n, 3), np.int8)


@pytest.mark.parametrize("config", [BASE, preset("ulx3s-mixed")], ids=lambda config: config.name)
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize(("channels", "size"), [(16, 8), (40, 12), (20, 5)])
def test_a_segment_that_fits_is_one_chain(channels, size, per_channel, config):
    model, x = network(
        np.random.default_rng(channels + per_channel), channels=channels, size=size, per_channel=per_channel
    )
    expected = ir.interpret(model, {"x": x})["y"]
    assert len(np.unique(expected)) > 5
    apart, chain = (compile_model(model, config, fuse=fuse) for fuse in (False, True))
    chain = decode_compiled(encode_compiled(chain))
    for compiled, layers in ((apart, 5), (chain, 1)):
        (step,) = compiled.steps
        assert len(step.program.layers) == layers
        assert not check_program(step.program)
        found = run_compiled(compiled, open_device("emulator", config), {"x": x}).outputs["y"]
        np.testing.assert_array_equal(found, expected)
    first, second = explain(apart), explain(chain)
    assert first["totals"]["macs"] == second["totals"]["macs"] == second["totals"]["macs_on_device"]
    assert second["totals"]["cycles"] < 0.8 * first["totals"]["cycles"]
    assert second["totals"]["bytes"] < first["totals"]["bytes"]
    assert [row["fused"] is not None for row in second["operators"]] == [
        row["kind"] != "reshape" for row in second["operators"]
    ]


def test_what_does_not_fit_goes_through_memory():
    """The scratchpad of a small config, and one whose word is wider than its rows."""
    model, x = network(np.random.default_rng(0), channels=64, size=32)
    for name in ("small", "nano"):
        (step,) = compile_model(model, preset(name)).steps
        assert len(step.program.layers) == 5, name
    result = run_compiled(compile_model(model, preset("small")), open_device("emulator", preset("small")), {"x": x})
    np.testing.assert_array_equal(result.outputs["y"], ir.interpret(model, {"x": x})["y"])


def test_a_chain_on_the_rtl():
    model, x = network(np.random.default_rng(3))
    compiled = compile_model(model, BASE)
    result = run_compiled(compiled, open_device("rtl", BASE), {"x": x})
    np.testing.assert_array_equal(result.outputs["y"], ir.interpret(model, {"x": x})["y"])
    assert result.cycles == pytest.approx(explain(compiled)["totals"]["cycles"], rel=0.03)
