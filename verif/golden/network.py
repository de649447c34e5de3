"""The golden network: every layer of a `gemmary.models.network.Network`, in NumPy."""

import numpy as np

from gemmary.models.network import Add, AveragePool, Conv2D, Dense, MaxPool, Network
from verif.golden import numerics


def run(network: Network, images: np.ndarray) -> dict[str, np.ndarray]:
    """The int8 result of every layer, by the layer's name, for int8 images `[n, h, w, c]`."""
    if images.dtype != np.int8 or images.shape[1:] != network.input_shape:
        raise ValueError(f"images are int8 of shape [n, *{network.input_shape}]")
    tensors = {network.input: images}
    results = {}
    for layer in network.layers:
        result = _compute(layer, tensors, network.quantization)
        tensors[layer.output] = results[layer.name] = result
    return results


def folded_bias(layer: Conv2D | Dense, zero_point: int) -> np.ndarray:
    """The bias with the input's zero point in it, modulo 2^32: int32 `[cout]`."""
    sums = layer.weight.sum(axis=tuple(range(layer.weight.ndim - 1)), dtype=np.int64)
    return numerics.add_bias(-zero_point * sums, layer.bias)


def _compute(layer, tensors, quantization):
    x = tensors[layer.input]
    zero_in = quantization[layer.input].zero_point
    zero_out = quantization[layer.output].zero_point
    match layer:
        case Conv2D():
            acc = numerics.conv2d(x, layer.weight, layer.stride, layer.padding, outside=zero_in)
        case Dense():
            acc = numerics.matmul(x.reshape(len(x), -1), layer.weight)
        case MaxPool():
            return numerics.max_pool(x, layer.window, layer.stride, layer.padding)
        case AveragePool():
            return numerics.average_pool(
                x,
                layer.window,
                layer.stride,
                layer.scale.mantissa,
                layer.scale.shift,
                input_zero_point=zero_in,
                zero_point=zero_out,
                padding=layer.padding,
                low=layer.low,
                high=layer.high,
            )
        case Add():
            other = layer.residual
            return numerics.add(
                x,
                tensors[other.tensor],
                layer.scale.mantissa,
                layer.scale.shift,
                other.scale.mantissa,
                other.scale.shift,
                a_zero_point=zero_in,
                b_zero_point=quantization[other.tensor].zero_point,
                zero_point=zero_out,
                low=layer.low,
                high=layer.high,
            )
        case _:
            raise TypeError(f"no golden model of a {type(layer).__name__}")
    t = numerics.add_bias(acc, folded_bias(layer, zero_in))
    return _requantize(layer, t, zero_out, tensors, quantization)


def _requantize(layer, t, zero_out, tensors, quantization):
    scale, clip = layer.scale, (layer.low, layer.high)
    if layer.residual is None:
        return numerics.requantize(t, scale.mantissa, scale.shift, zero_out, *clip)
    other = layer.residual
    return numerics.requantize(
        t,
        scale.mantissa,
        scale.shift,
        zero_out,
        *clip,
        residual=tensors[other.tensor],
        residual_zero_point=quantization[other.tensor].zero_point,
        residual_mantissa=other.scale.mantissa,
        residual_shift=other.scale.shift,
    )
