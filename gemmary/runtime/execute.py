"""Runs compiled programs on a device: constants and inputs in, layer by layer, tensors out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .device import Device, Report

if TYPE_CHECKING:  # the runtime runs what a compiler made, and does not need one
    from ..compiler import Layer, Program


@dataclass(frozen=True)
class LayerResult:
    """What one layer took: the sum over its runs. ``cycles`` is 0 on a device without a clock."""

    name: str
    macs: int
    cycles: int
    reports: tuple[Report, ...]
    macs_per_cycle: int

    @property
    def utilization(self) -> float:
        """Products of the definition / what the array could have done in these cycles; 0 without a clock."""
        return self.macs / (self.cycles * self.macs_per_cycle) if self.cycles else 0.0


class LayerTotals:
    """Sums over ``layers``."""

    layers: tuple[LayerResult, ...]

    @property
    def cycles(self) -> int:
        """From first fetch to last write response; 0 on a device without a clock."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def utilization(self) -> float:
        return self.macs / (self.cycles * self.layers[0].macs_per_cycle) if self.cycles else 0.0


@dataclass(frozen=True)
class Result(LayerTotals):
    """Tensors by name (all those of the program but its inputs and those that others took the place of), and a report for each layer."""

    tensors: dict[str, np.ndarray]
    layers: tuple[LayerResult, ...]


def execute(
    device: Device,
    program: Program,
    inputs: Mapping[str, np.ndarray],
    progress: Callable[[Layer], None] = lambda layer: None,
) -> Result:
    """Writes constants and ``inputs`` to the device's memory, runs every layer and reads every tensor.

    ``progress`` is called after each layer. InputError for another config, missing or unknown inputs, wrong shapes or
    dtypes, or too little memory; DeviceError if the device stops.
    """
    if device.config.identity != program.config.identity:
        raise InputError(f"the program is for {program.config.name!r}, the device is {device.config.name!r}")
    if device.memory_bytes < program.memory_bytes:
        raise InputError(
            f"the program needs {program.memory_bytes} bytes of memory, the device has {device.memory_bytes}"
        )
    for name in program.inputs:
        if name not in inputs:
            raise InputError(f"input {name!r} is missing")
    for name in inputs:
        if name not in program.inputs:
            raise InputError(f"unknown input {name!r}: the program takes {', '.join(program.inputs)}")
    packed = [(program.tensors[name].address, program.tensors[name].pack(inputs[name])) for name in program.inputs]
    for address, data in (*program.constants, *packed):
        device.write(address, data)
    layers = []
    for layer in program.layers:
        reports = tuple(device.run(run.code, program.code_address) for run in layer.runs)
        cycles = sum(report.cycles for report in reports)
        layers.append(LayerResult(layer.name, layer.macs, cycles, reports, program.config.macs_per_cycle))
        progress(layer)
    results = {name: program.tensors[name] for name in program.left}
    return Result({name: t.unpack(device.read(t.address, t.size)) for name, t in results.items()}, tuple(layers))
