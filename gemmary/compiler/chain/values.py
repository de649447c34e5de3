"""Random constants for all steps of a network, and what NumPy makes of them."""

import numpy as np

from ...workloads import INPUT, Conv, Matmul, Mean, Network, Step
from ..requantization import Requantization, ResidualOperand
from ..scales import mantissa_and_shift
from ..values import RESIDUAL_ZERO_POINT, SPREAD, UNIFORM, Values, reference_layer, residual_scale, rounded

RECTIFIED = SPREAD / np.sqrt(2)
"""Root mean square of a result of a ReLU around its zero point."""

AVERAGED = SPREAD / 2
"""The same of a mean of such results."""


class ChainValues:
    """``layers[name]``: the constants of each step that is a layer, drawn from ``seed`` and the number of the step, for inputs of the
    zero point and about the spread that the step before gives them. As in TensorFlow Lite, a dense layer has one scale, a convolution
    one a channel. ``zero_points[name]``: of every tensor that a step makes."""

    def __init__(self, network: Network, seed: int):
        self.network, self.seed = network, seed
        self.layers: dict[str, Values] = {}
        self.zero_points: dict[str, int] = {}
        spreads = {INPUT: UNIFORM}
        for number, step in enumerate(network.steps):
            if isinstance(step.operation, Mean):
                self.zero_points[step.name], spreads[step.name] = self.zero_points[step.input], AVERAGED
                continue
            source = {"input_zero_point": self.zero_points.get(step.input), "spread": spreads[step.input]}
            dense = isinstance(step.operation, Matmul)
            values = self.layers[step.name] = Values.of(step.operation, seed + number, scalar=dense, **source)
            self.zero_points[step.name] = values.zero_point
            spreads[step.name] = SPREAD if step.operation.activation == "none" else RECTIFIED

    def weights(self, step: Step) -> np.ndarray:
        weights = self.layers[step.name].weights
        return weights if isinstance(step.operation, Conv) else weights[0][None, None]

    def outside(self, step: Step) -> int:
        return self.layers[step.name].input_zero_point

    def requantization(self, step: Step) -> Requantization:
        if isinstance(step.operation, Mean):
            return self._mean(step)
        residual = step.residual and ResidualOperand(None, RESIDUAL_ZERO_POINT, *residual_scale())
        part = slice(None) if isinstance(step.operation, Conv) else 0
        return self.layers[step.name].requantization(step.operation, part, residual)

    def _mean(self, step: Step) -> Requantization:
        """Its one rounding (docs/numerics.md)."""
        count, zero = step.operation.height * step.operation.width, self.zero_points[step.name]
        mantissa, shift = map(int, mantissa_and_shift(1 / count))
        return Requantization(bias=-count * zero, mantissa=mantissa, shift=shift, zero_point=zero)


def chain_input(network: Network, seed: int = 0) -> np.ndarray:
    """A random int8 input."""
    return np.random.default_rng([seed, 2]).integers(-128, 128, network.input, np.int8)


def reference_chain(network: Network, seed: int, array: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor that the program of ``compile_chain`` with this seed makes of the input ``array``, by NumPy alone."""
    values, tensors = ChainValues(network, seed), {INPUT: array}
    for step in network.steps:
        source, operation = tensors[step.input], step.operation
        if isinstance(operation, Mean):
            part = source[: operation.height, : operation.width].astype(np.int64)
            zero, (mantissa, shift) = values.zero_points[step.name], mantissa_and_shift(1 / part[..., 0].size)
            total = (part - zero).sum(axis=(0, 1))[None]
            tensors[step.name] = np.clip(rounded(total * mantissa, shift) + zero, -128, 127).astype(np.int8)
            continue
        image = isinstance(operation, Conv)
        inputs = {"a": source, "residual": tensors.get(step.residual)}
        inputs = {name: array[None] if image else array for name, array in inputs.items() if array is not None}
        result = reference_layer(operation, 0, inputs, values.layers[step.name])
        tensors[step.name] = result[0] if image else result
    return tensors
