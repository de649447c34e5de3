"""Small quantized functions in JAX by name, with random weights, and inputs for them: int8 in, int8 or float out."""

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

IMAGES, NHWC = (2, 10, 10, 8), ("NHWC", "HWIO", "NHWC")


def weights(seed: int, *shape) -> np.ndarray:
    return np.random.default_rng(seed).integers(-127, 128, shape).astype(np.int8)


def scales(seed: int, channels: int, size: float) -> np.ndarray:
    return (np.random.default_rng(seed).uniform(0.5, 1, channels) * size).astype(np.float32)


def requantize(sums, scale, zero=0):
    """int32 to int8."""
    return jnp.clip(jnp.round(sums.astype(jnp.float32) * scale) + zero, -128, 127).astype(jnp.int8)


def conv(x, weight, strides=(1, 1), padding="SAME", **options):
    return lax.conv_general_dilated(
        x, weight, strides, padding, dimension_numbers=NHWC, preferred_element_type=jnp.int32, **options
    )


def dot(a, b, contracting, batch=((), ())):
    return lax.dot_general(a, b, (contracting, batch), preferred_element_type=jnp.int32)


def residual(x):
    """Biases, ReLU before and after the rounding, a residual, a pool; one zero point for all."""
    y = conv(x, weights(0, 3, 3, 8, 16), (2, 2)) + np.arange(16, dtype=np.int32) * 50
    y = requantize(jax.nn.relu(y), scales(1, 16, 0.002))
    z = conv(y, weights(2, 3, 3, 16, 16)).astype(jnp.float32) * 0.00103 + y.astype(jnp.float32) * 0.7519
    z = jnp.clip(jnp.round(z), 0, 127).astype(jnp.int8)
    return lax.reduce_window(z, np.int8(-128), lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")


def zero_points(x):
    """Activations with a zero point, which products subtract in int32; a depthwise and a dilated grouped convolution."""
    y = requantize(conv(x, weights(3, 1, 1, 8, 16), (2, 2)), np.float32(0.00417), -20)
    y = conv(y.astype(jnp.int32) + 20, weights(4, 3, 3, 1, 16).astype(np.int32), feature_group_count=16)
    y = requantize(y - 300, scales(5, 16, 0.004), 7)
    y = conv(
        y.astype(jnp.int32) - 7, weights(6, 3, 3, 4, 8).astype(np.int32), rhs_dilation=(2, 2), feature_group_count=4
    )
    return requantize(y, np.float32(0.00313), 7)


def mlp(x):
    """Tables: GELU and SiLU of int8; logits that stay wide."""
    y = requantize(dot(x, weights(7, 32, 48), ((2,), (0,))) + weights(8, 48).astype(np.int32), np.float32(0.00313))
    y = jnp.clip(jnp.round(jax.nn.gelu(y.astype(jnp.float32) * 0.03) / 0.02) - 100, -128, 127).astype(jnp.int8)
    y = requantize(
        dot(y.astype(jnp.int32) + 100, weights(9, 48, 32).astype(np.int32), ((2,), (0,))), np.float32(0.00219)
    )
    y = jnp.clip(jnp.round(jax.nn.silu(y.astype(jnp.float32) * 0.05) * 20), -128, 127).astype(jnp.int8)
    return (dot(y, weights(10, 32, 10), ((2,), (0,))) + np.arange(10, dtype=np.int32)).astype(jnp.float32) * 0.01


def sums(x):
    """A mean over images, an addition of two int8 tensors, and a constant on the left of a product."""
    left, right = requantize(conv(x, weights(11, 1, 1, 8, 8)), np.float32(0.00523)), jnp.maximum(x, np.int8(-40))
    y = jnp.clip(jnp.round(left.astype(jnp.float32) * 0.4137 + right.astype(jnp.float32) * 0.9071), -128, 127).astype(
        jnp.int8
    )
    mean = jnp.clip(jnp.round(y.astype(jnp.int32).sum((1, 2)) * np.float32(0.0311)), -128, 127).astype(jnp.int8)
    return requantize(dot(weights(12, 24, 8), mean, ((1,), (1,))), np.float32(0.01037))


def attention(x):
    """Two heads: products of computed tensors on the device, softmax on the host."""
    q, k, v = (requantize(dot(x, weights(13 + i, 32, 32), ((2,), (0,))), np.float32(0.00219)) for i in range(3))
    q, k, v = (each.reshape(2, 12, 2, 16) for each in (q, k, v))
    scores = dot(q, k, ((3,), (3,)), ((0, 2), (0, 2))).astype(jnp.float32) * 0.0004
    weight = jnp.clip(jnp.round(jax.nn.softmax(scores) * 127), -128, 127).astype(jnp.int8)
    mixed = dot(weight, v, ((3,), (1,)), ((0, 1), (0, 2)))  # [batch, head, token, channel]
    mixed = requantize(mixed, np.float32(0.01037)).transpose(0, 2, 1, 3).reshape(2, 12, 32)
    return requantize(dot(mixed, weights(16, 32, 32), ((2,), (0,))), np.float32(0.00219))


FUNCTIONS = {each.__name__: each for each in (residual, zero_points, mlp, sums, attention)}


def inputs_of(name: str) -> np.ndarray:
    return weights(99, *((2, 12, 32) if name in ("mlp", "attention") else IMAGES))


def export(name: str) -> jax.export.Exported:
    x = inputs_of(name)
    return jax.export.export(jax.jit(FUNCTIONS[name]))(jax.ShapeDtypeStruct(x.shape, x.dtype))
