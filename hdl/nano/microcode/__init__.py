"""The microcode of `nano`, by what it does."""

from gemmary.config import Config

from ..instructions import Assembler
from .control import control
from .host import host
from .matmul import matmul
from .vector import vector


def microcode(config: Config) -> list[int]:
    """The words that the processor executes."""
    a = Assembler()
    control(a, config)
    host(a, config)
    matmul(a, config)
    vector(a, config)
    return a.words()
