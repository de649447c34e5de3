"""The dialect ``graph``: a model as quantized operators on tensors, the level that every front end produces."""

from dataclasses import dataclass, field
from math import prod

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, BytesAttr, DenseIntOrFPElementsAttr, StringAttr
from xdsl.dialects.func import Func
from xdsl.ir import Dialect, SSAValue

from ...config import Config
from ...errors import InputError
from ...performance.model import Timing
from .contractions import Conv2D, MatMul
from .edges import Constant, Dequantize, Float, Observe, Quantize, Reinterpret, Scale
from .instructions import Isa
from .normal import LayerNorm, Softmax
from .shapes import Concat, Reshape, Transpose
from .tile import Tile
from .types import Quantized, numpy_dtype, shape_of, tensor_type
from .vector import Add, AveragePool, MaxPool, Table

OPERATORS = (
    Constant, Quantize, Dequantize, Observe, Scale, Reinterpret, Float,
    Conv2D, MatMul, MaxPool, AveragePool, Add, Table,
    Reshape, Transpose, Concat, Softmax, LayerNorm,
)  # fmt: skip

Graph = Dialect("graph", list(OPERATORS), [Quantized])

INLINE = 8
"""Arrays of at most so many numbers stand in the text."""


@dataclass
class GraphContext(Context):
    """The dialects of all levels, and the arrays of constants by the name of their resource.

    ``config`` and ``timing`` are what programs are made for; without them, the preset that a program names.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    config: Config | None = None
    timing: Timing | None = None

    def __post_init__(self):
        for dialect in (Builtin, Func, Graph, Tile, Isa):
            self.load_dialect(dialect)

    def clone(self) -> "GraphContext":
        return GraphContext(self.allow_unregistered, arrays=dict(self.arrays), config=self.config, timing=self.timing)

    def constant(self, name: str, array: np.ndarray, source: str = "") -> Constant:
        """A constant of ``array``; a large one becomes a resource called ``name``, or the like if that is taken."""
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        kind, properties = tensor_type(array), {}
        finite = array.dtype.kind != "f" or np.isfinite(array).all()  # xDSL reads infinities in dense<> as integers
        if array.size <= INLINE and array.dtype != np.bool_ and finite:
            properties["value"] = DenseIntOrFPElementsAttr(kind, BytesAttr(array.tobytes()))
        else:
            unique, i = name, 1
            while unique in self.arrays and not _same(self.arrays[unique], array):
                unique, i = f"{name}.{i}", i + 1
            self.arrays[unique] = array
            properties["resource"] = StringAttr(unique)
        attributes = {"source": StringAttr(source)} if source else {}
        return Constant.build(result_types=[kind], properties=properties, attributes=attributes)

    def array(self, value: SSAValue | Constant) -> np.ndarray | None:
        """The numbers of a value that is constant, None of any other. InputError for a resource that is missing or has
        another shape or dtype."""
        op = value.owner if isinstance(value, SSAValue) else value
        if not isinstance(op, Constant):
            return None
        shape, dtype = shape_of(op.result), numpy_dtype(op.result.type.element_type)
        if op.value is not None:
            numbers = np.frombuffer(op.value.data.data, dtype)
            return numbers.reshape(shape) if numbers.size == prod(shape) else np.broadcast_to(numbers, shape)
        name = op.resource.data
        if name not in self.arrays:
            raise InputError(f"resource {name!r} is missing: give the file of arrays that belongs to the text")
        array = self.arrays[name]
        if (array.shape, array.dtype) != (shape, dtype):
            raise InputError(f"resource {name!r} must be {dtype} {list(shape)}, not {array.dtype} {list(array.shape)}")
        return array


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
