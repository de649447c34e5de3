"""What the checker says of a program that is not legal."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Finding:
    """One sentence about a broken ``rule``; ``instructions`` are the indices it names, in the order of the stream.

    Of legal streams: ``encoding``, ``address``, ``bus`` (external memory), ``blocked``, ``waiters``, ``overflow`` (semaphores), ``race``,
    ``within`` (an instruction and itself), ``undefined`` (read before written). Of sensible programs: those in SENSE.
    """

    rule: str
    instructions: tuple[int, ...]
    message: str

    def __str__(self) -> str:
        return self.message

    def as_dict(self) -> dict:
        return asdict(self)


SENSE = ("left", "lost", "result", "uneven")
"""A semaphore is left above 0; something is overwritten before it is read, or never read; a byte of a result is missing or stored twice;
a constant is not used evenly."""

MOST = 20
"""Findings that are worth reading: the later ones follow from the first."""
