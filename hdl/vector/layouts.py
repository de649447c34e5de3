"""What travels between the parts of the vector engine."""

from amaranth import Cat, Signal, signed, unsigned
from amaranth.lib import data

from gemmary import isa
from gemmary.config import Config

from ..interfaces import field_shape

FORMAT = isa.FORMATS[isa.Opcode.VECTOR]


class Parameter(data.Struct):
    """One channel of the parameter memory."""

    bias: signed(32)
    mantissa: unsigned(24)
    shift: unsigned(6)
    unused: unsigned(2)


class Beat(data.Struct):
    """One lane group of one element of a window, on its way through the pipeline.

    The other flags are only set together with ``valid``. ``first``: of an instruction. ``start``: of its window. ``result``:
    last of its window, so it gives a result. ``fresh``: the parameters may differ from those of the beat before.
    """

    valid: unsigned(1)
    first: unsigned(1)
    start: unsigned(1)
    result: unsigned(1)
    fresh: unsigned(1)


def settings_layout(names) -> data.StructLayout:
    """Those fields of a vector instruction, in their shapes."""
    return data.StructLayout({name: field_shape(FORMAT[name]) for name in names})


def slot_layout(config: Config) -> data.StructLayout:
    """One iteration of the loop nest: addresses, what to read, and what it means."""
    row = max(config.accumulator_words, config.vector_words)
    flags = "accumulator source residual parameter"  # read them?
    flags += " first start result last wide parity bad hazard"
    addresses = {"source": range(row), "residual": range(config.vector_words), "result": range(row)}
    return data.StructLayout(
        {f"{name}_address": shape for name, shape in (addresses | {"parameter": range(config.parameter_rows)}).items()}
        | {name: unsigned(1) for name in flags.split()}
    )


def order_layout(config: Config) -> data.StructLayout:
    """Where a result goes; ``wide``: int32, to the accumulator. ``last`` of its instruction."""
    row = max(config.accumulator_words, config.vector_words)
    return data.StructLayout({"address": range(row), "group": range(config.lane_groups), "wide": 1, "last": 1})


def delayed(m, bit, cycles: int, name: str) -> list:
    """``[bit, bit a cycle later, …, bit after ``cycles``]``: one shift register."""
    taps = Signal(cycles, name=name)
    m.d.sync += taps.eq(Cat(bit, taps))
    return [bit, *taps]
