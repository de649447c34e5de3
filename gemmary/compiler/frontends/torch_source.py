"""Where a node of PyTorch's graph comes from: the module it stands in, and the line of Python."""

import operator
import os
import re

import torch
from torch.fx import Node

_FRAME = re.compile(r'File "(.+?)", line (\d+), in ')
SOURCE = "gemmary_source"
"""Key of a node's meta: its source, where nodes are copied."""

_LIBRARY = torch.__path__[0]


def source_of(node: Node) -> str:
    """The module's path where it is a layer of PyTorch's; elsewhere the path and the name of the node. Quantization has the
    name of what it reads."""
    if SOURCE in node.meta:
        return node.meta[SOURCE]
    if node.op != "call_function":
        return node.name
    if "quantize_per" in str(node.target) and node.args and isinstance(node.args[0], Node):
        return source_of(node.args[0])
    if node.target is operator.getitem:
        return f"{source_of(node.args[0])}.{node.args[1]}"
    path, kind = _module_of(node)
    if not path:
        return node.name
    return path if kind.startswith("torch.nn.modules") else f"{path}.{node.name}"


def _module_of(node: Node) -> tuple[str, str]:
    """(path, class) of the innermost module."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return "", ""
    path, kind = stack[-1][:2]
    kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    path = re.sub(r"^L\['self'\]\.?|^L__self__(\._?)?|^self\.", "", path)
    return ("", "") if "<locals>" in path else (path, kind)


def location_of(node: Node) -> str | None:
    """``file:line`` of the last call that is not PyTorch's own."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    for file, line in reversed(frames):
        if not file.startswith(_LIBRARY) and not file.startswith("<"):
            near = os.path.relpath(file)
            return f"{file if near.startswith(os.pardir) else near}:{line}"
    return None
