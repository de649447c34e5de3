"""The clocks of the machine that is measured."""

from dataclasses import dataclass
from math import isfinite

from ..errors import InputError

OPERATIONS = 2
"""Of a multiply-accumulate, as GOPS count them."""


@dataclass(frozen=True)
class Clocks:
    """Cycles are those of everything but the tensor engine, which has ``mhz`` (None: unknown, so there are no GOPS). The tensor engine has
    a clock of its own, ``compute_ratio`` times as fast, unless that is 0."""

    mhz: float | None = None
    compute_ratio: int = 0

    def __post_init__(self):
        if self.mhz is not None and not (self.mhz > 0 and isfinite(self.mhz)):
            raise InputError(f"clock must be above 0 MHz, and a number, not {self.mhz}")
        if self.compute_ratio < 0:
            raise InputError(f"compute ratio must be at least 0 (one clock), not {self.compute_ratio}")

    @property
    def array_cycles(self) -> int:
        """Of the array in a cycle of all else."""
        return self.compute_ratio or 1

    def gops(self, macs_per_cycle: float | None) -> float | None:
        """10^9 operations a second; None where the MACs a cycle, or the clock, are not known."""
        return OPERATIONS * macs_per_cycle * self.mhz / 1000 if self.mhz and macs_per_cycle is not None else None
