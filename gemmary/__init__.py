"""Gemmary: the specification and the host side of an open matrix-multiply accelerator."""

from importlib.metadata import version

__version__ = version("gemmary")
