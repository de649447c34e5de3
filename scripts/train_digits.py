"""Trains the digits network, quantizes it and writes gemmary/models/digits.npz.

    pip install ".[train]" && python -m scripts.train_digits

One seed decides the split, the first weights and the order of training, so a run repeats itself
on one machine. Another processor may round float32 sums otherwise and end with other weights: the
stored file is the one that counts. The test images take no part in training or calibration.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits as load_sklearn_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

from gemmary.models import digits
from verif.golden import network as golden
from verif.golden.numerics import scale_to_mantissa_shift

SEED = 2024
TEST_IMAGES = 360
EPOCHS = 60
BATCH = 32
CHANNELS = 16
PIXEL_MAX = 16  # a pixel counts the black ones of 4x4: 0..16


class DigitsNet(nn.Module):
    """The float32 network; `forward` returns every tensor that calibration looks at."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.dense = nn.Linear(CHANNELS * 4 * 4, 10)

    def forward(self, image):
        """NCHW images to tensors by name; `linear1` is conv1's result before its ReLU."""
        linear1 = self.conv1(image)
        conv1 = functional.relu(linear1)
        conv2 = functional.relu(self.conv2(conv1) + conv1)
        pool = functional.max_pool2d(conv2, 2)
        dense = self.dense(pool.permute(0, 2, 3, 1).flatten(1))  # flattened as NHWC
        return {"linear1": linear1, "conv1": conv1, "conv2": conv2, "dense": dense}

    def parameters_nhwc(self):
        """float32 arrays by name: weights as `[kh, kw, cin, cout]` and `[cin, cout]`."""
        arrays = {}
        for name, layer in self.named_children():
            weight = layer.weight.detach().numpy()
            order = (2, 3, 1, 0) if weight.ndim == 4 else (1, 0)
            arrays[f"{name}.weight"] = np.ascontiguousarray(weight.transpose(order))
            arrays[f"{name}.bias"] = layer.bias.detach().numpy()
        return arrays


def load_split():
    """uint8 images `[n, 8, 8, 1]` of 0..16 and labels `[n]`: train and test of both."""
    images, labels = load_sklearn_digits(return_X_y=True)
    return train_test_split(
        images.reshape(-1, 8, 8, 1).astype(np.uint8),
        labels.astype(np.uint8),
        test_size=TEST_IMAGES,
        random_state=SEED,
        stratify=labels,
    )


def to_torch(images):
    """uint8 NHWC pixels to the float32 NCHW input of the network, 0..1."""
    return torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / PIXEL_MAX)


def train(images, labels):
    """The network trained on these images."""
    torch.manual_seed(SEED)
    model = DigitsNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    inputs, targets = to_torch(images), torch.from_numpy(labels.astype(np.int64))
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(inputs)).split(BATCH):
            loss = functional.cross_entropy(model(inputs[batch])["dense"], targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return model.eval()


def calibrate(model, images):
    """The range of each tensor over these images: `{name: (low, high)}`, 0 included."""
    with torch.no_grad():
        tensors = model(to_torch(images))
    return {name: (min(0.0, tensor.min().item()), max(0.0, tensor.max().item())) for name, tensor in tensors.items()}


def quantization(low, high):
    """The float32 scale and the zero point that spread low..high over the int8 range."""
    scale = np.float32((high - low) / 255)
    return scale, np.int8(np.clip(np.rint(-128 - low / scale), -128, 127))


def quantize(parameters, ranges):
    """The network's arrays as `digits.network_from` reads them."""
    # conv1's tensor keeps the range it has before ReLU, as a framework that calibrates layer by
    # layer does, so its zero point lies inside the int8 range; conv2's starts at its zero point.
    activations = {
        "image": (np.float32(1 / PIXEL_MAX), np.int8(-128)),  # q = pixel - 128, without loss
        "conv1": quantization(ranges["linear1"][0], ranges["conv1"][1]),
        "conv2": quantization(*ranges["conv2"]),
        "dense": quantization(*ranges["dense"]),
    }
    activations["pool"] = activations["conv2"]
    arrays = {}
    for name, (scale, zero_point) in activations.items():
        arrays |= {f"{name}.scale": scale, f"{name}.zero_point": zero_point}

    scales = {name: np.float64(scale) for name, (scale, _) in activations.items()}
    for name, source in (("conv1", "image"), ("conv2", "conv1"), ("dense", "pool")):
        weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        largest = np.abs(weight).max(axis=tuple(range(weight.ndim - 1)))
        weight_scale = (largest / 127).astype(np.float32)
        unit = scales[source] * weight_scale.astype(np.float64)
        arrays |= {
            f"{name}.weight": np.clip(np.rint(weight / weight_scale), -127, 127).astype(np.int8),
            f"{name}.bias": np.rint(bias / unit).astype(np.int32),
            f"{name}.weight_scale": weight_scale,
        }
        arrays |= requantization(f"{name}.requantize", unit / scales[name])
    return arrays | requantization("conv2.residual", scales["conv1"] / scales["conv2"])


def requantization(name, scale):
    """A scale as it is stored: float32, mantissa and shift."""
    real = np.asarray(scale, np.float32)
    mantissa, shift = scale_to_mantissa_shift(real)
    return {
        f"{name}.real": real,
        f"{name}.mantissa": np.asarray(mantissa, np.uint32),
        f"{name}.shift": np.asarray(shift, np.uint8),
    }


def float_accuracy(model, images, labels):
    with torch.no_grad():
        logits = model(to_torch(images))["dense"].numpy()
    return np.mean(logits.argmax(axis=1) == labels)


def int8_accuracy(path):
    """What the golden network gets right of the stored test images."""
    stored = digits.load_digits(path)
    logits = golden.run(stored.network, stored.images)["dense"]
    return np.mean(logits.argmax(axis=1) == stored.labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=digits.DATA)
    output = parser.parse_args().output

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    train_images, test_images, train_labels, test_labels = load_split()
    model = train(train_images, train_labels)
    parameters = model.parameters_nhwc()
    arrays = quantize(parameters, calibrate(model, train_images))
    accuracy = float_accuracy(model, test_images, test_labels)
    arrays |= {f"float.{name}": array for name, array in parameters.items()}
    arrays |= {
        "images": test_images,
        "labels": test_labels,
        "accuracy_float": np.float64(accuracy),
    }
    np.savez_compressed(output, **arrays)
    print(f"{len(train_images)} training and {len(test_images)} test images")
    print(f"float32 accuracy: {accuracy:.2%}")
    print(f"int8 accuracy:    {int8_accuracy(output):.2%}")


if __name__ == "__main__":
    main()
