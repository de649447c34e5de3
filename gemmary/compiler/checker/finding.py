"""What the checker says of a program that is not legal."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Finding:
    """One sentence about a broken ``rule``; ``instructions`` are the indices it names, in the order of the stream.

    Rules: ``encoding``, ``address``, ``bus`` (external memory), ``blocked``, ``waiters``, ``overflow``, ``left`` (semaphores),
    ``race``, ``undefined`` (read before written), ``lost`` (overwritten before read, or never read), ``within`` (an instruction
    and itself), ``result`` (a byte of a result missing or stored twice).
    """

    rule: str
    instructions: tuple[int, ...]
    message: str

    def __str__(self) -> str:
        return self.message

    def as_dict(self) -> dict:
        return asdict(self)


MOST = 20
"""Findings that are worth reading: the later ones follow from the first."""
