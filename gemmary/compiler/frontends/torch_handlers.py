"""Handlers of ATen operators by their overload: what each one means in ONNX.

A handler takes the importer and the node's arguments: SSAValues, torch tensors (constants), or plain Python values.
"""

from collections.abc import Callable

import torch

aten = torch.ops.aten

HANDLERS: dict[object, Callable] = {}


class Unknown(Exception):
    """The operator is known, but not with these arguments; the message says why."""


def handles(*targets):
    def register(handler):
        HANDLERS.update(dict.fromkeys(targets, handler))
        return handler

    return register
