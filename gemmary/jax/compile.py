"""An exported function of JAX on the device."""

import numpy as np
from jax import tree_util
from jax.export import Exported

from ..compiler.executable import Executable
from ..compiler.frontends.jax_export import import_exported
from ..compiler.passes import DEFAULT, run_pipeline

PIPELINE = f"sink-moves,raise-softmax,raise-integers,{DEFAULT}"


def compile(exported: Exported, preset: str = "base", *, device: str = "emulator", strict: bool = False) -> Executable:
    """The program for the accelerator ``preset``. Call it as the function, with arrays: it runs on ``device``.

    Operators on the host are warned of (FallbackWarning), or with ``strict`` refused. InputError for what is not understood.
    """
    model = run_pipeline(import_exported(exported), PIPELINE)
    return Executable.of(model, preset, device=device, strict=strict, adapter=Adapter(exported, list(model.inputs)))


class Adapter:
    """The function's arguments as arrays, and arrays as its results."""

    def __init__(self, exported: Exported, names: list[str]):
        self.names, self.kept, self.out_tree = names, exported.module_kept_var_idx, exported.out_tree

    def inputs(self, args: tuple, kwargs: dict) -> dict[str, np.ndarray]:
        leaves = tree_util.tree_leaves((args, kwargs))
        return {name: np.asarray(leaves[i]) for name, i in zip(self.names, self.kept, strict=True)}

    def outputs(self, arrays: dict[str, np.ndarray]):
        return tree_util.tree_unflatten(self.out_tree, list(arrays.values()))
