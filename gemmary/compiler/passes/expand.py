"""Expand: nests of the tile level become instructions, each after those that it must wait for."""

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Region
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ...config import preset
from ...errors import InputError
from ..builder import Operation
from ..emitters import EMITTERS
from ..ir.dialect import GraphContext
from ..ir.instructions import OPERATIONS, Fields, Run
from ..ir.nests import nest_of
from ..ir.tile import TOKEN, Nest, Program
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
                        _check(nest)
                        runs = [_run(each) for each in emit_runs(EMITTERS[nest.kind.data], config, nest.tiled)]
                        Rewriter.replace_op(nest, runs, [])


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


def _run(operations: list[Operation]) -> Run:
    made, tokens = [], {}
    for each in operations:
        mine = tokens.setdefault(each.engine, [])
        after = [tokens[engine][count - 1] for engine, count in enumerate(each.after) if count]
        op = OPERATIONS[each.instruction.opcode].create(
            operands=after, result_types=[TOKEN], properties={"fields": Fields(each.instruction)}
        )
        mine.append(op.token)
        made.append(op)
    return Run.create(regions=[Region(Block(made))])
