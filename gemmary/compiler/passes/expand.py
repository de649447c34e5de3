"""Expand: nests of the tile level become instructions, each after those that it must wait for."""

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ...config import Config, preset
from ...errors import InputError
from ..emitters import EMITTERS
from ..ir.dialect import GraphContext
from ..ir.instructions import Run, run_of
from ..ir.nests import nest_of
from ..ir.tile import Nest, Program
from ..runs import emit_runs


@dataclass(frozen=True)
class Expand(ModulePass):
    name = "expand"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for program in op.ops:
            if isinstance(program, Program):
                config = ctx.config or preset(program.config.data)
                for layer in program.layers():
                    for nest in [each for each in layer.body.block.ops if isinstance(each, Nest)]:
                        Rewriter.replace_op(nest, _expanded(nest, config), [])


def _expanded(nest: Nest, config: Config) -> list[Run]:
    _check(nest)
    try:
        return [run_of(each) for each in emit_runs(EMITTERS[nest.kind.data], config, nest.tiled)]
    except (KeyError, ValueError, ZeroDivisionError):
        raise InputError(f"loops and buffers of a nest {nest.kind.data!r} do not fit its operations") from None


def _check(nest: Nest) -> None:
    """InputError unless loops, buffers and steps are such as this kind has."""
    if nest.kind.data not in EMITTERS:
        raise InputError(f"no code generator is called {nest.kind.data!r}: there are {', '.join(EMITTERS)}")
    try:
        same = nest_of(nest.tiled).is_structurally_equivalent(nest)
    except (KeyError, IndexError):
        same = False
    if not same:
        raise InputError(f"the steps of a nest {nest.kind.data!r} are not those that this code generator takes")
