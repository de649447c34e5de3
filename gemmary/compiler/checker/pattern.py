"""Sets of addresses in compact form: boxes of strides where that is exact, else lists."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

ADDRESSES = 1 << 16
"""On-chip addresses are modulo this."""

DENSE = 4
"""A box that visits its places this many times on average becomes a list."""

Dim = tuple[int, int]
"""(count, stride)"""


@dataclass(frozen=True, eq=False)
class Pattern:
    """The words ``origin + sum of i · stride`` for all 0 <= i < count of each of ``dims``, relative to an address; or those of
    ``offsets``. ``low`` and ``high`` are the first and the last."""

    dims: tuple[Dim, ...]
    low: int
    high: int
    offsets: np.ndarray | None = None

    def all(self) -> np.ndarray:
        """Every word, each once, in rising order."""
        if self.offsets is not None:
            return self.offsets
        return np.unique(_sums(self.low, self.dims))


def signed(stride: int) -> int:
    """The same stride modulo ADDRESSES, as small as can be."""
    return (stride + ADDRESSES // 2) % ADDRESSES - ADDRESSES // 2


def box(dims: Iterable[Dim], origin: int = 0) -> Pattern:
    low, dims = _merged(origin, dims)
    high = low + sum((count - 1) * stride for count, stride in dims)
    if prod(count for count, _ in dims) > DENSE * (high - low + 1):
        return listed(_sums(low, dims))
    return Pattern(dims, low, high)


def listed(offsets: np.ndarray) -> Pattern | None:
    """The pattern of these words; None if there are none."""
    offsets = np.unique(offsets)
    if not len(offsets):
        return None
    low, high = int(offsets[0]), int(offsets[-1])
    if progression := _progression(offsets):
        return Pattern((progression,) if progression[0] > 1 else (), low, high)
    return Pattern((), low, high, offsets)


@lru_cache(maxsize=1 << 14)
def walked(dims: tuple[Dim, ...], axes: tuple[tuple[int, ...], ...] = ()) -> Pattern | None:
    """The words of a walk that moves by ``dims``, and along ``axes``: (count, window count, stride, window stride, start, coordinate's
    stride, dilation, limit) each. Only iterations within the limits count; None if there are none."""
    origin, plain, irregular = 0, [(count, signed(stride)) for count, stride in dims], []
    for axis in axes:
        offsets = _axis(*axis)
        if offsets is None:
            plain += [(axis[0], signed(axis[2])), (axis[1], signed(axis[3]))]
            continue
        if not len(offsets):
            return None
        if progression := _progression(offsets):
            origin += int(offsets[0])
            plain.append(progression)
        else:
            irregular.append(offsets)
    if not irregular:
        return box(plain, origin)
    every = box(plain, origin).all()
    for offsets in irregular:
        every = np.unique(every[:, None] + offsets)
    return listed(every)


@lru_cache(maxsize=1 << 14)
def scaled(pattern: Pattern, size: int, count: int) -> Pattern:
    """In smaller units: each word is ``size`` of them, and ``count`` from its first are taken."""
    if pattern.offsets is not None:
        return listed(pattern.offsets[:, None] * size + np.arange(count))
    dims = [(n, stride * size) for n, stride in pattern.dims]
    return box([*dims, (count, 1)], pattern.low * size)


def _axis(count: int, taps: int, stride: int, tap: int, start: int, step: int, dilation: int, limit: int):
    """The offsets of those iterations that are in bounds; None if all are."""
    first, last = start, start + (count - 1) * step + (taps - 1) * dilation
    if first >= 0 and last < limit:
        return None
    i, k = np.arange(count)[:, None], np.arange(taps)
    coordinates = start + i * step + k * dilation
    inside = (coordinates >= 0) & (coordinates < limit)
    return np.unique((i * signed(stride) + k * signed(tap))[inside])


def _progression(offsets: np.ndarray) -> Dim | None:
    if len(offsets) == 1:
        return 1, 0
    stride = int(offsets[1] - offsets[0])
    return (len(offsets), stride) if (np.diff(offsets) == stride).all() else None


def _merged(origin: int, dims: Iterable[Dim]) -> tuple[int, tuple[Dim, ...]]:
    """The same set with strides above 0, and as few dims as this finds: two become one where their sums are evenly spaced."""
    todo = []
    for count, stride in dims:
        if stride < 0:
            origin, stride = origin + (count - 1) * stride, -stride
        if count > 1 and stride:
            todo.append((stride, count))
    merged: list[tuple[int, int]] = []
    for stride, count in sorted(todo):
        for i, (fine, many) in enumerate(merged):
            if stride % fine == 0 and stride // fine <= many:
                merged[i] = fine, many + stride // fine * (count - 1)
                break
        else:
            merged.append((stride, count))
    # The innermost dim last: views then run along memory.
    return origin, tuple((count, stride) for stride, count in reversed(merged))


def _sums(origin: int, dims: Iterable[Dim]) -> np.ndarray:
    every = np.array([origin], np.int64)
    for count, stride in dims:
        every = np.unique(every[:, None] + np.arange(count) * stride)
    return every
