"""Where the tensors and constants of a program lie."""

from dataclasses import replace

import numpy as np

from ..config import Config
from ..isa import DType
from .memory import Memory
from .requantization import Requantization
from .row_packing import PaddedImages
from .strips import Strips
from .tensor import Stack, Tensor
from .weights import WeightTensor, parameter_bytes, table_bytes

Placed = Tensor | Stack | WeightTensor | PaddedImages | Strips


class Layout:
    """Gives tensors, weights and parameters their places in external memory."""

    def __init__(self, config: Config):
        self.config, self.memory = config, Memory()
        self.tensors: dict[str, Placed] = {}
        self.lives: dict[str, tuple[int, int]] = {}

    def tensor(self, name: str, shape: tuple[int, ...], dtype: DType = DType.INT8) -> Tensor:
        word = self.config.rows if dtype == DType.INT8 else self.config.columns
        return self.place(Tensor(name, tuple(shape), dtype, 0, word))

    def padded_images(self, name: str, shape: tuple[int, ...], padding: tuple[int, int], outside: int) -> PaddedImages:
        """An input of the program for a row-packed convolution."""
        return self.place(PaddedImages(name, tuple(shape), 0, *padding, outside, slack=self.config.rows))

    def weights(
        self, name: str, shape: tuple[int, ...], values: np.ndarray | None, rows: int | None = None
    ) -> WeightTensor:
        """Constant ``values``, or an input of the program where they are None; in tiles of ``rows``, by default all of the
        array's."""
        tensor = WeightTensor(name, tuple(shape), 0, rows or self.config.rows, self.config.columns)
        if values is None:
            return self.place(tensor)
        return replace(tensor, address=self.memory.constant(tensor.pack(values)))

    def place(self, tensor: Placed, address: int | None = None) -> Placed:
        """``tensor`` at ``address``, by default one of its own."""
        address = self.memory.allocate(tensor.size) if address is None else address
        tensor = self.tensors[tensor.name] = replace(tensor, address=address)
        return tensor

    def fill(self, tensor: Tensor) -> None:
        """Zeros behind the positions of each word of a result, where it is filled up: nobody else writes there."""
        used = tensor.positions * tensor.word_bytes
        if used < tensor.plane_bytes:
            zeros = bytes(tensor.plane_bytes - used)
            places = (tensor.address + word * tensor.plane_bytes + used for word in range(tensor.words))
            self.memory.constants += [(place, zeros) for place in places]

    def requantization(self, requantization: Requantization, channels: int) -> tuple[int, int | None]:
        """Addresses of the parameters and of the table (None without one)."""
        values = (requantization.bias, requantization.mantissa, requantization.shift)
        each = [np.broadcast_to(np.asarray(value, np.int64), (channels,)) for value in values]
        return self.memory.constant(parameter_bytes(self.config, *each)), self.table(requantization)

    def table(self, requantization: Requantization) -> int | None:
        """Address of the table, None without one."""
        return None if requantization.table is None else self.memory.constant(table_bytes(requantization.table))
