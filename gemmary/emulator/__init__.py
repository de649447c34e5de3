"""Executes instruction streams in NumPy: the living definition of the ISA (docs/isa-semantics.md says the rest)."""
