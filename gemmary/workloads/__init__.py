"""Workloads as data: the distinct layers of well-known networks, with counts, for benchmarks."""

from .layer import Conv, Layer, Matmul
from .network import SUITES, Network, load, names, suite
from .text import parse

__all__ = ["SUITES", "Conv", "Layer", "Matmul", "Network", "load", "names", "parse", "suite"]
