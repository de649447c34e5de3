"""Quantized ResNets with random weights, as ONNX with QuantizeLinear and DequantizeLinear: true shapes, any depth.

Nothing is calibrated: every tensor gets one scale, which random weights of unit gain fill.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, SCALE = 17, np.float32(2 / 127)
RESNET50 = (3, 4, 6, 3)
"""Bottleneck blocks of the four stages."""


def layers_of(blocks: Sequence[int]) -> int:
    """Layers with weights on the longest way, as in the network's name."""
    return 2 + 3 * sum(blocks)


def resnet(blocks: Sequence[int] = RESNET50, size: int = 224, width: int = 64, seed: int = 0) -> onnx.ModelProto:
    """[1, 3, size, size] → [1, 1000], float32 outside: ResNet v1.5 (the 3×3 convolution has the stride) with bottlenecks."""
    return _Resnet(np.random.default_rng(seed)).model(blocks, size, width)


class _Resnet:
    def __init__(self, rng: np.random.Generator):
        self.rng, self.nodes, self.constants = rng, [], {}

    def model(self, blocks: Sequence[int], size: int, width: int) -> onnx.ModelProto:
        x = self.relu_conv(self.quantized("image"), "conv1", 3, width, 7, 2)
        x = self.quantized(self.node("MaxPool", "pool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]))
        channels = width
        for stage, count in enumerate(blocks):
            for i in range(count):
                inner, stride = width << stage, 2 if stage and not i else 1
                x = self.block(x, f"layer{stage + 1}.{i}", channels, inner, stride)
                channels = 4 * inner
        x = self.quantized(self.node("GlobalAveragePool", "mean", x))
        x = self.node("Flatten", "flat", x)
        weights = self.weights("fc", (1000, channels), channels)
        logits = self.node("Gemm", "fc", x, *weights, transB=1)
        graph = helper.make_graph(
            self.nodes,
            f"resnet{layers_of(blocks)}",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, size, size])],
            [helper.make_tensor_value_info(logits, TensorProto.FLOAT, [1, 1000])],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)

    def block(self, x: str, name: str, channels: int, inner: int, stride: int) -> str:
        y = self.relu_conv(x, f"{name}.conv1", channels, inner, 1)
        y = self.relu_conv(y, f"{name}.conv2", inner, inner, 3, stride)
        y = self.conv(y, f"{name}.conv3", inner, 4 * inner, 1)
        if stride > 1 or channels != 4 * inner:
            x = self.quantized(self.conv(x, f"{name}.downsample", channels, 4 * inner, 1, stride))
        y = self.node("Add", f"{name}.add", y, x)
        return self.quantized(self.node("Relu", f"{name}.relu", y))

    def relu_conv(self, x: str, name: str, cin: int, cout: int, kernel: int, stride: int = 1) -> str:
        return self.quantized(self.node("Relu", f"{name}.relu", self.conv(x, name, cin, cout, kernel, stride)))

    def conv(self, x: str, name: str, cin: int, cout: int, kernel: int, stride: int = 1) -> str:
        weights = self.weights(name, (cout, cin, kernel, kernel), cin * kernel * kernel)
        return self.node("Conv", name, x, *weights, strides=[stride] * 2, pads=[kernel // 2] * 4)

    def node(self, kind: str, name: str, *inputs: str, **options) -> str:
        result = f"{name}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [result], name=name, **options))
        return result

    def constant(self, name: str, array) -> str:
        self.constants[name] = np.asarray(array)
        return name

    def quantized(self, x: str) -> str:
        parameters = [self.constant("scale", SCALE), self.constant("zero", np.int8(-3))]
        q = self.node("QuantizeLinear", f"{x}.quantize", x, *parameters)
        return self.node("DequantizeLinear", f"{x}.dequantize", q, *parameters)

    def weights(self, name: str, shape: Sequence[int], fan: int) -> tuple[str, str]:
        """int8 weights with a scale for each output channel, and an int32 bias."""
        scale = (self.rng.uniform(0.8, 1.2, shape[0]) * np.sqrt(2 / fan) / 73).astype(np.float32)
        arrays = {
            "weight": (self.rng.integers(-127, 128, shape, np.int8), scale),
            "bias": (self.rng.integers(-999, 999, shape[0], np.int32), scale * SCALE),
        }
        results = []
        for part, (array, unit) in arrays.items():
            operands = [self.constant(f"{name}.{part}", array), self.constant(f"{name}.{part}.scale", unit)]
            results.append(self.node("DequantizeLinear", f"{name}.{part}.real", *operands, axis=0))
        return tuple(results)
