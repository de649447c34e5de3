"""Operators that write to their operand, such as ``relu_``, as those that return a new tensor."""

import torch
from torch.fx import Graph, Node

VIEWS = (
    "view",
    "reshape",
    "permute",
    "transpose",
    "t",
    "slice",
    "select",
    "squeeze",
    "unsqueeze",
    "expand",
    "detach",
    "flatten",
)


def without_writes(graph: Graph) -> bool:
    """Changes ``graph``; whether it could: nobody else may see what is written to."""
    order = {node: i for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if not isinstance(node.target, torch._ops.OpOverload) or not node.target._schema.is_mutable:
            continue
        written, name = node.args[0], node.target._opname
        other = getattr(torch.ops.aten, name.removesuffix("_"), None)
        other = getattr(other, node.target._overloadname, None) if name.endswith("_") else None
        later = [user for user in written.users if order[user] > order[node]]
        if other is None or later or written.op != "call_function" or _kind(written) in VIEWS:
            return False
        node.target = other
    return True


def _kind(node: Node) -> str:
    return getattr(node.target, "_opname", "")
