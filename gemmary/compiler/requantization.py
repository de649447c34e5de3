"""What happens to a sum on its way out of the accumulator, or to an activation in the vector engine."""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..isa import DType
from .tensor import Tensor
from .weights import check_int8


@dataclass(frozen=True)
class ResidualOperand:
    """A tensor of the result's shape that is added before the one rounding (docs/numerics.md, step 6)."""

    tensor: Tensor
    zero_point: int
    mantissa: int
    shift: int


@dataclass(frozen=True)
class Requantization:
    """Steps 3 to 9 of docs/numerics.md.

    ``bias``, ``mantissa`` and ``shift`` are ints, or int arrays ``[channels]``. ``table`` has the 256 entries of the lookup.
    An int32 result knows only the bias. Raises InputError for values that instructions cannot hold.
    """

    result: DType = DType.INT8
    bias: np.ndarray | int = 0
    mantissa: np.ndarray | int = 1 << 23
    shift: np.ndarray | int = 23
    zero_point: int = 0
    low: int = -128
    high: int = 127
    residual: ResidualOperand | None = None
    table: np.ndarray | None = None

    def __post_init__(self):
        for name in ("zero_point", "low", "high"):
            check_int8(name, getattr(self, name))
        if self.low > self.high:
            raise InputError(f"low must not exceed high: {self.low} > {self.high}")
        if self.result == DType.INT32 and (self.residual or self.table is not None):
            raise InputError("an int32 result takes neither a residual nor a table")
        if self.residual:
            distance = np.asarray(self.shift, np.int64) - self.residual.shift
            if distance.min() < 0 or distance.max() > 31:
                raise InputError("the residual's shift must be at most the layer's own, and less by at most 31")

    @property
    def scalar(self) -> bool:
        """Whether all channels share bias and scale."""
        return all(np.ndim(value) == 0 for value in (self.bias, self.mantissa, self.shift))

    @property
    def is_plain(self) -> bool:
        """Whether the result is the sum itself, so that nothing is left to do."""
        return self.result == DType.INT32 and not np.any(self.bias)

    def fields(self) -> dict[str, int]:
        """Fields of a vector instruction, those of ``per_channel`` parameters left out."""
        if self.result == DType.INT32:
            return {"result_dtype": DType.INT32}
        fields = {
            "result_dtype": DType.INT8,
            "zero_point": self.zero_point,
            "low": self.low,
            "high": self.high,
            "table": int(self.table is not None),
        }
        if self.residual:
            fields |= {
                "residual": 1,
                "residual_zero_point": self.residual.zero_point,
                "residual_mantissa": self.residual.mantissa,
                "residual_shift": self.residual.shift,
            }
        return fields

    def scalar_fields(self) -> dict[str, int]:
        """Bias and scale for all channels at once."""
        return {"bias": int(self.bias), "mantissa": int(self.mantissa), "shift": int(self.shift)}
