"""Dead code goes: operators and constants that nobody reads."""

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ..ir.dialect import GraphContext


@dataclass(frozen=True)
class DeadCode(ModulePass):
    name = "dead-code"

    def apply(self, ctx: GraphContext, op: ModuleOp) -> None:
        for function in op.ops:
            if not isinstance(function, FuncOp):
                continue
            for each in reversed(list(function.body.block.ops)):
                if not isinstance(each, ReturnOp) and not any(list(result.uses) for result in each.results):
                    Rewriter.erase_op(each)
