"""Passes on the graph level: one a file, each a frozen dataclass; the IR is verified after each."""

from .pipeline import DEFAULT, PASSES, run_pipeline

__all__ = ["DEFAULT", "PASSES", "run_pipeline"]
