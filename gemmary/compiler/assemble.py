"""From tiled layers to a program: through the tile level and that of instructions to their encoding."""

from collections.abc import Sequence

from ..performance.model import Timing
from .layout import Layout
from .program import Program
from .tiled import TiledLayer


def assemble(
    layout: Layout,
    layers: Sequence[TiledLayer],
    inputs: Sequence[str],
    outputs: Sequence[str],
    timing: Timing | None = None,
) -> Program:
    """The program of ``layers``, by the passes that ``gemmary-opt`` runs on texts."""
    from xdsl.dialects.builtin import ModuleOp  # takes 0.4 s to import, so only where something is compiled

    from .ir.dialect import GraphContext
    from .ir.programs import encode, program_of
    from .passes.expand import Expand
    from .passes.schedule import Schedule

    context = GraphContext(config=layout.config, timing=timing)
    program = program_of(context, "program", layout, layers, inputs, outputs)
    module = ModuleOp([program])
    for each in (Expand(), Schedule()):
        each.apply(context, module)
        module.verify()
    return encode(context, layout.config, program)
