"""Float ONNX models made simpler before they are quantized: what exporters write out becomes the operator that was meant.

Constants are folded (with them all that computes shapes) and what changes nothing goes; then, until nothing changes:

| written out | becomes |
|---|---|
| one-hot codes times a matrix of constants | Gather |
| functions of a Gather from constants | Gather from the functions of the constants |
| x · clip(x + 3, 0, 6) / 6 | HardSwish |
| 0.5 · x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) | Gelu |
| (x − mean) / √(variance + ε) · γ + β over one axis | LayerNormalization, with transposes where that is not the last axis |
| exp(x − max) / sum of that, over one axis | Softmax |
| squeeze(y) + constant | squeeze(y + constant), so that the next can be done |
| conv + constant of each channel | conv with a bias |
| product + constant [1, …, n] | product + constant [n] |

Results are those of the model given, but for the rounding of floats.
"""

import onnx
from onnx import version_converter

from . import onnx_patterns as patterns
from .onnx_graph import OnnxGraph

OPSET = 20
"""The first with Gelu; LayerNormalization came with 17, HardSwish with 14."""

PATTERNS = (
    patterns.one_hot,
    patterns.function_of_gather,
    patterns.hard_swish,
    patterns.gelu_tanh,
    patterns.layer_norm,
    patterns.softmax,
    patterns.sum_of_squeezed,
    patterns.bias,
    patterns.flat_bias,
)


def simplify_onnx(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` may leave its batch open: less is found then. Models of older opsets than OPSET are converted to it where a pattern
    asks for that, and stay as they are where onnx cannot convert them."""
    graph = OnnxGraph(model)
    graph.fold()
    if not _rewrite(graph, apply=False):
        return graph.model()
    if graph.opset < OPSET:
        try:
            model = version_converter.convert_version(model, OPSET)
        except Exception:  # whatever the converter raises: the model is right as it is
            return graph.model()
    graph = OnnxGraph(model)
    graph.fold()
    while _rewrite(graph):
        graph.fold()
    return graph.model()


def _rewrite(graph: OnnxGraph, apply: bool = True) -> bool:
    """Whether a pattern was found; at most one of each place."""
    found = False
    for node in list(graph.nodes):
        for pattern in PATTERNS:
            if graph.has(node) and (change := pattern(graph, node)) is not None:
                found = True
                if apply:
                    change()
    return found
