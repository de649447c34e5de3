"""What must hold for a model: its text reads back, and the reference, the reference behind the passes, and devices agree in every
bit; the checker refuses no program of it, and its file holds the programs that were checked."""

from functools import cache

import numpy as np

from gemmary.compiler import ir
from gemmary.compiler.backend import compile_model, run_compiled
from gemmary.compiler.backend.binary import decode_compiled, encode_compiled
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
    """How many layers ran on each device. AssertionError where something differs; CheckError where the checker, which every compiled
    program passes, refuses one."""
    expected, text = ir.interpret(model, inputs), model.text()
    forms = [ir.parse(text, model.context.arrays)]
    assert forms[0].text() == text, "the text does not read back"
    if run_pipeline(model).text() != text:
        forms.append(model)
    layers = 0
    for form in forms:
        _compare("the reference behind the passes", ir.interpret(form, inputs), expected)
        checked = compile_model(form, config)
        compiled = decode_compiled(encode_compiled(checked))
        for step, read in zip(checked.steps, compiled.steps, strict=True):
            assert read.program == step.program, "a program does not read back from its file"
        for name in devices:
            result = run_compiled(compiled, device(name, config), inputs)
            _compare(name, result.outputs, expected)
            layers += len(result.layers)
    return layers // len(devices)


def _compare(who: str, found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=f"{who}, {name}")
