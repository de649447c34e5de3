"""Benchmarks: layers of networks on a device, what bounds them, and where the cycles go."""

from .clocks import Clocks
from .memory import Memory
from .row import Row, network_totals
from .task import Task

__all__ = ["Clocks", "Memory", "Row", "Task", "network_totals"]
