"""From tiled layers to a program: through the tile level and that of instructions to their encoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..config import Config
from ..performance.model import Timing
from .layout import Layout
from .program import Program
from .tiled import TiledLayer

if TYPE_CHECKING:  # xDSL takes 0.4 s to import, so that happens only where something is compiled
    from .ir import tile
    from .ir.dialect import GraphContext


def assemble(
    layout: Layout,
    layers: Sequence[TiledLayer],
    inputs: Sequence[str],
    outputs: Sequence[str],
    timing: Timing | None = None,
) -> Program:
    """The program of ``layers``."""
    from .ir.dialect import GraphContext
    from .ir.programs import program_of

    context = GraphContext(timing=timing)
    return lower(context, layout.config, [program_of(context, "program", layout, layers, inputs, outputs)])[0]


def lower(context: GraphContext, config: Config, programs: Sequence[tile.Program]) -> list[Program]:
    """The encoded form of programs at the tile level, by the passes that ``gemmary-opt`` runs on texts. Their
    constants are taken out of ``context``: the encoded programs have them.

    CheckError for a program that the static checker refuses (docs/checker.md): nothing unproven leaves the compiler.
    """
    from xdsl.dialects.builtin import ModuleOp

    from .checker import require_legal
    from .ir.dialect import GraphContext
    from .ir.programs import drop_constants, encode
    from .passes.expand import Expand
    from .passes.schedule import Schedule

    mine, module = GraphContext(arrays=context.arrays, config=config, timing=context.timing), ModuleOp(list(programs))
    for each in (Expand(), Schedule()):
        each.apply(mine, module)
        module.verify()
    encoded = [encode(context, config, program) for program in programs]
    for before, program in zip(programs, encoded):
        drop_constants(context, before)
        require_legal(program)
    return encoded
