"""Sizes of an ONNX model: symbolic ones fixed by the caller, the others inferred."""

from collections.abc import Mapping

import onnx

from ...errors import InputError

OPSETS = range(13, 22)


def opset_of(model: onnx.ModelProto) -> int:
    """InputError outside the opsets that the front end knows."""
    versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    if not versions or versions[0] not in OPSETS:
        found = versions[0] if versions else "none"
        raise InputError(
            f"the model's opset must be {OPSETS[0]} to {OPSETS[-1]}, not {found}: convert it with onnx.version_converter"
        )
    return versions[0]


def fix_sizes(model: onnx.ModelProto, sizes: Mapping[str, int], batch: int | None) -> onnx.ModelProto:
    """A copy with shapes of every value. ``sizes`` gives symbolic sizes by name; ``batch`` is the first size of every input
    where that is unknown. InputError, naming the input, for a size that nobody gives."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    constants = {initializer.name for initializer in fixed.graph.initializer}
    for value in fixed.graph.input:
        if value.name in constants:
            continue
        kind = value.type.tensor_type
        if not kind.HasField("shape"):
            raise InputError(f"input {value.name!r} has no shape: give it one with onnx.tools.update_model_dims")
        for axis, dim in enumerate(kind.shape.dim):
            if dim.HasField("dim_value") and dim.dim_value > 0:
                continue
            name = dim.dim_param
            size = sizes.get(name) if name else None
            size = batch if size is None and axis == 0 else size
            if size is None:
                raise InputError(_unknown(value.name, axis, name))
            if size < 1:
                raise InputError(f"size {name or 'batch'!r} must be at least 1, not {size}")
            dim.Clear()
            dim.dim_value = size
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        return onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise InputError(f"the model's shapes do not fit together: {' '.join(str(error).split())[:300]}") from None


def first_size(model: onnx.ModelProto) -> int:
    """Of every input, where they are alike: the batch; else 1."""
    constants = {initializer.name for initializer in model.graph.initializer}
    shapes = [value.type.tensor_type.shape.dim for value in model.graph.input if value.name not in constants]
    sizes = {shape[0].dim_value if shape else 1 for shape in shapes}
    return sizes.pop() if len(sizes) == 1 else 1


def _unknown(name: str, axis: int, symbol: str) -> str:
    fix = "--batch N" if axis == 0 else f"--size {symbol}=N" if symbol else "a fixed size in the model"
    return f"input {name!r}: axis {axis}{f' ({symbol})' if symbol else ''} has no fixed size: give {fix}"


def known_shapes(model: onnx.ModelProto) -> dict[str, tuple[tuple[int, ...], int]]:
    """(shape, ONNX dtype) of every value whose sizes are known."""
    shapes = {}
    graph = model.graph
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        dims = kind.shape.dim
        if kind.elem_type and kind.HasField("shape") and all(d.HasField("dim_value") for d in dims):
            shapes[value.name] = tuple(d.dim_value for d in dims), kind.elem_type
    return shapes
