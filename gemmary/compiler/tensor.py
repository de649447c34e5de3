"""Tensors in external memory, and the NumPy arrays they stand for."""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from ..errors import InputError
from ..isa import DType

NUMPY = {DType.INT8: np.dtype(np.int8), DType.INT32: np.dtype("<i4")}


@dataclass(frozen=True)
class Tensor:
    """An array ``[…, channels]`` in external memory, channel words outermost: ``[words, positions, word]``.

    ``word`` channels lie together: ``config.rows`` of an int8 tensor (an activation word), ``config.columns`` of an int32 one
    (an accumulator row). Every position of one word follows, so that whatever part of an image an engine takes is a few long
    runs, and words of neighbouring positions are neighbours in the scratchpad. Channels beyond the last are 0 or
    meaningless.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    address: int
    word: int

    @cached_property
    def channels(self) -> int:
        return self.shape[-1]

    @cached_property
    def positions(self) -> int:
        return prod(self.shape[:-1])

    @cached_property
    def words(self) -> int:
        return -(-self.channels // self.word)

    @cached_property
    def word_bytes(self) -> int:
        return self.word * NUMPY[self.dtype].itemsize

    @cached_property
    def plane_bytes(self) -> int:
        """Bytes from a word to the next one of the same position."""
        return self.positions * self.word_bytes

    @cached_property
    def size(self) -> int:
        return self.words * self.plane_bytes

    def pack(self, array: np.ndarray) -> bytes:
        """The bytes at ``address``. InputError for another shape or dtype."""
        check_array(self.name, array, self.shape, NUMPY[self.dtype])
        flat = np.zeros((self.positions, self.words * self.word), NUMPY[self.dtype])
        flat[:, : self.channels] = array.reshape(self.positions, self.channels)
        return flat.reshape(self.positions, self.words, self.word).swapaxes(0, 1).tobytes()

    def unpack(self, data: bytes) -> np.ndarray:
        """The array in ``size`` bytes."""
        planes = np.frombuffer(data, NUMPY[self.dtype]).reshape(self.words, self.positions, self.word)
        flat = planes.swapaxes(0, 1).reshape(self.positions, -1)[:, : self.channels]
        return np.ascontiguousarray(flat).reshape(self.shape)


def check_array(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """InputError, naming the array, unless it has this shape and dtype."""
    if not isinstance(array, np.ndarray):
        raise InputError(f"{name} must be a NumPy array, not {type(array).__name__}")
    if array.dtype != dtype:
        raise InputError(f"{name} must be {dtype.name}, not {array.dtype}")
    if array.shape != shape:
        raise InputError(f"{name} must have the shape {list(shape)}, not {list(array.shape)}")
