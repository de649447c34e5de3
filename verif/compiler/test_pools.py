"""Max pools in the drain of convolutions: the same numbers, fewer cycles, and a layer of their own where they do not fit."""

import numpy as np
import pytest

from gemmary.compiler import ir
from gemmary.compiler.backend import compile_model, explain, run_compiled
from gemmary.compiler.backend.binary import decode_compiled, encode_compiled
from gemmary.compiler.ir.base import positions
from gemmary.compiler.passes import DEFAULT, run_pipeline
from gemmary.config import preset
from gemmary.runtime.device import open_device
from verif.configs import TINIES

SMALL, BASE = preset("small"), preset("base")
CONFIGS = {config.name: config for config in (SMALL, BASE, *TINIES)}
APART = DEFAULT.replace("fuse-pools,", "")


def network(
    size=(6, 6), channels=(8, 9), pool=(2, 2), strides=(2, 2), padding=(0, 0, 0, 0), kernel=(3, 3), images=1, first=True
) -> tuple[ir.Model, np.ndarray]:
    """A convolution whose output is as large as its input, the first one or behind another, and a max pool."""
    rng, context, (cin, cout) = np.random.default_rng(5), ir.GraphContext(), channels
    (h, w), (kh, kw) = size, kernel
    arrays = {
        "w": rng.integers(-128, 128, (kh, kw, cin, cout), np.int8),
        "b": rng.integers(-2000, 2000, cout, np.int32),
        "s": rng.uniform(0.0005, 0.002, cout).astype(np.float32),
        "i": rng.integers(-128, 128, (1, 1, cin, cin), np.int8),
        "t": np.float32([0.01]),
    }
    context.arrays |= arrays
    kinds = {
        name: f"tensor<{'x'.join(map(str, a.shape))}x{a.dtype.kind}{8 * a.itemsize}>" for name, a in arrays.items()
    }
    constants = [f'%{name} = graph.constant {{resource = "{name}"}} : {kind}' for name, kind in kinds.items()]

    def image(size, channels):
        return f"tensor<{images}x{size[0]}x{size[1]}x{channels}x!graph.q<0.05, -5>>"

    x, y, z = image(size, cin), image(size, cout), image(positions(size, pool, strides, padding), cout)
    same = kh // 2, (kh - 1) // 2, kw // 2, (kw - 1) // 2
    numbers = {"window": pool, "strides": strides, "padding": padding}
    geometry = ", ".join(f"{name} = array<i64: {', '.join(map(str, n))}>" for name, n in numbers.items())
    before = f'%p = graph.conv2d %x, %i scale %t : {kinds["t"]} {{source = "before"}} : {x}, {kinds["i"]} -> {x}'
    text = f"""func.func @main(%x: {x}) -> {z} attributes {{inputs = ["x"], outputs = ["y"]}} {{
      {chr(10).join(constants)}
      {"" if first else before}
      %c = graph.conv2d {"%x" if first else "%p"}, %w bias %b : {kinds["b"]} scale %s : {kinds["s"]}
        {{source = "conv", padding = array<i64: {", ".join(map(str, same))}>}} : {x}, {kinds["w"]} -> {y}
      %y = graph.max_pool %c {{source = "pool", {geometry}}} : {y} -> {z}
      func.return %y : {z}
    }}"""
    return ir.parse(text, context.arrays), rng.integers(-128, 128, (images, h, w, cin), np.int8)


def kinds(compiled) -> list[str]:
    return [row["kind"] for row in explain(compiled)["operators"] if row["operator"] != "before"]


CASES = {
    "2x2": (SMALL, {}),
    "3x3, padded": (SMALL, {"pool": (3, 3), "padding": (1, 1, 1, 1), "size": (8, 8), "first": False}),
    "3x3, two images": (BASE, {"pool": (3, 3), "padding": (1, 0, 1, 0), "images": 2, "first": False}),
    "2x1": (SMALL, {"pool": (2, 1), "strides": (2, 1), "first": False}),
    "ragged": (BASE, {"size": (7, 9), "first": False, "channels": (4, 20)}),
    "stride 1, other edges": (SMALL, {"pool": (3, 2), "strides": (1, 2), "padding": (2, 1, 0, 1), "size": (5, 5)}),
    "images as rows": (CONFIGS["tiny-wide"], {"images": 5, "size": (2, 4), "kernel": (1, 1), "first": False}),
    "lines": (SMALL, {"size": (1, 18), "kernel": (1, 3), "pool": (1, 2), "strides": (1, 2), "first": False}),
    "whole images": (SMALL, {"pool": (6, 6), "strides": (1, 1), "images": 2, "first": False}),
    "several windows a run": (BASE, {"size": (8, 12), "channels": (1, 20), "images": 2}),
    "several windows a run, ragged": (SMALL, {"size": (7, 12), "channels": (1, 3), "strides": (2, 3), "pool": (2, 3)}),
    "areas": (CONFIGS["tiny"], {"size": (10, 11), "pool": (3, 3), "padding": (1, 1, 1, 1), "channels": (4, 5)}),
    "areas of strips": (SMALL, {"size": (26, 22), "pool": (3, 3), "padding": (1, 1, 1, 1), "channels": (3, 9)}),
    "rows packed": (BASE, {"size": (9, 20), "channels": (3, 16), "pool": (3, 2), "padding": (1, 1, 0, 0)}),
}


QUICK = {"3x3, padded", "several windows a run", "rows packed"}


@pytest.mark.parametrize(
    ("config", "sizes"),
    [pytest.param(*case, id=name, marks=() if name in QUICK else pytest.mark.nightly) for name, case in CASES.items()],
)
def test_a_pool_in_the_drain_is_exact(config, sizes):
    model, x = network(**sizes)
    expected = ir.interpret(model, {"x": x})["y"]
    assert len(np.unique(expected)) > 5
    apart = compile_model(run_pipeline(ir.parse(model.text(), model.context.arrays), APART), config)
    fused = decode_compiled(encode_compiled(compile_model(run_pipeline(model), config)))
    assert (kinds(apart), kinds(fused)) == (["conv2d", "max_pool"], ["conv2d + max_pool"])
    np.testing.assert_array_equal(ir.interpret(fused.model, {"x": x})["y"], expected)
    np.testing.assert_array_equal(run_compiled(fused, open_device("emulator", config), {"x": x}).outputs["y"], expected)
    assert explain(fused)["totals"]["cycles"] < explain(apart)["totals"]["cycles"]
    assert explain(fused)["totals"]["macs"] == explain(apart)["totals"]["macs"]


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        # Three lines of sums a line of windows, each summed three times.
        pytest.param(
            CONFIGS["tiny"],
            {"size": (8, 7), "pool": (3, 1), "strides": (1, 1), "channels": (8, 4)},
            marks=pytest.mark.nightly,
        ),
        # Every second line of sums would be for nothing.
        (SMALL, {"pool": (1, 3), "strides": (2, 1)}),
        # 36 sums in 32 rows of the accumulator.
        (CONFIGS["tiny"], {"pool": (6, 6), "strides": (1, 1), "channels": (4, 5)}),
    ],
)
def test_a_pool_that_gains_nothing_is_a_layer(config, sizes):
    model, x = network(**sizes)
    expected, lowered = ir.interpret(model, {"x": x})["y"], run_pipeline(model)
    assert [op.name for op in lowered.operations if op.name != "graph.constant"] == ["graph.conv2d"]
    compiled = decode_compiled(encode_compiled(compile_model(lowered, config)))
    assert kinds(compiled) == ["conv2d", "max_pool"]
    assert [row["operator"] for row in explain(compiled)["operators"]] == ["conv", "pool"]
    found = run_compiled(compiled, open_device("emulator", config), {"x": x}).outputs["y"]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("sizes", "whole"),
    [
        ({"size": (8, 8)}, True),
        *(
            pytest.param(*case, marks=pytest.mark.nightly)
            for case in (
                ({"size": (8, 8), "pool": (2, 3), "padding": (0, 0, 1, 0), "channels": (3, 40)}, True),
                # Several blocks of lines.
                ({"size": (9, 24), "channels": (16, 20), "pool": (3, 2), "strides": (3, 2)}, True),
                # Windows share lines of sums.
                ({"size": (8, 8), "pool": (3, 3)}, False),
                # A column is in no window.
                ({"size": (8, 9)}, False),
            )
        ),
    ],
)
@pytest.mark.parametrize("config", [BASE, preset("ulx3s-mixed")], ids=lambda config: config.name)
def test_a_pool_in_a_chain(config, sizes, whole):
    model, x = network(**{"first": False} | sizes)
    expected, lowered = ir.interpret(model, {"x": x})["y"], run_pipeline(model)
    compiled, apart = (compile_model(lowered, config, fuse=fuse) for fuse in (True, False))
    rows = [row for row in explain(compiled)["operators"] if row["kind"] == "conv2d + max_pool"]
    assert [row["fused"] is not None for row in rows] == [whole]
    np.testing.assert_array_equal(
        run_compiled(compiled, open_device("emulator", config), {"x": x}).outputs["y"], expected
    )
    if whole:
        assert explain(compiled)["totals"]["cycles"] < explain(apart)["totals"]["cycles"]


@pytest.mark.parametrize("geometry", [{"pool": (3, 3), "padding": (1, 1, 1, 1)}, {"pool": (2, 2)}])
def test_a_pool_in_the_drain_on_the_rtl(geometry):
    """The second one in a chain."""
    model, x = network(size=(8, 8), first=False, **geometry)
    expected, compiled = ir.interpret(model, {"x": x})["y"], compile_model(run_pipeline(model), BASE)
    assert kinds(compiled) == ["conv2d + max_pool"]
    result = run_compiled(compiled, open_device("rtl", BASE), {"x": x})
    np.testing.assert_array_equal(result.outputs["y"], expected)
    assert result.cycles == pytest.approx(explain(compiled)["totals"]["cycles"], rel=0.03)
