"""Loops over the parts of an operator's dimensions: what a tiling cuts it into, and in which order the parts come."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Part = tuple[int, int]
"""(start, size) along a dimension."""


@dataclass(frozen=True)
class Loop:
    """Parts of ``sizes`` of dimension ``dim``, one behind the other, and for each of them all of ``body``; the first at ``start``."""

    dim: str
    sizes: tuple[int, ...]
    body: tuple["Loop", ...] = ()
    start: int = 0

    @property
    def parts(self) -> Iterator[Part]:
        start = self.start
        for size in self.sizes:
            yield start, size
            start += size


def nest(*dims: tuple[str, Sequence[int]]) -> tuple[Loop, ...]:
    """Loops inside each other, outermost first; () of none."""
    inner: tuple[Loop, ...] = ()
    for dim, sizes in reversed(dims):
        inner = (Loop(dim, tuple(sizes), inner),)
    return inner


def walk(loops: Sequence[Loop], dims: frozenset[str] | None = None, outer: dict[str, Part] | None = None) -> Iterator:
    """For every iteration of the innermost loops its parts by dimension. With ``dims`` loops over other dimensions count as
    their body's end, and are not walked."""
    for loop in loops:
        body = [each for each in loop.body if dims is None or each.dim in dims]
        for part in loop.parts:
            parts = (outer or {}) | {loop.dim: part}
            if body:
                yield from walk(body, dims, parts)
            else:
                yield parts


def inside(loops: Sequence[Loop], dims: frozenset[str]) -> tuple[Loop, ...]:
    """The outermost loops over ``dims``; the same in every branch."""
    for loop in loops:
        if loop.dim in dims:
            return tuple(loops)
        if found := inside(loop.body, dims):
            return found
    return ()


def largest(loops: Sequence[Loop], dim: str) -> int:
    """The largest part of a dimension; 0 where no loop runs over it."""
    sizes = [max(loop.sizes) for loop in loops if loop.dim == dim]
    return max(sizes + [largest(loop.body, dim) for loop in loops], default=0)


def equal(total: int, size: int) -> list[int]:
    """As few parts as possible, none above ``size``, all as equal as possible."""
    count = -(-total // size)
    return [(i + 1) * total // count - i * total // count for i in range(count)]


def steps(total: int, size: int) -> list[int]:
    """Parts of ``size``, and what is left."""
    return [min(size, total - start) for start in range(0, total, size)]
