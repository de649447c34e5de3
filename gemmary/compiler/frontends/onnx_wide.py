"""Float models whose matrix products alone are quantized: residual streams, softmax and layer normalisation stay wide."""

from collections.abc import Mapping

import numpy as np
import onnx

from ..ir.model import Model
from ..passes.pipeline import MARK, run_pipeline
from .calibrate import calibrate
from .equalize import equalize


def multiplies_activations(model: onnx.ModelProto) -> bool:
    """Whether it multiplies two computed tensors, as attention does: int8 residual streams cost such models their accuracy
    (docs/compiler.md)."""
    constants = {each.name for each in model.graph.initializer}
    constants |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    return any(node.op_type == "MatMul" and not constants & set(node.input) for node in model.graph.node)


def quantize_wide(model: Model, calibration: Mapping[str, np.ndarray]) -> Model:
    """``model``, as its front end imported it in float, with int8 operands of its products. InputError for calibration data that
    do not fit."""
    marked = run_pipeline(model, MARK)
    return run_pipeline(equalize(marked, calibrate(marked, calibration)), "insert-quantization")
