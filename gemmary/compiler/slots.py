"""Places in an on-chip memory, handed out for one thing after the other."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass
class Slots:
    """``count`` slots of ``size`` words from ``base``; what was used longest ago makes room."""

    base: int
    size: int
    count: int
    held: OrderedDict[Hashable, int] = field(default_factory=OrderedDict)

    def get(self, key: Hashable) -> tuple[int, bool]:
        """The address of the slot of ``key``, and whether its contents are there already."""
        if key in self.held:
            self.held.move_to_end(key)
            return self.held[key], True
        if len(self.held) < self.count:
            address = self.base + len(self.held) * self.size
        else:
            _, address = self.held.popitem(last=False)
        self.held[key] = address
        return address, False
