"""The clocks of the machine that is measured."""

from dataclasses import dataclass

from ..errors import InputError

OPERATIONS = 2
"""Of a multiply-accumulate, as GOPS count them."""
FASTEST = 16


@dataclass(frozen=True)
class Clocks:
    """Cycles are those of everything but the tensor engine, which has ``mhz`` (None: unknown, so there are no GOPS). The tensor engine has
    a clock of its own, ``compute_ratio`` times as fast, unless that is 0."""

    mhz: float | None = None
    compute_ratio: int = 0

    def __post_init__(self):
        if self.mhz is not None and not self.mhz > 0:
            raise InputError(f"clock must be above 0 MHz, not {self.mhz}")
        if not 0 <= self.compute_ratio <= FASTEST:
            raise InputError(f"compute ratio must be 0 (one clock) to {FASTEST}, not {self.compute_ratio}")

    @property
    def array_cycles(self) -> int:
        """Of the array in a cycle of all else."""
        return self.compute_ratio or 1

    def gops(self, macs: int, cycles: float | None) -> float | None:
        """10^9 operations a second: what ``macs`` in ``cycles`` come to."""
        return OPERATIONS * macs / cycles * self.mhz / 1000 if self.mhz and cycles else None
