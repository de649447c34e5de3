"""Steps: how the layers of a network follow one another, one step an instance of a layer or a mean."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import InputError
from .layer import Conv, Layer

INPUT = "input"
"""The name of the network's own input."""

FIELDS = ("layer", "name", "input", "residual", "mean")


@dataclass(frozen=True)
class Mean:
    """The mean of the first ``height`` x ``width`` positions of an image of ``shape``, channel by channel."""

    height: int
    width: int
    shape: tuple[int, int, int]

    residual = False
    activation = "none"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.shape

    @property
    def output_shape(self) -> tuple[int, int]:
        return 1, self.shape[-1]


@dataclass(frozen=True)
class Step:
    """Makes the tensor ``name`` from the tensors ``input`` and ``residual``, which earlier steps made (or the network's input)."""

    name: str
    operation: Layer | Mean
    input: str
    residual: str | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.input,) if self.residual is None else (self.input, self.residual)


def read_steps(
    network: str, tables: Iterable[dict], layers: tuple[Layer, ...], shape: tuple[int, ...]
) -> tuple[Step, ...]:
    """The ``steps`` of a data file: tables with ``layer`` or ``mean`` (height, width), and optionally ``name`` (that of the
    layer), ``input`` (the step before) and ``residual``. InputError, naming step and field, unless every tensor is known,
    shapes fit and each layer occurs as often as its ``count``."""
    known, shapes, steps = {layer.name: layer for layer in layers}, {INPUT: tuple(shape)}, []
    for number, table in enumerate(tables, 1):
        step = _step(f"network {network!r}, step {number}", table, known, shapes, steps[-1].name if steps else INPUT)
        steps.append(step)
        shapes[step.name] = tuple(step.operation.output_shape)
    for layer in layers if steps else ():
        used = sum(step.operation is layer for step in steps)
        if used != layer.count:
            raise InputError(
                f"network {network!r}: count of layer {layer.name!r} is {layer.count}, steps has it {used} times"
            )
    return tuple(steps)


def _step(where: str, table: dict, layers: dict[str, Layer], shapes: dict[str, tuple], before: str) -> Step:
    for field in table.keys() - set(FIELDS):
        raise InputError(f"{where}: {field} is no field of a step; those are {', '.join(FIELDS)}")
    if ("layer" in table) == ("mean" in table):
        raise InputError(f"{where}: layer or mean must be given, and not both")
    source = table.get("input", before)
    if source not in shapes:
        raise InputError(f"{where}: input {source!r} is made by no earlier step")
    operation = _operation(where, table, layers, shapes[source])
    if tuple(operation.input_shape) != shapes[source]:
        raise InputError(
            f"{where}: input {source!r} has the shape {list(shapes[source])}, the layer takes {list(operation.input_shape)}"
        )
    name, residual = table.get("name", table.get("layer", "mean")), table.get("residual")
    if name in shapes:
        raise InputError(f"{where}: name {name!r} is taken by an earlier step")
    if (residual is not None) != operation.residual:
        raise InputError(
            f"{where}: residual must be {'given' if operation.residual else 'left out'}, as the layer says"
        )
    if residual is not None and shapes.get(residual) != tuple(operation.output_shape):
        raise InputError(f"{where}: residual {residual!r} is no earlier tensor of shape {list(operation.output_shape)}")
    return Step(name, operation, source, residual)


def _operation(where: str, table: dict, layers: dict[str, Layer], shape: tuple[int, ...]) -> Layer | Mean:
    if "layer" in table:
        if table["layer"] not in layers:
            raise InputError(f"{where}: layer {table['layer']!r} is not among the layers")
        return layers[table["layer"]]
    size = table["mean"]
    fits = isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)
    if not fits or len(shape) != 3 or size[0] > shape[0] or size[1] > shape[1]:
        raise InputError(f"{where}: mean must be [height, width] within its input {list(shape)}, not {size!r}")
    return Mean(*size, shape)


def is_depthwise(operation) -> bool:
    """Whether each channel is convolved by itself."""
    return isinstance(operation, Conv) and operation.groups == operation.cin == operation.cout > 1
