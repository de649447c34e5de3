"""Tile: operators of the machine become tiled operators, a program for each segment of the model."""

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from ...config import Config, preset
from ..ir.dialect import GraphContext
from ..ir.model import Model
from ..ir.tile import Program
from ..passes.fuse_pools import split
from .fusion import fused
from .generate import Apart, Generator, Unsupported
from .names import names_of
from .partition import Segment, keep_on_host, segments


@dataclass(frozen=True)
class Tile(ModulePass):
    """``config``: the preset to compile for; ``fuse``: whole segments as one chain where they fit the chip. The graph level stays in front of the programs: the host runs what is left of it."""

    name = "tile"
    config: str = "base"
    fuse: bool = True

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        model = Model(op, ctx)
        made = tile_model(model, ctx.config or preset(self.config), names_of(model), fuse=self.fuse)
        op.body.block.add_ops([program for _, program in made if program is not None])


def tile_model(
    model: Model,
    config: Config,
    names: dict[SSAValue, str],
    progress: Callable[[str], None] = lambda operators: None,
    fuse: bool = True,
) -> list[tuple[Segment, Program | None]]:
    """Segments in order, each with its program at the tile level, or None where the host runs it.

    An operator that the code generator refuses stays on the host, marked with the reason. Pools that gain nothing in the drain
    leave it; ``names`` then changes with the model. ``progress`` hears of each program's operators.
    """
    known, choices = {}, {}
    while True:
        made = []
        for segment in segments(model):
            key = segment.ops, segment.inputs, segment.outputs
            if segment.on_device and key not in known:
                progress(", ".join(names[op.results[0]] for op in segment.ops))
                label = f"{model.function.sym_name.data}.{len(known)}"
                try:
                    known[key] = fuse and fused(config, model.context, segment, names, label)
                    known[key] = known[key] or Generator(
                        config, model.context, segment.ops, names, *key[1:], choices
                    ).program(label)
                except Unsupported as error:
                    keep_on_host(error.op, str(error))
                    break
                except Apart as better:
                    for op in better.ops:
                        split(op)
                    _rename(model, names, known)
                    break
            made.append((segment, known[key] if segment.on_device else None))
        else:
            return made


def _rename(model: Model, names: dict[SSAValue, str], known: dict) -> None:
    """Names of a model that has changed; programs with names that are others now are forgotten."""
    before = dict(names)
    names.clear()
    names |= names_of(model)
    if any(before.get(value, name) != name for value, name in names.items()):
        known.clear()
