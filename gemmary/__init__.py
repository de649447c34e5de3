"""Gemmary: the specification and the host side of an open matrix-multiply accelerator."""

from importlib.metadata import version

__version__ = version("gemmary")


def compile(model, preset="base", *, device: str = "emulator", strict: bool = False):
    """A model as a program of the accelerator ``preset``: a callable that runs on ``device``, with ``save`` and ``explain``
    (gemmary.compiler.executable.Executable).

    ``model``: what torch.export.export or jax.export.export gives. Operators that run on the host are warned of, or with
    ``strict`` refused. InputError for anything else, and for what is not understood.
    """
    from .compiler.dispatch import compile_exported

    return compile_exported(model, preset, device=device, strict=strict)
