"""Where the tensors and constants of a program lie."""

import numpy as np

from ..config import Config
from ..isa import DType
from .memory import Memory
from .program import Layer, Program
from .requantization import Requantization
from .tensor import Tensor
from .weights import WeightTensor, parameter_bytes, table_bytes


class Layout:
    """Gives tensors, weights and parameters their places in external memory."""

    def __init__(self, config: Config):
        self.config, self.memory = config, Memory()
        self.tensors: dict[str, Tensor | WeightTensor] = {}

    def tensor(self, name: str, shape: tuple[int, ...], dtype: DType = DType.INT8) -> Tensor:
        word = self.config.rows if dtype == DType.INT8 else self.config.columns
        size = Tensor(name, shape, dtype, 0, word).size
        tensor = self.tensors[name] = Tensor(name, shape, dtype, self.memory.allocate(size), word)
        return tensor

    def weights(self, name: str, shape: tuple[int, ...], values: np.ndarray | None) -> WeightTensor:
        """Constant ``values``, or an input of the program where they are None."""
        rows, columns = self.config.rows, self.config.columns
        unplaced = WeightTensor(name, shape, 0, rows, columns)
        if values is not None:
            return WeightTensor(name, shape, self.memory.constant(unplaced.pack(values)), rows, columns)
        tensor = WeightTensor(name, shape, self.memory.allocate(unplaced.size), rows, columns)
        self.tensors[name] = tensor
        return tensor

    def requantization(self, requantization: Requantization, channels: int) -> tuple[int, int | None]:
        """Addresses of the parameters and of the table (None without one)."""
        values = (requantization.bias, requantization.mantissa, requantization.shift)
        each = [np.broadcast_to(np.asarray(value, np.int64), (channels,)) for value in values]
        return self.memory.constant(parameter_bytes(self.config, *each)), self.table(requantization)

    def table(self, requantization: Requantization) -> int | None:
        """Address of the table, None without one."""
        return None if requantization.table is None else self.memory.constant(table_bytes(requantization.table))

    def program(self, layers: tuple[Layer, ...], inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Program:
        constants = tuple(self.memory.constants)
        return Program(self.config, layers, self.tensors, inputs, outputs, constants, self.memory.allocate(0))
