"""The registers, generated from `gemmary.registers`."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gemmary import registers
from gemmary.config import SEMAPHORES, Config
from gemmary.isa import Engine
from gemmary.registers import COUNTER_BASE, COUNTERS, ENGINE_BASE, ENGINE_SIZE, REGISTERS, State

from ..control.layouts import ControlSignature, EngineStatus
from ..interfaces import RegisterBus

BY_NAME = {register.name: register for register in REGISTERS}
ENGINE_BITS = ENGINE_SIZE.bit_length() - 1
INITIAL = {"WATCHDOG_LIMIT": registers.WATCHDOG_LIMIT}


def packed(name: str, **values):
    """The value of register ``name`` from the values of all its fields (int or Value)."""
    fields = BY_NAME[name].fields
    assert {f.name for f in fields} == set(values), name
    parts, end = [], 0
    for field in fields:
        value = values[field.name]
        value = Const(value, field.width) if isinstance(value, int) else Value.cast(value)
        assert len(value) <= field.width, (name, field.name)
        parts += [Const(0, field.offset - end), value, Const(0, field.width - len(value))]
        end = field.offset + field.width
    return Cat(parts)


class RegisterFile(wiring.Component):
    """Answers ``bus`` for every register of `registers.REGISTERS` and commands the sequencer through ``control``.

    A write honours strobes; to a read-only register it does nothing. ``error`` for an address without a register. ``irq``:
    an enabled interrupt is pending. INSTRUCTION,
    which is for machines without DMA, refuses writes. One access in 2 cycles.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "bus": In(RegisterBus()),
                "control": Out(ControlSignature(config)),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        request, response = self.bus.request, self.bus.response
        self.access, self.write = Signal(), Signal()
        self.mask = Signal(32)
        m.d.comb += [
            request.ready.eq(~response.valid),
            self.access.eq(request.valid & request.ready),
            self.write.eq(self.access & request.payload.write),
            self.mask.eq(Cat(strobe.replicate(8) for strobe in request.payload.strobe)),
        ]
        with m.If(self.access):
            m.d.sync += response.valid.eq(1)
        with m.Elif(response.ready):
            m.d.sync += response.valid.eq(0)
        values = self._static() | self._settings(m) | self._interrupts(m) | self._status(m)
        self._commands(m)
        with m.If(self.access):
            self._answer(m, values)
        return m

    def _answer(self, m, values):
        """The read mux; ``values`` holds every readable register but the counters."""
        request, payload = self.bus.request.payload, self.bus.response.payload
        m.d.sync += [payload.data.eq(0), payload.error.eq(0)]
        with m.Switch(request.address[2:]):
            for register in REGISTERS:
                if register.name.startswith("COUNT_"):
                    continue
                with m.Case(register.address >> 2):
                    if register.access != "wo":
                        m.d.sync += payload.data.eq(Mux(request.write, 0, values.pop(register.name)))
                    if register.name == "INSTRUCTION":
                        m.d.sync += payload.error.eq(request.write)
            for index in range(len(COUNTERS)):
                with m.Case((COUNTER_BASE >> 2) + index):
                    m.d.sync += payload.data.eq(Mux(request.write, 0, self.control.counter))
            with m.Default():
                m.d.sync += payload.error.eq(1)
        m.d.comb += self.control.counter_index.eq(request.address[2:])
        assert not values, values

    def _written(self, name):
        """Whether register ``name`` is being written."""
        return self.write & (self.bus.request.payload.address[2:] == BY_NAME[name].address >> 2)

    def _static(self):
        return {name: Const(value, 32) for name, value in registers.constants(self.config).items()}

    def _settings(self, m):
        """The registers that read as written."""
        settings = {}
        for register in REGISTERS:
            if register.access != "rw":
                continue
            width = max((f.offset + f.width for f in register.fields), default=32)
            setting = Signal(width, name=register.name.lower(), init=INITIAL.get(register.name, 0))
            with m.If(self._written(register.name)):
                m.d.sync += setting.eq((setting & ~self.mask) | (self.bus.request.payload.data & self.mask))
            settings[register.name] = setting
        m.d.comb += [
            self.control.program_address.eq(Cat(settings["PROGRAM_ADDRESS_LOW"], settings["PROGRAM_ADDRESS_HIGH"])),
            self.control.program_length.eq(settings["PROGRAM_LENGTH"]),
            self.control.watchdog_limit.eq(settings["WATCHDOG_LIMIT"]),
        ]
        self.interrupt_enable = settings["INTERRUPT_ENABLE"]
        return settings

    def _interrupts(self, m):
        control = self.control
        pending, cleared = Signal(len(self.interrupt_enable)), Signal(len(self.interrupt_enable))
        events = packed("INTERRUPT_STATUS", done=control.status.done_event, error=control.status.error_event)
        with m.If(self._written("INTERRUPT_STATUS")):
            m.d.comb += cleared.eq(self.bus.request.payload.data & self.mask)
        m.d.sync += pending.eq(Mux(control.clear, 0, (pending & ~cleared) | events))
        m.d.comb += self.irq.eq((pending & self.interrupt_enable).any())
        return {"INTERRUPT_STATUS": pending}

    def _commands(self, m):
        """The registers whose writes act."""
        control, data = self.control, self.bus.request.payload.data & self.mask
        with m.If(self._written("CONTROL")):
            m.d.comb += [getattr(control, field.name).eq(data[field.offset]) for field in BY_NAME["CONTROL"].fields]
        with m.If(self._written("SEMAPHORE_SIGNAL")):
            m.d.comb += control.semaphore_signal.eq(data)
        with m.If(self._written("SEMAPHORE_TAKE")):
            m.d.comb += control.semaphore_take.eq(data)

    def _status(self, m):
        """What the sequencer says."""
        status = self.control.status
        engines = {engine: self._sampled(m, engine) for engine in Engine}
        located, awaited = self._shared(m, engines)
        values = {
            "STATUS": packed("STATUS", **{f.name: getattr(status, f.name) for f in BY_NAME["STATUS"].fields}),
            "ERROR_CAUSE": packed("ERROR_CAUSE", cause=status.cause, engine=status.engine),
            "ERROR_ADDRESS_LOW": located[:32],
            "ERROR_ADDRESS_HIGH": located[32:],
            "INSTRUCTION_READY": Const(0, 32),
        }
        values |= {f"SEMAPHORE_{i}": count for i, count in enumerate(self.control.semaphores)}
        for engine, shown in engines.items():
            values |= {
                f"{engine.name}_STATE": shown.state,
                f"{engine.name}_INSTRUCTION_LOW": located[:32],
                f"{engine.name}_INSTRUCTION_HIGH": located[32:],
                f"{engine.name}_AWAITED": Mux(shown.state == State.WAIT_SEMAPHORE, awaited, 0),
                f"{engine.name}_QUEUED": shown.queued,
                f"{engine.name}_RETIRED": shown.retired,
            }
        return values

    def _sampled(self, m, engine: Engine):
        """What engine ``engine`` was doing a cycle ago: the paths to here are long."""
        now, sampled = getattr(self.control, engine.name.lower()), EngineStatus().create(path=(engine.name.lower(),))
        for name in sampled.signature.members:
            m.d.sync += getattr(sampled, name).eq(getattr(now, name))
        return sampled

    def _shared(self, m, engines):
        """For the engine whose register is addressed: the external address of its instruction (of the erroneous one for any
        other register), and AWAITED while it waits: bit 31, the lowest semaphore at 0, and its count."""
        offset, blocked = Signal.like(self.control.status.offset), Signal(SEMAPHORES)
        with m.Switch(self.bus.request.payload.address[ENGINE_BITS:]):
            for engine, shown in engines.items():
                with m.Case((ENGINE_BASE >> ENGINE_BITS) + engine):
                    m.d.comb += [offset.eq(shown.offset), blocked.eq(shown.blocked)]
            with m.Default():
                m.d.comb += offset.eq(self.control.status.offset)
        located, lowest = Signal(64), Signal(range(SEMAPHORES))
        m.d.comb += located[: self.config.address_bits].eq(self.control.program_address + offset)
        with m.If(self.access):
            for i in reversed(range(SEMAPHORES)):
                with m.If(blocked[i]):
                    m.d.comb += lowest.eq(i)
        count = Array(self.control.semaphores)[lowest]
        return located, Cat(lowest, Const(0, 4), count, Const(0, 17), Const(1, 1))
