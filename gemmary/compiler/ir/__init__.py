"""The graph level of the compiler's IR: a dialect on xDSL, its text, and its reference."""

from .dialect import GraphContext
from .interpreter import interpret
from .model import Model, load, new_model, parse

__all__ = ["GraphContext", "Model", "interpret", "load", "new_model", "parse"]
