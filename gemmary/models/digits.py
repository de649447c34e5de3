"""The digits network: handwritten 8x8 digits, a small residual CNN, weights and test images.

    image [8,8,1] -> conv1 3x3, ReLU [8,8,16] -> conv2 3x3 + conv1, ReLU [8,8,16]
                  -> pool 2x2 max [4,4,16] -> dense [10]

Every layer writes the tensor of its own name. scripts/train_digits.py makes `digits.npz`;
docs/models.md says where the images come from and what accuracy to expect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gemmary.models.network import (
    Conv2D,
    Dense,
    MaxPool,
    Network,
    Quantization,
    Residual,
    Scale,
)

DATA = Path(__file__).with_name("digits.npz")
SAME = ((1, 1), (1, 1))


@dataclass(frozen=True, eq=False)
class Digits:
    """The network and the images that it was neither trained nor calibrated on.

    `images` is int8 `[n, 8, 8, 1]`, quantized as the tensor `image` (a pixel of 0..16, less 128);
    `labels` is uint8 `[n]`. `accuracy_float` is the fraction of them that the float32 network gets
    right. `float_parameters` has its weights: `conv1.weight` `[3, 3, 1, 16]`, `conv1.bias` and
    so on, for an input of pixel / 16.
    """

    network: Network
    images: np.ndarray
    labels: np.ndarray
    accuracy_float: float
    float_parameters: Mapping[str, np.ndarray]


def load_digits(path: Path = DATA) -> Digits:
    """The stored digits network with its test images."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    return Digits(
        network=network_from(arrays),
        images=(arrays["images"].astype(np.int16) - 128).astype(np.int8),
        labels=arrays["labels"],
        accuracy_float=float(arrays["accuracy_float"]),
        float_parameters={
            name.removeprefix("float."): array for name, array in arrays.items() if name.startswith("float.")
        },
    )


def network_from(arrays: Mapping[str, np.ndarray]) -> Network:
    """The network that the arrays of `digits.npz` describe."""
    quantization = {
        name: Quantization(float(arrays[f"{name}.scale"]), int(arrays[f"{name}.zero_point"]))
        for name in ("image", "conv1", "conv2", "pool", "dense")
    }

    def weights(name):
        fields = ("weight", "bias", "weight_scale")
        return {field: arrays[f"{name}.{field}"] for field in fields} | {
            "scale": Scale(*(arrays[f"{name}.requantize.{part}"] for part in Scale.__annotations__))
        }

    def relu(name):
        return quantization[name].zero_point

    residual = Residual(
        "conv1",
        Scale(
            real=float(arrays["conv2.residual.real"]),
            mantissa=int(arrays["conv2.residual.mantissa"]),
            shift=int(arrays["conv2.residual.shift"]),
        ),
    )
    return Network(
        name="digits",
        input="image",
        input_shape=(8, 8, 1),
        output="dense",
        quantization=quantization,
        layers=(
            Conv2D("conv1", "image", "conv1", **weights("conv1"), padding=SAME, low=relu("conv1")),
            Conv2D(
                "conv2",
                "conv1",
                "conv2",
                **weights("conv2"),
                padding=SAME,
                residual=residual,
                low=relu("conv2"),
            ),
            MaxPool("pool", "conv2", "pool", window=(2, 2), stride=(2, 2)),
            Dense("dense", "pool", "dense", **weights("dense")),
        ),
    )
