"""Matmul and Conv: one layer of a network as shapes, without values."""

from dataclasses import dataclass, fields
from math import prod

from ..errors import InputError

OUTPUTS = ("int8", "int32")
ACTIVATIONS = ("none", "relu", "relu6", "gelu")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What matmuls and convolutions share. Operands are int8, channels last, batch 1.

    ``count`` equal layers are in the network. Each is the sum of products, plus a bias, plus with ``residual`` a tensor of the
    output's shape, then the ``activation``, as ``output``.

    As a matmul, a layer is ``batch`` products ``[m, k] x [k, n]``, of ``macs`` multiply-accumulates in total, and has
    ``weights`` constant weights. InputError, naming the field, for anything inconsistent.
    """

    name: str
    count: int = 1
    output: str = "int8"
    activation: str = "none"
    residual: bool = False

    def __post_init__(self):
        for field in fields(self):
            value, kind = getattr(self, field.name), field.type
            # A name spells a type here: sizes are positive integers, a tuple of them has a fixed length.
            self._check(
                isinstance(value, kind) and (kind is bool) == isinstance(value, bool), field.name, kind.__name__
            )
            if kind is int:
                self._check(value > 0, field.name, "positive")
        self._check(self.output in OUTPUTS, "output", "one of " + ", ".join(OUTPUTS))
        self._check(self.activation in ACTIVATIONS, "activation", "one of " + ", ".join(ACTIVATIONS))

    def _check(self, condition: bool, field: str, what: str) -> None:
        if not condition:
            raise InputError(f"layer {self.name!r}: {field} must be {what}, not {getattr(self, field)!r}")

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one of the ``count`` layers; taps that fall on padding count, as is usual."""
        return self.batch * self.m * self.k * self.n


@dataclass(frozen=True, kw_only=True)
class Matmul(Layer):
    """``batch`` products ``[m, k] x [k, n]``; in attention, one for each head.

    The right operand is ``constant`` (weights), or computed at run time; then it may be ``transposed``: ``[n, k]`` in memory,
    like the keys in Q · K^T.
    """

    kind = "matmul"
    m: int
    k: int
    n: int
    batch: int = 1
    constant: bool = True
    transposed: bool = False

    def __post_init__(self):
        super().__post_init__()
        self._check(
            not (self.constant and self.transposed), "transposed", "false for constant weights: store them [k, n]"
        )

    @property
    def weights(self) -> int:
        return self.batch * self.k * self.n if self.constant else 0

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.m, self.k) if self.batch == 1 else (self.batch, self.m, self.k)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.m, self.n) if self.batch == 1 else (self.batch, self.m, self.n)


@dataclass(frozen=True, kw_only=True)
class Conv(Layer):
    """A 2-D convolution of ``[height, width, cin]``: ``kernel`` and ``stride`` (height, width), ``padding`` (top, bottom, left,
    right), ``groups`` (``cin`` of them when depthwise)."""

    kind = "conv"
    height: int
    width: int
    cin: int
    cout: int
    kernel: tuple
    stride: tuple = (1, 1)
    padding: tuple = (0, 0, 0, 0)
    groups: int = 1

    def __post_init__(self):
        super().__post_init__()
        for field, length, least in (("kernel", 2, 1), ("stride", 2, 1), ("padding", 4, 0)):
            value = getattr(self, field)
            sizes = len(value) == length and all(type(size) is int and size >= least for size in value)
            self._check(sizes, field, f"{length} integers of {least} or more")
        self._check(self.cin % self.groups == 0 and self.cout % self.groups == 0, "groups", "a divisor of cin and cout")
        self._check(min(self._output_size) > 0, "kernel", "no larger than the padded input")

    @property
    def _output_size(self) -> tuple[int, int]:
        (kh, kw), (sh, sw), (top, bottom, left, right) = self.kernel, self.stride, self.padding
        return (self.height + top + bottom - kh) // sh + 1, (self.width + left + right - kw) // sw + 1

    @property
    def batch(self) -> int:
        return self.groups

    @property
    def m(self) -> int:
        return prod(self._output_size)

    @property
    def k(self) -> int:
        return prod(self.kernel) * self.cin // self.groups

    @property
    def n(self) -> int:
        return self.cout // self.groups

    @property
    def weights(self) -> int:
        return self.groups * self.k * self.n

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.cin

    @property
    def output_shape(self) -> tuple[int, int, int]:
        return *self._output_size, self.cout
