"""Runs a compiled model: programs on a device, everything else in the reference on the host."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...runtime.device import Device
from ...runtime.execute import LayerResult, LayerTotals, execute
from ..ir.interpreter import evaluate, read
from ..ir.types import shape_of
from .compiled import Compiled


@dataclass(frozen=True)
class ModelResult(LayerTotals):
    """``outputs`` by the model's names; ``layers`` are those of all programs."""

    outputs: dict[str, np.ndarray]
    layers: tuple[LayerResult, ...]


def run_compiled(compiled: Compiled, device: Device, inputs: Mapping[str, np.ndarray]) -> ModelResult:
    """The outputs for ``inputs``. InputError for wrong inputs and for a device of another config; DeviceError if it stops."""
    model, names = compiled.model, compiled.names
    if device.config.identity != compiled.config.identity:
        raise InputError(
            f"the program is for config {compiled.config.name!r} ({compiled.config.identity:08x}), the device has "
            f"{device.config.name!r} ({device.config.identity:08x}): compile the model for it"
        )
    model.check_inputs(dict(inputs))
    values = {value: np.asarray(inputs[name]) for name, value in model.inputs.items()}
    layers = []
    for step in compiled.steps:
        if step.program is None:
            for op in step.segment.ops:
                results = evaluate(model.context, op, values, model.opset)
                values |= dict(zip(op.results, results))
            continue
        tensors = step.program.tensors  # those of several products at once have one outer axis
        arrays = {names[v]: values[v].reshape(tensors[names[v]].shape) for v in step.segment.inputs}
        result = execute(device, step.program, arrays)
        values |= {v: result.tensors[names[v]].reshape(shape_of(v)) for v in step.segment.outputs}
        layers += result.layers
    outputs = {name: read(model.context, values, value) for name, value in model.outputs.items()}
    return ModelResult(outputs, tuple(layers))
