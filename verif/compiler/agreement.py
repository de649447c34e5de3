"""What must hold for a model: its text reads back, and the reference, the reference behind the passes, and devices agree in every
bit; the checker refuses no program of it."""

from functools import cache

import numpy as np

from gemmary.compiler import ir
from gemmary.compiler.backend import compile_model, run_compiled
from gemmary.compiler.backend.binary import decode_compiled, encode_compiled
from gemmary.compiler.checker import check_program
from gemmary.compiler.passes import run_pipeline
from gemmary.config import Config
from gemmary.runtime.device import Device, open_device

MEMORY_BYTES = 4 << 20


@cache
def device(name: str, config: Config) -> Device:
    """One of each, for all models."""
    return open_device(name, config, memory_bytes=MEMORY_BYTES)


def check(
    model: ir.Model, inputs: dict[str, np.ndarray], config: Config, devices: tuple[str, ...] = ("emulator",)
) -> int:
    """How many layers ran on each device. AssertionError where something differs."""
    expected, text = ir.interpret(model, inputs), model.text()
    assert ir.parse(text, model.context.arrays).text() == text, "the text does not read back"
    layers = 0
    for lowered in (ir.parse(text, model.context.arrays), run_pipeline(model)):
        _compare("the reference behind the passes", ir.interpret(lowered, inputs), expected)
        compiled = decode_compiled(encode_compiled(compile_model(lowered, config)))
        for step in compiled.steps:
            findings = check_program(step.program) if step.program else []
            assert not findings, f"the checker refuses a good program: {findings[0]}"
        for name in devices:
            result = run_compiled(compiled, device(name, config), inputs)
            _compare(name, result.outputs, expected)
            layers += len(result.layers)
    return layers // len(devices)


def _compare(who: str, found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=f"{who}, {name}")
