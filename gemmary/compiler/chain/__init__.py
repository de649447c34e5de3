"""Chains: whole small networks as one program, activations on the chip, steps overlapping at the grain of instructions."""

from .compiler import compile_chain
from .values import chain_input, reference_chain

__all__ = ["chain_input", "compile_chain", "reference_chain"]
