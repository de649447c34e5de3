"""The layout of external memory."""

from dataclasses import dataclass, field

ALIGNMENT = 64


@dataclass
class Memory:
    """Hands out addresses, lowest first. ``constants`` are the bytes that the program brings along."""

    size: int = 0
    constants: list[tuple[int, bytes]] = field(default_factory=list)

    def allocate(self, size: int) -> int:
        """The address of ``size`` fresh bytes, a multiple of ALIGNMENT (and so of every bus width)."""
        address = self.size
        self.size = -(-(address + size) // ALIGNMENT) * ALIGNMENT
        return address

    def constant(self, data: bytes) -> int:
        """The address of ``data``, which is written before the program runs."""
        address = self.allocate(len(data))
        self.constants.append((address, data))
        return address
