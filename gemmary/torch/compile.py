"""An exported program of PyTorch on the device."""

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from ..compiler.executable import Executable
from ..compiler.frontends.torch_export import Imported, import_program
from ..compiler.passes import run_pipeline


def compile(
    exported: ExportedProgram, preset: str = "base", *, device: str = "emulator", strict: bool = False
) -> Executable:
    """The program for the accelerator ``preset``. Call it as the model, with tensors: it runs on ``device``.

    Operators on the host are warned of (FallbackWarning), or with ``strict`` refused. InputError for what is not understood.
    """
    imported = import_program(exported)
    before = imported.model.copy()
    model = run_pipeline(imported.model)
    return Executable.of(model, preset, device=device, strict=strict, adapter=Adapter(imported), imported=before)


class Adapter:
    """The model's arguments as arrays, and arrays as its results."""

    def __init__(self, imported: Imported):
        self.names = list(imported.model.inputs)
        self.in_spec, self.out_spec = imported.in_spec, imported.out_spec

    def inputs(self, args: tuple, kwargs: dict) -> dict[str, np.ndarray]:
        leaves = pytree.tree_leaves((args, kwargs))
        return dict(zip(self.names, (as_array(each) for each in leaves), strict=True))

    def outputs(self, arrays: dict[str, np.ndarray]):
        return pytree.tree_unflatten([torch.from_numpy(np.array(each)) for each in arrays.values()], self.out_spec)


def as_array(value) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
