"""ATen operators as those of the graph level, and what is decomposed before."""

import torch

from . import torch_elementwise, torch_moves, torch_products  # noqa: F401  they register their handlers
from .torch_handlers import HANDLERS, Unknown, aten

__all__ = ["DECOMPOSITIONS", "HANDLERS", "Unknown", "attention"]


def attention(query, key, value, mask=None, dropout=0.0, is_causal=False, scale=None, enable_gqa=False):
    """``aten.scaled_dot_product_attention`` as two products and a softmax; NotImplemented for what they are not."""
    if dropout or enable_gqa:
        return NotImplemented
    scores = torch.matmul(query, key.transpose(-2, -1)) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        below = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        scores = torch.where(below, scores, float("-inf"))
    if mask is not None:
        scores = torch.where(mask, scores, float("-inf")) if mask.dtype == torch.bool else scores + mask
    return torch.matmul(torch.softmax(scores, -1), value)


DECOMPOSITIONS = {aten.scaled_dot_product_attention.default: attention}
