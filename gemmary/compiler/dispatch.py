"""Which front end a model is for, without importing a framework that it is not of."""

from ..errors import InputError
from .executable import Executable


def compile_exported(model, preset, *, device: str, strict: bool) -> Executable:
    """InputError for an object that no front end knows."""
    package = type(model).__module__.partition(".")[0]
    name = f"{package}.{type(model).__qualname__}"
    if name == "torch.ExportedProgram":
        from ..torch import compile

        return compile(model, preset, device=device, strict=strict)
    if name == "jax.Exported":
        from ..jax import compile

        return compile(model, preset, device=device, strict=strict)
    fix = "compile it with the command gemmary compile" if package == "onnx" else "export it first"
    raise InputError(
        f"gemmary.compile takes a torch.export.ExportedProgram or a jax.export.Exported, not a {name}: {fix}"
    )
