"""Requests what a slot reads, and sends its lane groups into the pipeline."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config

from ..interfaces import READ_LATENCY, ReadPort
from .layouts import Beat, Parameter, delayed, order_layout, slot_layout


def read_ports(config: Config) -> dict[str, ReadPort]:
    """The four ports that the vector engine reads, by the name of the operand."""
    wide, narrow = (data.ArrayLayout(signed(bits), config.columns) for bits in (32, 8))
    return {
        "accumulator": ReadPort(config.accumulator_words, wide),
        "source": ReadPort(config.vector_words, narrow),
        "residual": ReadPort(config.vector_words, narrow),
        "parameter": ReadPort(config.parameter_rows * config.lane_groups, data.ArrayLayout(Parameter, config.lanes)),
    }


class Issue(wiring.Component):
    """A beat for each lane group of each slot, issued in the cycle in which the last of its requests is accepted.

    Each port is asked once for each slot (``parameter``: for each lane group); an accepted request is not repeated when another
    one is refused. ``arrives``: data of that port arrive in this cycle, at the earliest READ_LATENCY cycles after the beat
    before was issued, at the latest after this one was. ``constant``: the row of this beat is the constant.

    A beat with a result needs ``credit`` and gives ``order`` (one cycle, with ``ordered``). A slot with a hazard waits until the
    instruction before is complete: until ``oldest`` is its parity. ``failed``: a bad slot has come; nothing follows it.
    ``halt``: nothing is issued and nothing is requested. Throughput: one beat a cycle while no port refuses.
    """

    def __init__(self, config: Config):
        self.config = config
        ports = {name: Out(port) for name, port in read_ports(config).items()}
        super().__init__(
            ports
            | {
                "i": In(stream.Signature(slot_layout(config))),
                "halt": In(1),
                "credit": In(1),
                "oldest": In(1),
                "beat": Out(Beat),
                "constant": Out(1),
                "ordered": Out(1),
                "order": Out(order_layout(config)),
                "arrives": Out(data.StructLayout(dict.fromkeys(ports, 1))),
                "hazard": Out(1),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        slot, groups = self.i.payload, self.config.lane_groups
        group = Signal(range(groups))
        first_group, last_group = (group == 0, group == groups - 1) if groups > 1 else (1, 1)
        go, fire = Signal(), Signal()
        m.d.comb += [
            self.failed.eq(self.i.valid & slot.bad),
            self.hazard.eq(self.i.valid & slot.hazard & (slot.parity != self.oldest)),
            go.eq(self.i.valid & ~slot.bad & ~self.hazard & ~self.halt & (self.credit | ~slot.result)),
        ]

        def request(name, address, wanted):
            """Whether the slot has what it wants of this port."""
            port = getattr(self, name)
            done, accepted = Signal(name=f"{name}_done"), Signal(name=f"{name}_accepted")
            m.d.comb += [
                port.valid.eq(go & wanted & ~done),
                port.address.eq(address),
                accepted.eq(port.valid & port.ready),
                self.arrives[name].eq(delayed(m, accepted, READ_LATENCY, f"{name}_arriving")[-1]),
            ]
            m.d.sync += done.eq((done | accepted) & ~fire)
            return ~wanted | done | port.ready

        source = {
            name: request(name, slot.source_address, getattr(slot, name) & first_group)
            for name in ("accumulator", "source")
        }
        residual = request("residual", slot.residual_address, slot.residual & first_group)
        parameter_address = Cat(group, slot.parameter_address)
        parameter = request("parameter", parameter_address, slot.parameter)
        m.d.comb += [
            fire.eq(go & source["accumulator"] & source["source"] & residual & parameter),
            self.i.ready.eq(fire & last_group),
            self.beat.valid.eq(fire),
            self.beat.first.eq(fire & slot.first & first_group),
            self.beat.start.eq(fire & slot.start),
            self.beat.result.eq(fire & slot.result),
            self.beat.fresh.eq(self.beat.first | (fire & slot.parameter)),
            self.constant.eq(fire & first_group & ~slot.accumulator & ~slot.source),
            self.ordered.eq(self.beat.result),
            self.order.address.eq(slot.result_address),
            self.order.group.eq(group),
            self.order.wide.eq(slot.wide),
            self.order.last.eq(slot.last & last_group),
        ]
        if groups > 1:
            with m.If(fire):
                m.d.sync += group.eq(group + 1)
        return m
