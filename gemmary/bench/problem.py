"""A layer with values: the program, its inputs, and what NumPy says the result is."""

from dataclasses import dataclass

import numpy as np

from ..compiler import Program, compile_layer, layer_inputs, reference_layer
from ..workloads import Layer
from .task import Task


@dataclass(frozen=True)
class Problem:
    """``program`` for ``layer`` with random constants and ``inputs`` of ``seed``."""

    layer: Layer
    seed: int
    program: Program
    inputs: dict[str, np.ndarray]

    @classmethod
    def of(cls, task: Task) -> "Problem":
        """The same for the same task. InputError for a layer that cannot be compiled."""
        program = compile_layer(task.config, task.layer, seed=task.seed, timing=task.memory.timing(task.config))
        return cls(task.layer, task.seed, program, layer_inputs(task.layer, task.seed))

    def expected(self) -> np.ndarray:
        """The result in the shape of the program's tensor ``y``; nothing of it comes from the program."""
        return reference_layer(self.layer, self.seed, self.inputs)
