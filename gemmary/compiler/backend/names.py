"""Names of a model's values, for tensors and for people."""

from xdsl.ir import SSAValue

from ..ir.model import Model


def names_of(model: Model) -> dict[SSAValue, str]:
    """A unique name for every value: that of the input, or of the operator of the model that it comes from."""
    names, taken = {}, set()

    def give(value: SSAValue, name: str) -> None:
        unique, i = name, 1
        while unique in taken:
            unique, i = f"{name}:{i}", i + 1
        names[value] = unique
        taken.add(unique)

    for name, value in model.inputs.items():
        give(value, name)
    for op in model.operations:
        for value in op.results:
            give(value, op.source or op.name.removeprefix("graph."))
    return names
