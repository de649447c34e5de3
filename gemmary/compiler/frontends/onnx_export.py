"""A quantized network of gemmary.models as an ONNX model with QuantizeLinear and DequantizeLinear, for other runtimes."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...models.network import Add, AveragePool, Conv2D, Dense, MaxPool, Network

OPSET = 17


def export_onnx(network: Network, batch: int | str = 1) -> onnx.ModelProto:
    """float32 in and out, NHWC as the network's tensors; ``batch`` may be the name of a symbolic size."""
    return _Exporter(network).run(batch)


class _Exporter:
    def __init__(self, network: Network):
        self.network, self.nodes, self.constants = network, [], {}

    def run(self, batch: int | str) -> onnx.ModelProto:
        network = self.network
        source, result = network.input, f"{network.output}.real"
        images = helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, *network.input_shape])
        output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, *network.shapes[network.output]])
        self._quantize(self._turn("input", network.input_shape, to=(0, 3, 1, 2)), source)
        for layer in network.layers:
            kind = {
                Conv2D: self._conv, Dense: self._dense, MaxPool: self._pool, AveragePool: self._pool, Add: self._add
            }[type(layer)]  # fmt: skip
            kind(layer)
        self._dequantize(network.output, result)
        self._node("Identity", [self._turn(result, network.shapes[network.output], to=(0, 2, 3, 1))], ["output"])
        initializers = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, network.name, [images], [output], initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model)
        return model

    def _node(self, kind: str, inputs: list[str], outputs: list[str], **options) -> str:
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], **options))
        return outputs[0]

    def _constant(self, name: str, array) -> str:
        self.constants[name] = np.asarray(array)
        return name

    def _turn(self, name: str, shape, to) -> str:
        return self._node("Transpose", [name], [f"{name}.turned"], perm=list(to)) if len(shape) == 3 else name

    def _parameters(self, name: str) -> list[str]:
        q = self.network.quantization[name]
        scale = self._constant(f"{name}.scale", np.float32(q.scale))
        return [scale, self._constant(f"{name}.zero_point", np.int8(q.zero_point))]

    def _quantize(self, real: str, name: str) -> None:
        self._node("QuantizeLinear", [real, *self._parameters(name)], [name])

    def _dequantize(self, name: str, real: str) -> str:
        return self._node("DequantizeLinear", [name, *self._parameters(name)], [real])

    def _finish(self, layer, real: str) -> None:
        """Residual, ReLU and quantization of a layer's real result."""
        residual = getattr(layer, "residual", None)
        if residual:
            other = self._dequantize(residual.tensor, f"{layer.name}.residual")
            real = self._node("Add", [real, other], [f"{layer.name}.sum"])
        if getattr(layer, "low", None) == self.network.quantization[layer.output].zero_point:
            real = self._node("Relu", [real], [f"{layer.name}.relu"])
        self._quantize(real, layer.output)

    def _weights(self, layer, weight: np.ndarray, axis: int) -> list[str]:
        names = []
        unit = np.float32(self.network.quantization[layer.input].scale) * layer.weight_scale
        for part, array, scale, along in (("weight", weight, layer.weight_scale, axis), ("bias", layer.bias, unit, 0)):
            name = f"{layer.name}.{part}"
            inputs = [self._constant(name, array), self._constant(f"{name}.scale", scale.astype(np.float32))]
            inputs.append(self._constant(f"{name}.zero", np.zeros(scale.shape, array.dtype)))
            names.append(self._node("DequantizeLinear", inputs, [f"{name}.real"], axis=along))
        return names

    def _conv(self, layer: Conv2D) -> None:
        weight = np.ascontiguousarray(layer.weight.transpose(3, 2, 0, 1))
        inputs = [self._dequantize(layer.input, f"{layer.name}.in"), *self._weights(layer, weight, 0)]
        (top, bottom), (left, right) = layer.padding
        options = {"strides": list(layer.stride), "pads": [top, left, bottom, right]}
        self._finish(layer, self._node("Conv", inputs, [f"{layer.name}.conv"], **options))

    def _dense(self, layer: Dense) -> None:
        real = self._turn(
            self._dequantize(layer.input, f"{layer.name}.in"), self.network.shapes[layer.input], (0, 2, 3, 1)
        )
        flat = self._node("Flatten", [real], [f"{layer.name}.flat"])
        inputs = [flat, *self._weights(layer, layer.weight, 1)]
        self._finish(layer, self._node("Gemm", inputs, [f"{layer.name}.gemm"]))

    def _pool(self, layer: MaxPool | AveragePool) -> None:
        (top, bottom), (left, right) = layer.padding
        options = {"kernel_shape": list(layer.window), "strides": list(layer.stride)}
        options["pads"] = [top, left, bottom, right]
        if isinstance(layer, AveragePool):
            options["count_include_pad"] = 1
        real = self._dequantize(layer.input, f"{layer.name}.in")
        self._finish(layer, self._node(type(layer).__name__, [real], [f"{layer.name}.pool"], **options))

    def _add(self, layer: Add) -> None:
        self._finish(layer, self._dequantize(layer.input, f"{layer.name}.in"))
