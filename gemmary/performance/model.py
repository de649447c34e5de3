"""A cycle model of the four engines: how long a program takes, and why."""

from collections.abc import Iterable

from ..isa import Instruction
from .machine import Machine
from .timing import Estimate, Timing

__all__ = ["Estimate", "Timing", "estimate"]


def estimate(timing: Timing, program: Iterable[Instruction] | bytes, address: int = 0) -> Estimate:
    """Runs the program, encoded or not, through queues, semaphores and engines. RuntimeError where it would hang.

    ``address`` is where it lies in external memory: the first burst of instructions ends at a multiple of 512.
    """
    return Machine(timing, program, address).run()
