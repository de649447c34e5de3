"""PyTorch's operators of quantization, as torchao's PT2E writes them."""

import torch
from torch.ao.quantization.fx import _decomposed  # noqa: F401  registers them

_ops = torch.ops.quantized_decomposed

quantize_per_tensor = (_ops.quantize_per_tensor.default, _ops.quantize_per_tensor.tensor)
per_tensor = (_ops.dequantize_per_tensor.default, _ops.dequantize_per_tensor.tensor)
per_channel = (_ops.dequantize_per_channel.default,)
