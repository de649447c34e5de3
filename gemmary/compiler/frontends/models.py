"""Model files by their suffix: .onnx, or .mlir with the text of the graph level."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...errors import InputError
from ..ir.model import Model, load
from ..passes import run_pipeline

SUFFIXES = (".onnx", ".mlir")


def load_model(
    path: Path,
    sizes: Mapping[str, int] | None = None,
    batch: int | None = None,
    calibration: Mapping[str, np.ndarray] | None = None,
    raised: bool = True,
    wide: bool | None = None,
) -> Model:
    """The model of a file, ``raised`` to the operators of the machine, or as the file has it.

    ``sizes`` and ``batch`` fix what is symbolic in an ONNX model; ``calibration`` (arrays by input, samples along axis 0) is for
    one that is not quantized yet. ``wide``: of that one only the operands of matrix products become int8, everything between them
    stays float; by default where it multiplies computed tensors, as attention does.

    InputError, naming the file or the operator, for what cannot be read or is not supported.
    """
    if path.suffix == ".mlir":
        return run_pipeline(load(path)) if raised else load(path)
    if path.suffix != ".onnx":
        raise InputError(f"{path}: the suffix of a model must be one of {', '.join(SUFFIXES)}")
    try:
        from .onnx import import_onnx, load_onnx
        from .onnx_quantize import is_quantized, quantize_onnx
        from .onnx_shapes import first_size, fix_sizes
        from .onnx_simplify import simplify_onnx
        from .onnx_wide import multiplies_activations, quantize_wide
    except ModuleNotFoundError as error:
        raise InputError(f"ONNX models need the Python package {error.name}: pip install 'gemmary[onnx]'") from None
    model = load_onnx(path)
    if not is_quantized(model):
        if not calibration:
            raise InputError(
                f"{path} is not quantized: give inputs to calibrate it with (--calibration x.npz), or quantize it with "
                "onnxruntime.quantization in QDQ format"
            )
        model = simplify_onnx(fix_sizes(model, sizes or {}, batch))
        if multiplies_activations(model) if wide is None else wide:
            imported = quantize_wide(import_onnx(model), calibration)
            return run_pipeline(imported) if raised else imported
        model = quantize_onnx(model, calibration, first_size(model))
    imported = import_onnx(model, sizes, batch)
    return run_pipeline(imported) if raised else imported
