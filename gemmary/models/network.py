"""A quantized network as plain data: what the code generator reads and the golden model runs.

Activations are int8 tensors in NHWC order, `[batch, height, width, channel]`; a layer refers to
them by name, and shapes leave the batch out. A tensor's value is `scale * (q - zero_point)`, with
one `Quantization` a tensor. Every layer computes what docs/numerics.md says, in one rounding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

type Shape = tuple[int, ...]
"""Of one image, without the batch: `(height, width, channel)` or `(channel,)`."""
