"""Schedule: runs get the order of their stream, and semaphores in place of tokens."""

from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerAttr, ModuleOp
from xdsl.ir import Block, Region
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ...config import preset
from ...performance.model import Timing, estimate
from ..builder import ENGINES, Operation
from ..ir.dialect import GraphContext
from ..ir.instructions import OPERATIONS, Fields, Run
from ..ir.tile import Program
from ..schedule import schedule


@dataclass(frozen=True)
class Schedule(ModulePass):
    name = "schedule"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for program in op.ops:
            if isinstance(program, Program):
                timing = ctx.timing or Timing(ctx.config or preset(program.config.data))
                for run in [
                    each for layer in program.layers() for each in layer.body.block.ops if isinstance(each, Run)
                ]:
                    if run.cycles is None:
                        Rewriter.replace_op(run, _scheduled(timing, run), [])


def _scheduled(timing: Timing, run: Run) -> Run:
    """The same instructions, in the order and with the semaphores that they run with."""
    place, counts, operations = {}, [0] * ENGINES, []
    for op in run.body.block.ops:
        engine, after = op.engine, [0] * ENGINES
        for token in op.after:
            producer, count = place[token]
            after[producer] = max(after[producer], count)
        counts[engine] += 1
        place[op.token] = engine, counts[engine]
        operations.append(Operation(op.instruction.copy(), engine, tuple(after)))
    stream = schedule(timing, operations)
    made = [OPERATIONS[each.opcode].create(properties={"fields": Fields(each)}) for each in stream]
    cycles = IntegerAttr(estimate(timing, stream).cycles, 64)
    return Run.create(properties={"cycles": cycles}, regions=[Region(Block(made))])
