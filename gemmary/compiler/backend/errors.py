"""What quantization costs: the signal-to-noise ratio of every operator's result against the model computed in float."""

from collections.abc import Iterator, Mapping

import numpy as np
from xdsl.ir import Operation

from ...errors import InputError
from ..ir import numerics
from ..ir.edges import Constant, Dequantize, Quantize, Reinterpret
from ..ir.interpreter import evaluate, interpret
from ..ir.model import Model
from ..ir.types import quantization
from .names import names_of


def signal_to_noise(model: Model, lowered: Model, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:
    """In dB by the names that ``lowered`` gives its values, for those that stand for a quantized tensor of ``model``.

    ``model`` is what the front end made: with every quantization left out it is the float model, of the same weights. The ratio
    counts all errors up to there. InputError for wrong inputs, or a model whose inputs are no floats.
    """
    real, names, ratios = _float_tensors(model, inputs), names_of(lowered), {}

    def observe(op: Operation, results: tuple[np.ndarray, ...]) -> None:
        tensor, q = op.attributes.get("tensor"), quantization(op.results[0])
        if isinstance(op, Quantize):
            tensor = op.attributes.get("source")
        expected = real.get(tensor.data) if tensor is not None and q is not None else None
        if expected is None:
            return
        found = numerics.dequantize(results[0], q.scale.data, q.zero_point.data)
        # The machine's order of axes may be another one than the model's: the right one has the smallest error.
        ratios[names[op.results[0]]] = max(_ratio(expected, each) for each in _orders(found, expected))

    interpret(lowered, inputs, observe)
    return ratios


def _float_tensors(model: Model, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What every ``graph.quantize`` reads, by its origin, where none of them does anything."""
    model.check_inputs(dict(inputs))
    values, tensors = {value: np.asarray(inputs[name]) for name, value in model.inputs.items()}, {}
    for op in model.operations:
        if isinstance(op, Reinterpret) and not isinstance(op.input.owner, Constant):
            raise InputError("the quantization error needs a model with float inputs: these are int8")
        if isinstance(op, Quantize | Dequantize):
            source = op.input
            array = values[source] if source in values else model.context.array(source)
            results = (array,)
            if isinstance(op, Quantize):
                tensors[op.source] = array
        else:
            results = evaluate(model.context, op, values, model.opset)
        values |= dict(zip(op.results, results))
    return tensors


def _orders(found: np.ndarray, expected: np.ndarray) -> Iterator[np.ndarray]:
    if found.shape == expected.shape:
        yield found
    if found.ndim == 4:
        turned = found.transpose(0, 3, 1, 2)
        if turned.size == expected.size:
            yield turned.reshape(expected.shape)
    elif found.size == expected.size:
        yield found.reshape(expected.shape)
        if found.ndim == 3 and expected.ndim == 4:  # heads side by side
            yield found.reshape([expected.shape[i] for i in (0, 2, 1, 3)]).swapaxes(1, 2)


def _ratio(expected: np.ndarray, found: np.ndarray) -> float:
    """In dB, rounded to hundredths; 999 where nothing differs."""
    signal, noise = (float(np.sum(np.square(each, dtype=np.float64))) for each in (expected, expected - found))
    return round(10 * np.log10(signal / noise), 2) if noise and signal else 999.0
