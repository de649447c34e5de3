"""Memory planning: nothing alive overlaps, and simple networks reach the bound."""

import numpy as np
import pytest

from gemmary.compiler import ir
from gemmary.compiler.backend import compile_model, explain, run_compiled
from gemmary.compiler.memory import ALIGNMENT
from gemmary.compiler.planning import Life, aligned, bound, plan
from gemmary.config import preset
from gemmary.runtime.device import open_device


def peak(lives, addresses):
    return max(addresses[key] + aligned(life.size) for key, life in lives.items())


@pytest.mark.parametrize("seed", range(20))
def test_what_is_alive_does_not_overlap(seed):
    rng = np.random.default_rng(seed)
    lives = {}
    for key in range(40):
        first = int(rng.integers(0, 30))
        lives[key] = Life(int(rng.integers(1, 5000)), first, first + int(rng.integers(0, 6)))
    addresses = plan(lives)
    assert all(address % ALIGNMENT == 0 for address in addresses.values())
    for a, one in lives.items():
        for b, other in lives.items():
            if a < b and max(one.first, other.first) <= min(one.last, other.last):
                low, high = sorted((a, b), key=addresses.get)
                assert addresses[low] + lives[low].size <= addresses[high], (one, other)
    assert bound(lives) <= peak(lives, addresses) <= 1.25 * bound(lives)


def test_a_chain_takes_what_two_neighbours_take():
    lives = {n: Life(64 * (n % 5 + 1), n, n + 1) for n in range(30)}
    assert peak(lives, plan(lives)) == bound(lives) == 64 * 9


def test_a_deep_model_takes_no_more_memory_than_a_shallow_one():
    """Tables one after the other: two tensors are alive at a time."""
    image = "tensor<2x6x8x8x!graph.q<0.5, 0>>"
    rows = [f"%x{n + 1} = graph.table %x{n}, %t : {image}, tensor<256xi8> -> {image}" for n in range(9)]
    model = ir.parse(f"""func.func @main(%x0: {image}) -> {image} attributes {{inputs = ["x"], outputs = ["y"]}} {{
        %t = graph.constant {{value = dense<{list(range(-128, 128))[::-1]}> : tensor<256xi8>}} : tensor<256xi8>
        {chr(10).join(rows)}
        func.return %x9 : {image}
    }}""")
    compiled = compile_model(model, preset("small"))
    totals = explain(compiled)["totals"]
    assert totals["tensor_bytes"] == totals["tensor_bytes_bound"] == 2 * 2 * 6 * 8 * 8
    x = np.random.default_rng(0).integers(-128, 128, (2, 6, 8, 8), np.int8)
    result = run_compiled(compiled, open_device("emulator", preset("small")), {"x": x})
    np.testing.assert_array_equal(result.outputs["y"], (-1 - x.astype(int)).astype(np.int8))


def test_right_operands_are_filled_up_with_zeros_whatever_lay_there():
    """Channels beyond the last of the left operand are not 0: its table says 5 for 0."""
    small = preset("small")
    left, right, shape = (f"tensor<{size}x!graph.q<0.5, 0>>" for size in ("5x13", "13x6", "5x6"))
    model = ir.parse(f"""func.func @main(%a: {left}, %b: {right}) -> {shape} attributes {{inputs = ["a", "b"], outputs = ["y"]}} {{
        %t = graph.constant {{value = dense<5> : tensor<256xi8>}} : tensor<256xi8>
        %u = graph.constant {{value = dense<{list(range(-128, 128))[::-1]}> : tensor<256xi8>}} : tensor<256xi8>
        %s = graph.constant {{value = dense<0.01> : tensor<1xf32>}} : tensor<1xf32>
        %l = graph.table %a, %t : {left}, tensor<256xi8> -> {left}
        %w = graph.constant {{value = dense<3> : tensor<6x6xi8>}} : tensor<6x6xi8>
        %r = graph.matmul %b, %w scale %s : tensor<1xf32> : {right}, tensor<6x6xi8> -> {right}
        %y = graph.matmul %l, %r scale %s : tensor<1xf32> : {left}, {right} -> {shape}
        func.return %y : {shape}
    }}""")
    compiled, rng = compile_model(model, small), np.random.default_rng(0)
    assert [step.program is not None for step in compiled.steps] == [True]
    inputs = {n: rng.integers(-128, 128, v.type.get_shape(), np.int8) for n, v in model.inputs.items()}
    device = open_device("emulator", small)
    device.write(0, rng.integers(0, 256, compiled.memory_bytes, np.uint8).tobytes())
    np.testing.assert_array_equal(run_compiled(compiled, device, inputs).outputs["y"], ir.interpret(model, inputs)["y"])
