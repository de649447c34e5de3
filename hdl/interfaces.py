"""Signatures and layouts between the blocks. Everything derives from gemmary's specification.

Conventions: streams are Amaranth streams; a *request* port has ``valid`` / ``ready`` like a stream, and the data of an accepted
read request arrives exactly ``READ_LATENCY`` cycles later, without back-pressure.
"""

from amaranth import signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary import isa
from gemmary.config import SEMAPHORES, Config
from gemmary.registers import State

READ_LATENCY = 2
"""Cycles from an accepted read request to its data: the RAM's own register, then its output register."""

APART_READ_LATENCY = READ_LATENCY + 2
"""The same of the first part of a word at a port that has a clock of its own: with a register before the RAM, and one behind the choice of the bank."""

ACCUMULATE_DISTANCE = READ_LATENCY + 2
"""Least number of cycles between two accumulations into the same row, and from an accumulation until a read sees it."""

SUM_LEAD = READ_LATENCY
"""Cycles from a row of the accumulate port of two clocks to the sum of its first column; that of column c comes c cycles later still."""

OFFSET_BITS = 24
"""Byte offset of an instruction in its program."""

HEADER = ("opcode", "version")


def granules(config: Config, space: isa.Space) -> int:
    """Depth of an on-chip memory in granules of ``bus_bytes``, as DMA addresses it."""
    return {
        isa.Space.ACTIVATION: config.activation_bytes,
        isa.Space.WEIGHT: config.weight_bytes,
        isa.Space.ACCUMULATOR: config.accumulator_words * config.accumulator_row_bytes,
        isa.Space.PARAMETER: config.parameter_rows * config.parameter_row_bytes,
        isa.Space.TABLE: 512,
    }[space] // config.bus_bytes


def field_shape(field: isa.Field):
    return signed(field.width) if field.signed else unsigned(field.width)


def instruction_layout(opcode: isa.Opcode) -> data.StructLayout:
    """The fields of an instruction as its engine gets them: without header and reserved bits, plus ``offset``."""
    fields = {
        f.name: field_shape(f) for f in isa.FORMATS[opcode].fields if f.kind != "reserved" and f.name not in HEADER
    }
    return data.StructLayout(fields | {"offset": unsigned(OFFSET_BITS)})


class Done(data.Struct):
    """One cycle of ``valid`` when every result of an instruction is in memory."""

    valid: unsigned(1)
    signal: unsigned(SEMAPHORES)
    offset: unsigned(OFFSET_BITS)


class Error(data.Struct):
    """One cycle of ``valid`` when an instruction fails; the engine then stops issuing."""

    valid: unsigned(1)
    cause: unsigned(8)
    offset: unsigned(OFFSET_BITS)


COUNTED_BITS = 8
"""Of a number of cycles that is told at once."""


class Counted(data.Struct):
    """Cycles that an engine has spent in ``state``, beside those told before."""

    state: unsigned(3)
    cycles: unsigned(COUNTED_BITS)


class EngineSignature(wiring.Signature):
    """An engine, seen from its side.

    ``i``: instructions whose semaphores have been taken, in order. ``halt``: issue nothing new (memory requests, bus
    addresses); what is in flight drains. ``state``: what the engine does in this cycle, IDLE when it holds nothing.
    ``offset``: the instruction that it is at. ``quiet``: no bus transaction is outstanding (always 1 without a bus).

    With ``crossed`` the engine has another clock: ``state`` and ``offset`` are as they were some cycles ago; ``waiting`` tells it that its next
    instruction waits for semaphores, and ``counted`` what it has done, in cycles of its own.
    """

    def __init__(self, opcode: isa.Opcode, crossed: bool = False):
        more = {"waiting": In(1), "counted": Out(Counted)} if crossed else {}
        super().__init__(
            more
            | {
                "i": In(stream.Signature(instruction_layout(opcode))),
                "done": Out(Done),
                "error": Out(Error),
                "halt": In(1),
                "state": Out(State),
                "offset": Out(OFFSET_BITS),
                "quiet": Out(1),
            }
        )


class ReadPort(wiring.Signature):
    """Requests words of ``width`` bits (or a layout) from a memory of ``depth`` words, seen from the client."""

    def __init__(self, depth: int, shape):
        super().__init__(
            {
                "valid": Out(1),
                "address": Out(range(depth)),
                "ready": In(1),
                "data": In(shape),
            }
        )


class WritePort(wiring.Signature):
    """Writes words to a memory of ``depth`` words, seen from the client; ``mask`` has one bit for each of ``parts`` equal
    parts of the word."""

    def __init__(self, depth: int, shape, parts: int = 1):
        super().__init__(
            {
                "valid": Out(1),
                "address": Out(range(depth)),
                "data": Out(shape),
                "mask": Out(parts),
                "ready": In(1),
            }
        )


class AccumulatePort(wiring.Signature):
    """Adds a row of exact partial sums to an accumulator row (or overwrites it). Always accepted; the same row again no
    sooner than ACCUMULATE_DISTANCE cycles later. With two clocks it is *skewed*: ``data`` of column c come SUM_LEAD + c cycles later."""

    def __init__(self, config: Config):
        super().__init__(
            {
                "valid": Out(1),
                "row": Out(range(config.accumulator_words)),
                "overwrite": Out(1),
                "data": Out(data.ArrayLayout(signed(config.psum_bits), config.columns)),
            }
        )


class OnchipWritePort(wiring.Signature):
    """Granule writes into any space, seen from the load engine (or the host window). ``address`` is inside the space."""

    def __init__(self, config: Config):
        super().__init__(
            {
                "valid": Out(1),
                "space": Out(isa.Space),
                "address": Out(16),
                "data": Out(8 * config.bus_bytes),
                "ready": In(1),
            }
        )


class OnchipReadPort(wiring.Signature):
    """Granule reads from activation, weight or accumulator, seen from the store engine (or the host window)."""

    def __init__(self, config: Config):
        super().__init__(
            {
                "valid": Out(1),
                "space": Out(isa.Space),
                "address": Out(16),
                "ready": In(1),
                "data": In(8 * config.bus_bytes),
            }
        )


class BurstReadSignature(wiring.Signature):
    """A client of the AXI manager's read side, seen from the client.

    ``request``: bus-aligned ``address`` and ``beats`` (1..256), never across 4 KiB. ``response``: the beats of all requests in
    order; ``error`` for SLVERR or DECERR; ``last`` with the last beat of each request.
    """

    def __init__(self, config: Config):
        request = data.StructLayout({"address": config.address_bits, "beats": range(257)})
        response = data.StructLayout({"data": 8 * config.bus_bytes, "error": 1, "last": 1})
        super().__init__({"request": Out(stream.Signature(request)), "response": In(stream.Signature(response))})


class BurstWriteSignature(wiring.Signature):
    """The client of the AXI manager's write side, seen from the client. The beats of every accepted request follow in order
    on ``data``; one ``response`` (``error``) for each request, in order."""

    def __init__(self, config: Config):
        request = data.StructLayout({"address": config.address_bits, "beats": range(257)})
        beat = data.StructLayout({"data": 8 * config.bus_bytes, "strobe": config.bus_bytes, "last": 1})
        super().__init__(
            {
                "request": Out(stream.Signature(request)),
                "data": Out(stream.Signature(beat)),
                "response": In(stream.Signature(data.StructLayout({"error": 1}))),
            }
        )


class RegisterBus(wiring.Signature):
    """One 32-bit register access at a time, seen from the manager (the AXI4-Lite front end or a host link).

    A transfer of ``request`` is answered by one transfer of ``response`` (for a write too) in a later cycle; ``error`` for an
    address that holds nothing.
    """

    def __init__(self):
        request = data.StructLayout({"address": 32, "write": 1, "data": 32, "strobe": 4})
        response = data.StructLayout({"data": 32, "error": 1})
        super().__init__({"request": Out(stream.Signature(request)), "response": In(stream.Signature(response))})


class AxiSignature(wiring.Signature):
    """AXI4, seen from the manager: five streams. The top flattens them to ``m_axi_araddr`` and so on."""

    def __init__(self, config: Config):
        address = data.StructLayout(
            {
                "addr": config.address_bits,
                "id": config.id_bits,
                "len": 8,
                "size": 3,
                "burst": 2,
                "cache": 4,
                "prot": 3,
            }
        )
        width = 8 * config.bus_bytes
        write = data.StructLayout({"data": width, "strb": config.bus_bytes, "last": 1})
        super().__init__(
            {
                "ar": Out(stream.Signature(address)),
                "r": In(
                    stream.Signature(data.StructLayout({"data": width, "id": config.id_bits, "resp": 2, "last": 1}))
                ),
                "aw": Out(stream.Signature(address)),
                "w": Out(stream.Signature(write)),
                "b": In(stream.Signature(data.StructLayout({"id": config.id_bits, "resp": 2}))),
            }
        )


class AxiLiteSignature(wiring.Signature):
    """AXI4-Lite, 32 bits, seen from the manager."""

    def __init__(self, address_bits: int):
        address = data.StructLayout({"addr": address_bits, "prot": 3})
        super().__init__(
            {
                "ar": Out(stream.Signature(address)),
                "r": In(stream.Signature(data.StructLayout({"data": 32, "resp": 2}))),
                "aw": Out(stream.Signature(address)),
                "w": Out(stream.Signature(data.StructLayout({"data": 32, "strb": 4}))),
                "b": In(stream.Signature(data.StructLayout({"resp": 2}))),
            }
        )
