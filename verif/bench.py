"""What cocotb tests share: the case they run, clock and reset, seeded randomness, values of any shape.

Time counts in rising edges. After ``await edge`` a test reads what the ports were in the cycle that just ended, and what it
then writes holds for the cycle that begins.
"""

import os
from collections.abc import Iterator

import cocotb
import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

PERIOD_NS = 10


def case() -> str:
    """What the pytest function passed as ``case``."""
    return os.environ["GEMMARY_CASE"]


def rng(*salt: int) -> np.random.Generator:
    """The random numbers of this cocotb test; those of different ``salt`` are independent."""
    return np.random.default_rng([cocotb.RANDOM_SEED & 0xFFFFFFFFFFFF, *salt])


async def start(dut, component: wiring.Component) -> RisingEdge:
    """Starts the clock with every input at 0, and resets; returns the rising edge, just before the first cycle."""
    for path, member, _ in component.signature.flatten(component):
        if member.flow is In:
            getattr(dut, "__".join(map(str, path))).value = 0
    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    edge = RisingEdge(dut.clk)
    await reset(dut)
    return edge


async def reset(dut, cycles: int = 2) -> None:
    """Holds the reset; the first cycle without it begins on return."""
    dut.rst.value = 1
    for _ in range(cycles):
        await RisingEdge(dut.clk)
    dut.rst.value = 0


def pack(shape, value) -> int:
    """The bits of ``value``: a number, or for a layout a dict or a sequence of such."""
    if isinstance(shape, type) and issubclass(shape, data.Struct):
        shape = shape.as_shape()
    if isinstance(shape, data.Layout):
        return shape.const(value).as_bits()
    return int(value) & (1 << Shape.cast(shape).width) - 1


def unpack(shape, value):
    """The inverse: a number, or for a layout plain dicts and lists of them. ``value`` is a handle's value or an int."""
    bits = value if isinstance(value, int) else value.to_unsigned()
    if isinstance(shape, type) and issubclass(shape, data.Struct):
        shape = shape.as_shape()
    if isinstance(shape, data.StructLayout):
        fields: Iterator = ((name, shape[name]) for name, _ in shape)
        return {name: unpack(f.shape, bits >> f.offset & (1 << f.width) - 1) for name, f in fields}
    if isinstance(shape, data.ArrayLayout):
        width = Shape.cast(shape.elem_shape).width
        return [unpack(shape.elem_shape, bits >> i * width & (1 << width) - 1) for i in range(shape.length)]
    plain = Shape.cast(shape)
    return bits - (1 << plain.width) if plain.signed and bits >> (plain.width - 1) & 1 else bits


def width(shape) -> int:
    return Shape.cast(shape).width
