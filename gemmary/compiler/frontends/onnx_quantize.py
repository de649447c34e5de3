"""Float ONNX models quantized on the way, by onnxruntime: int8 weights for each channel, int8 activations by calibration."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from ...errors import InputError


def is_quantized(model: onnx.ModelProto) -> bool:
    return any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def quantize_onnx(model: onnx.ModelProto, calibration: Mapping[str, np.ndarray], samples: int = 1) -> onnx.ModelProto:
    """The model in QDQ format, batch normalisation folded; the zero points of activations are 0 in one that multiplies two of
    them, as attention does: the machine knows no others there. ``calibration`` has arrays by input, ``samples`` at a time.

    InputError for missing inputs, and where onnxruntime is missing or refuses the model.
    """
    try:
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ModuleNotFoundError as error:
        raise InputError(
            f"quantizing a float model needs the Python package {error.name}: pip install 'gemmary[onnx]'"
        ) from None
    inputs = _inputs(model)
    if missing := inputs - calibration.keys():
        raise InputError(f"calibration data lack the input {sorted(missing)[0]!r}")
    if (count := min(len(calibration[name]) for name in inputs)) < samples:
        raise InputError(f"the model takes {samples} samples at a time, the calibration data have {count}")

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            count = min(len(calibration[name]) for name in inputs)
            self.batches = iter(range(0, count - count % samples, samples))

        def get_next(self):
            start = next(self.batches, None)
            return None if start is None else {name: calibration[name][start : start + samples] for name in inputs}

    with tempfile.TemporaryDirectory() as folder:
        given, prepared, result = (Path(folder) / f"{name}.onnx" for name in ("float", "prepared", "int8"))
        onnx.save(model, str(given))
        try:
            quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(result),
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=_operators(),
                extra_options={"ActivationSymmetric": _multiplies_activations(model)},
            )
        except Exception as error:  # whatever onnxruntime raises
            raise InputError(f"onnxruntime cannot quantize the model: {' '.join(str(error).split())[:300]}") from None
        return onnx.load(str(result))


def _inputs(model: onnx.ModelProto) -> set[str]:
    return {value.name for value in model.graph.input} - {each.name for each in model.graph.initializer}


def _operators() -> list[str]:
    """What onnxruntime quantizes by itself, and activations: what follows them finds int8. Not LayerNormalization, whose weights it
    cannot quantize for each channel; it reads and writes int8 where its neighbours do."""
    from onnxruntime.quantization import registry

    known = {*registry.QDQRegistry, *registry.QLinearOpsRegistry}
    return sorted(known - {"LayerNormalization"} | {"Gelu", "HardSigmoid", "HardSwish"})


def _multiplies_activations(model: onnx.ModelProto) -> bool:
    constants = {each.name for each in model.graph.initializer}
    constants |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    return any(node.op_type == "MatMul" and not constants & set(node.input) for node in model.graph.node)
