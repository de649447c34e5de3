"""A layer, or a whole network, with values: the program, its inputs, and what NumPy says the result is."""

from dataclasses import dataclass

import numpy as np

from ..compiler import Program, compile_layer, layer_inputs, reference_layer
from ..compiler.chain import chain_input, compile_chain, reference_chain
from ..workloads import INPUT, Layer, Network
from .task import NetworkTask, Task


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


@dataclass(frozen=True)
class NetworkProblem:
    """``program`` for all of ``network`` at once, with random constants and ``inputs`` of ``seed``."""

    network: Network
    seed: int
    program: Program
    inputs: dict[str, np.ndarray]

    @classmethod
    def of(cls, task: NetworkTask) -> "NetworkProblem":
        """The same for the same task. InputError for a network that cannot be one program."""
        program = compile_chain(task.config, task.network, seed=task.seed, timing=task.memory.timing(task.config))
        return cls(task.network, task.seed, program, {INPUT: chain_input(task.network, task.seed)})

    def expected(self) -> np.ndarray:
        """The result of the last step; nothing of it comes from the program."""
        return reference_chain(self.network, self.seed, self.inputs[INPUT])[self.network.steps[-1].name]
