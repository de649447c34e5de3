"""Biases as the accelerator adds them: whole numbers of input scale · weight scale."""

import torch
from torch.fx import GraphModule, Node

from ..compiler.frontends.torch_quantized import per_channel, per_tensor
from .quantizer import CONTRACTIONS, MOVES, aten, kind_of


def round_biases(model: GraphModule) -> None:
    """Rounds the biases of quantized convolutions and dense layers in a converted model, so that PyTorch's results are those of
    int32 sums."""
    for node in model.graph.nodes:
        if kind_of(node) not in CONTRACTIONS or len(node.args) < 3:
            continue
        bias, x, weight = node.args[:3] if kind_of(node) is aten.addmm else (node.args[2], *node.args[:2])
        if not isinstance(bias, Node) or bias.op != "get_attr":
            continue
        while kind_of(x) in MOVES:
            x = x.args[0]
        if x.target not in per_tensor or weight.target not in per_channel:
            continue
        unit = torch.as_tensor(x.args[1]).double() * _tensor(model, weight.args[1]).double()
        rounded = (torch.round(_tensor(model, bias).double() / unit) * unit).float()
        path, _, name = bias.target.rpartition(".")
        holder = model.get_submodule(path)
        delattr(holder, name)
        holder.register_buffer(name, rounded)


def _tensor(model: GraphModule, node: Node) -> torch.Tensor:
    path, _, name = node.target.rpartition(".")
    return getattr(model.get_submodule(path), name).detach()
