"""PyTorch models in: quantize one, compile what torch.export gives, or take the device as a backend of torch.compile.

exported = gemmary.torch.quantize(model, calibration)       int8, an ExportedProgram
program = gemmary.compile(exported)                         callable, with save, explain
fast = torch.compile(exported.module(), backend="gemmary")  supported subgraphs on the device, the rest in PyTorch
"""

from importlib.metadata import entry_points

from ..errors import InputError

try:
    import torch
except ModuleNotFoundError as error:
    raise InputError(f"gemmary.torch needs the Python package {error.name}: pip install 'gemmary[torch]'") from None

from .backend import gemmary_backend
from .compile import compile
from .quantize import quantize

if not entry_points(group="torch_dynamo_backends", name="gemmary"):  # PyTorch finds the installed one by itself
    torch._dynamo.register_backend(gemmary_backend, name="gemmary")

__all__ = ["compile", "gemmary_backend", "quantize"]
