"""Memory planning: tensors that are not alive at the same time share their places."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from .memory import ALIGNMENT

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Life:
    """``size`` bytes that hold what is needed from step ``first`` to step ``last``, both included."""

    size: int
    first: int
    last: int

    def meets(self, other: "Life") -> bool:
        return self.first <= other.last and other.first <= self.last


def plan(lives: Mapping[Key, Life]) -> dict[Key, int]:
    """An address for each, multiples of ALIGNMENT: the largest first, each as low as those before it that it meets allow.

    The greedy order of Pisarchyk and Lee, "Efficient memory management for deep neural net inference" (2020), by size.
    """
    placed: list[tuple[int, int, Life]] = []
    addresses = {}
    for key, life in sorted(lives.items(), key=lambda item: -item[1].size):
        address = 0
        for start, end in sorted((start, end) for start, end, other in placed if other.meets(life)):
            if address + life.size <= start:
                break
            address = max(address, end)
        addresses[key] = address
        placed.append((address, aligned(address + life.size), life))
    return addresses


def bound(lives: Mapping[Key, Life]) -> int:
    """Bytes that no plan can do without: the most that are alive at a step."""
    steps = {life.first for life in lives.values()}
    return max((sum(aligned(o.size) for o in lives.values() if o.first <= step <= o.last) for step in steps), default=0)


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
