"""Workloads as data: the distinct layers of well-known networks, with counts, for benchmarks."""

from .layer import Conv, Layer, Matmul
from .network import SUITES, Network, load, names, suite
from .steps import INPUT, Mean, Step, is_depthwise
from .text import parse

__all__ = [
    "INPUT",
    "SUITES",
    "Conv",
    "Layer",
    "Matmul",
    "Mean",
    "Network",
    "Step",
    "is_depthwise",
    "load",
    "names",
    "parse",
    "suite",
]
