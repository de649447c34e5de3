"""Golden models in NumPy, written from docs/numerics.md alone."""
