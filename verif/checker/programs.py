"""Small programs whose orders can be explored."""

from functools import cache

from gemmary.compiler import Program, compile_layer, compile_network, layer_inputs
from gemmary.config import PRESETS, Config
from gemmary.models.digits import load_digits
from gemmary.workloads import Conv, Matmul
from verif.checker.interleavings import ROUNDS, Case, case_of
from verif.configs import TINY, TINY_NARROW_BUS, TINY_WIDE, TINY_WINDOW


def matmul(m, k, n, **options):
    return Matmul(name="matmul", m=m, k=k, n=n, **options)


def conv(height, width, cin, cout, kernel=1, stride=1, padding=0, **options):
    kernel, stride, padding = (kernel,) * 2, (stride,) * 2, (padding,) * 4
    sizes = {"height": height, "width": width, "cin": cin, "cout": cout}
    return Conv(name="conv", **sizes, kernel=kernel, stride=stride, padding=padding, **options)


LAYERS: dict[str, tuple[Config, object]] = {
    "matmul": (TINY, matmul(37, 22, 9)),
    "long sum": (TINY, matmul(5, 150, 6)),
    "many columns": (TINY, matmul(5, 9, 40, residual=True, activation="relu")),
    "table": (TINY, matmul(9, 8, 10, activation="gelu")),
    "int32": (TINY, matmul(7, 22, 9, output="int32")),
    "computed operand": (TINY_WIDE, matmul(6, 10, 9, batch=2, constant=False)),
    "transposed operand": (TINY_WIDE, matmul(5, 8, 13, constant=False, transposed=True)),
    "convolution": (TINY, conv(7, 6, 6, 5, 3, 1, 1)),
    "wide convolution": (TINY_NARROW_BUS, conv(6, 6, 20, 10, 3, 2, 1, activation="relu6")),
    "residual": (TINY_NARROW_BUS, conv(5, 4, 17, 12, residual=True)),
    "first convolution": (TINY, conv(9, 9, 3, 6, 3, 2, 1)),
    "groups": (TINY, conv(6, 5, 8, 8, 3, 1, 1, groups=4)),
    "depthwise": (TINY_WINDOW, conv(9, 7, 40, 40, 3, 1, 1, groups=40)),
    "depthwise, stride 2": (TINY_WINDOW, conv(9, 7, 20, 20, 3, 2, 1, groups=20, activation="relu6")),
}


@cache
def program(name: str) -> Program:
    return compile_layer(*LAYERS[name])


@cache
def case(name: str) -> Case:
    """With random inputs."""
    layer = LAYERS[name][1]
    return case_of(program(name), tuple(layer_inputs(layer, seed) for seed in range(ROUNDS)))


@cache
def cases() -> dict[str, Case]:
    """Every layer, and the digits network."""
    found = {name: case(name) for name in LAYERS}
    digits = load_digits()
    images = [{digits.network.input: digits.images[i : i + 1]} for i in range(ROUNDS)]
    found["digits"] = case_of(compile_network(PRESETS["small"], digits.network, 1), tuple(images))
    return found
