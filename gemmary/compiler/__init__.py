"""From layers and NumPy weights to a Program: an instruction stream and the layout of external memory. Knows no device."""

from .convolution import compile_conv2d
from .layer import compile_layer
from .matmul import MAX_DIMENSION, compile_matmul
from .network import compile_network
from .program import Layer, Program
from .scales import mantissa_and_shift
from .tensor import Tensor
from .values import layer_inputs, reference_layer

__all__ = [
    "MAX_DIMENSION",
    "Layer",
    "Program",
    "Tensor",
    "compile_conv2d",
    "compile_layer",
    "compile_matmul",
    "compile_network",
    "layer_inputs",
    "mantissa_and_shift",
    "reference_layer",
]
