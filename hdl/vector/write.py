"""Writes results, in order."""

from amaranth import Cat, Const, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config

from ..interfaces import WritePort
from ..stream.queue import LUT_RAM_DEPTH, Queue
from .layouts import order_layout

DEPTH = 16
"""Results on their way: those of the 14 cycles from the issue to the write, and what a refused write holds up."""

BLOCK_RAM_DEPTH = 2 * LUT_RAM_DEPTH
"""The same with one lane: that is for chips without LUT RAM, so the queues go into block RAM."""


def depth(config: Config) -> int:
    """How many results may be on their way."""
    return DEPTH if config.lanes > 1 else BLOCK_RAM_DEPTH


def pieces(config: Config) -> int:
    """In how many writes an int8 row goes into its memory: a granule each, as the load engine's, or what the lanes make if that is more."""
    return config.columns // max(config.lanes, min(config.bus_bytes, config.columns))


def write_ports(config: Config) -> dict[str, WritePort]:
    """The ports that the vector engine writes: int8 results, int32 results."""
    wide, narrow = (data.ArrayLayout(signed(bits), config.columns) for bits in (32, 8))
    return {
        "result": WritePort(config.vector_words, narrow, pieces(config)),
        "accumulator_result": WritePort(config.accumulator_words, wide, config.lane_groups),
    }


class Write(wiring.Component):
    """Writes results in the order in which they were announced.

    ``order`` (with ``ordered``) announces a result: only while ``credit`` is given, which bounds the results on their way to
    ``depth``. Data then come at any time, int8 and int32 each in order, and are never refused. ``finish``: the last result
    of an instruction is written in this cycle. ``busy``: results are on their way. Latency from data to port 1 cycle (2 with
    one lane); one result a cycle while no port refuses.

    int8 results wait for the other lane groups of their granule, so that loads, which need the same port, find it free.

        order ─► queue ───┬──────────► address, mask
        narrow ─► queue ─►┴─► held ──► result               mask: one bit a granule
        wide ──► queue ──────────────► accumulator_result   mask: one bit a lane group
    """

    def __init__(self, config: Config):
        self.config = config
        wide, narrow = (data.ArrayLayout(signed(bits), config.lanes) for bits in (32, 8))
        super().__init__(
            {name: Out(port) for name, port in write_ports(config).items()}
            | {
                "credit": Out(1),
                "ordered": In(1),
                "order": In(order_layout(config)),
                "narrow_valid": In(1),
                "narrow": In(narrow),
                "wide_valid": In(1),
                "wide": In(wide),
                "finish": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.order = order = Queue(order_layout(self.config), depth(self.config))
        m.submodules.narrow = narrow = Queue(self.narrow.shape(), depth(self.config))
        m.submodules.wide = wide = Queue(self.wide.shape(), depth(self.config))
        head, written = order.o.payload, Signal()
        m.d.comb += [
            self.credit.eq(order.i.ready),
            order.i.valid.eq(self.ordered),
            order.i.payload.eq(self.order),
            narrow.i.valid.eq(self.narrow_valid),
            narrow.i.payload.eq(self.narrow),
            wide.i.valid.eq(self.wide_valid),
            wide.i.payload.eq(self.wide),
            order.o.ready.eq(written),
            self.finish.eq(written & head.last),
            self.busy.eq(order.o.valid),
        ]
        self.gather(m, narrow, order)
        self.drive(m, self.accumulator_result, wide, order)
        m.d.comb += written.eq(narrow.o.valid & narrow.o.ready | wide.o.valid & wide.o.ready)
        return m

    def gather(self, m, queue, order):
        """Lane groups come in order, so the last one completes the granule."""
        config, head, port = self.config, order.o.payload, self.result
        result, last, mask = queue.o.payload.as_value(), Const(1), Const(1)
        chosen, count = order.o.valid & ~head.wide, pieces(config)
        if count < config.lane_groups:
            bits = (config.lane_groups // count - 1).bit_length()
            held = Signal(((1 << bits) - 1) * len(result), reset_less=True)
            last = head.group[:bits].all()
            with m.If(queue.o.valid & chosen & ~last):
                m.d.sync += held.eq(Cat(held, result)[len(result) :])
            result = Cat(held, result)
        if count > 1:
            mask = 1 << head.group[-(count - 1).bit_length() :]
        m.d.comb += [
            port.valid.eq(queue.o.valid & chosen & last),
            port.address.eq(head.address),
            port.data.eq(result.replicate(count)),
            port.mask.eq(mask),
            queue.o.ready.eq((port.ready | ~last) & chosen),
        ]

    def drive(self, m, port, queue, order):
        groups, head = self.config.lane_groups, order.o.payload
        chosen = order.o.valid & head.wide
        m.d.comb += [
            port.valid.eq(queue.o.valid & chosen),
            port.address.eq(head.address),
            port.data.eq(queue.o.payload.as_value().replicate(groups)),
            port.mask.eq(1 << head.group if groups > 1 else 1),
            queue.o.ready.eq(port.ready & chosen),
        ]
