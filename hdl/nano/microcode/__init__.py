"""The microcode of `nano`, by what it does."""

from gemmary.config import Config

from ..instructions import Assembler
from .control import control
from .host import host
from .matmul import matmul
from .vector import vector
from .words import routines

ROM_WORDS = 1536
"""Six block RAMs of an iCE40."""


def microcode(config: Config) -> list[int]:
    """The words that the processor executes."""
    a = Assembler()
    control(a, config)
    host(a, config)
    matmul(a, config)
    vector(a, config)
    routines(a)
    words = a.words()
    assert len(words) <= ROM_WORDS, f"{len(words)} words of microcode do not fit the ROM"
    return words
