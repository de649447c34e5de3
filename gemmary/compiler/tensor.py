"""Tensors in external memory, and the NumPy arrays they stand for."""

from dataclasses import dataclass, replace
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
    meaningless. A word's positions are filled up to a multiple of ``multiple`` with zeros that nobody overwrites.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    address: int
    word: int
    multiple: int = 1

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
        return self._places * self.word_bytes

    @cached_property
    def _places(self) -> int:
        return -(-self.positions // self.multiple) * self.multiple

    @cached_property
    def size(self) -> int:
        return self.words * self.plane_bytes

    def part(self, channels: slice) -> "Tensor":
        """The tensor of these channels, which begin with a word and end with one or with the last channel."""
        shape, first = (*self.shape[:-1], channels.stop - channels.start), channels.start // self.word
        return replace(self, shape=shape, address=self.address + first * self.plane_bytes)

    def slice(self, positions: slice, channels: slice) -> "Slice":
        """The matrix of these positions and channels, which are as those of ``part``."""
        part = self.part(channels)
        shape = positions.stop - positions.start, channels.stop - channels.start
        address = part.address + positions.start * self.word_bytes
        return Slice(self.name, shape, self.dtype, address, self.word, self.multiple, self._places)

    def pack(self, array: np.ndarray) -> bytes:
        """The bytes at ``address``. InputError for another shape or dtype."""
        check_array(self.name, array, self.shape, NUMPY[self.dtype])
        flat = np.zeros((self._places, self.words * self.word), NUMPY[self.dtype])
        flat[: self.positions, : self.channels] = array.reshape(self.positions, self.channels)
        return flat.reshape(self._places, self.words, self.word).swapaxes(0, 1).tobytes()

    def unpack(self, data: bytes) -> np.ndarray:
        """The array in ``size`` bytes."""
        planes = np.frombuffer(data, NUMPY[self.dtype]).reshape(self.words, self._places, self.word)
        flat = planes.swapaxes(0, 1).reshape(self._places, -1)[: self.positions, : self.channels]
        return np.ascontiguousarray(flat).reshape(self.shape)


@dataclass(frozen=True)
class Stack:
    """Equal tensors one behind the other: ``[count, …]``, such as the heads of attention."""

    part: Tensor
    count: int
    address: int = 0

    @property
    def name(self) -> str:
        return self.part.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array; one part is not stacked."""
        return (self.count, *self.part.shape) if self.count > 1 else self.part.shape

    @property
    def size(self) -> int:
        return self.count * self.part.size

    def __getitem__(self, index: int) -> Tensor:
        return replace(self.part, address=self.address + index * self.part.size)

    def pack(self, array: np.ndarray) -> bytes:
        """The bytes at ``address``. InputError for another shape or dtype."""
        check_array(self.name, array, self.shape, NUMPY[self.part.dtype])
        return b"".join(map(self.part.pack, array.reshape(self.count, *self.part.shape)))

    def unpack(self, data: bytes) -> np.ndarray:
        """The array in ``size`` bytes."""
        size = self.part.size
        parts = [self.part.unpack(data[i * size : (i + 1) * size]) for i in range(self.count)]
        return np.stack(parts) if self.count > 1 else parts[0]


@dataclass(frozen=True)
class Slice(Tensor):
    """Some positions and words of a larger tensor, whose words have ``places`` positions."""

    places: int = 0

    @cached_property
    def _places(self) -> int:
        return self.places


@dataclass(frozen=True)
class Turned(Tensor):
    """A matrix that lies in memory as its transpose; ``shape`` is that of the transpose."""

    def unpack(self, data: bytes) -> np.ndarray:
        """The matrix in ``size`` bytes."""
        return np.ascontiguousarray(super().unpack(data).T)


def check_array(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """InputError, naming the array, unless it has this shape and dtype."""
    if not isinstance(array, np.ndarray):
        raise InputError(f"{name} must be a NumPy array, not {type(array).__name__}")
    if array.dtype != dtype:
        raise InputError(f"{name} must be {dtype.name}, not {array.dtype}")
    if array.shape != shape:
        raise InputError(f"{name} must have the shape {list(shape)}, not {list(array.shape)}")
