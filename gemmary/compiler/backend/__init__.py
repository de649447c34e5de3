"""From the graph level to something that runs: programs of the code generator, and what stays on the host between them."""

from .binary import load_compiled, save_compiled
from .compiled import Compiled, compile_model
from .errors import signal_to_noise
from .execution import run_compiled
from .explain import explain

__all__ = ["Compiled", "compile_model", "explain", "load_compiled", "run_compiled", "save_compiled", "signal_to_noise"]
