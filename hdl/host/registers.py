"""The registers, generated from `gemmary.registers`."""

from collections import defaultdict

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gemmary import registers
from gemmary.config import SEMAPHORES, Config
from gemmary.isa import Engine
from gemmary.registers import COUNTERS, ENGINE_BASE, ENGINE_SIZE, REGISTERS, SEMAPHORE_BASE, State

from ..control.layouts import ControlSignature, EngineStatus
from ..interfaces import RegisterBus

BY_NAME = {register.name: register for register in REGISTERS}
ENGINE_BITS = ENGINE_SIZE.bit_length() - 1
BLOCK_BITS = ENGINE_BITS - 2
"""Of the place of a register in its block: a block is as long as the registers of an engine."""

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


def blocks(values: dict[str, Value]) -> dict[tuple, list[int]]:
    """Registers by the upper part of their address, for `RegisterFile._answer`: what a block shows, as (places, name of one register there, ""
    for one that reads as 0), and the numbers of the blocks that show it. Registers with the same object as their value are shown as one."""
    of_number = defaultdict(lambda: defaultdict(list))
    names = {}
    for register in REGISTERS:
        number, place = divmod(register.address >> 2, 1 << BLOCK_BITS)
        name = "" if register.access == "wo" else names.setdefault(id(values[register.name]), register.name)
        of_number[number][name].append(place)
    found = defaultdict(list)
    for number, shown in of_number.items():
        found[tuple((tuple(places), name) for name, places in shown.items())].append(number)
    return found


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
        m.d.comb += self.control.counter_index.eq(request.payload.address[2:])
        self._commands(m)
        with m.If(self.access):
            self._answer(m, values)
        return m

    def _answer(self, m, values):
        """The read mux, block by block; ``values`` holds every register that can be read."""
        request, payload = self.bus.request.payload, self.bus.response.payload
        place, number = request.address[2 : 2 + BLOCK_BITS], request.address[2 + BLOCK_BITS :]
        answer, known = Signal(32), Signal()
        with m.Switch(number):
            for shown, numbers in blocks(values).items():
                of_block, there = Signal(32, name=f"block_{numbers[0]}"), Signal(name=f"block_{numbers[0]}_there")
                with m.Case(*numbers):
                    with m.Switch(place):
                        for places, name in shown:
                            with m.Case(*places):
                                m.d.comb += [of_block.eq(values[name] if name else 0), there.eq(1)]
                    m.d.comb += [answer.eq(of_block), known.eq(there)]
        refused = request.write & (request.address[2:] == BY_NAME["INSTRUCTION"].address >> 2)
        m.d.sync += [payload.data.eq(answer), payload.error.eq(~known | refused)]
        with m.If(request.write):
            m.d.sync += payload.data.eq(0)

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
            for i, strobe in enumerate(self.bus.request.payload.strobe[: -(-width // 8)]):
                with m.If(self._written(register.name) & strobe):
                    m.d.sync += setting[8 * i : 8 * i + 8].eq(self.bus.request.payload.data[8 * i :])
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
        """What the sequencer says. Every engine's register is that of the engine addressed, every semaphore that of the one addressed."""
        status, request = self.control.status, self.bus.request.payload
        shown = EngineStatus().create(path=("shown",))
        with m.Switch(request.address[ENGINE_BITS:]):
            for engine in Engine:
                sampled = self._sampled(m, engine)
                with m.Case((ENGINE_BASE >> ENGINE_BITS) + engine):
                    m.d.comb += [getattr(shown, name).eq(getattr(sampled, name)) for name in shown.signature.members]
            with m.Default():  # the address of the error
                m.d.comb += shown.offset.eq(status.offset)
        located = Signal(64)
        m.d.comb += located[: self.config.address_bits].eq(self.control.program_address + shown.offset)
        semaphore, count = self._semaphore(m, shown.blocked)
        awaited = Cat(semaphore, Const(0, 8 - len(semaphore)), count, Const(0, 23 - len(count)), Const(1, 1))
        values = {
            "STATUS": packed("STATUS", **{f.name: getattr(status, f.name) for f in BY_NAME["STATUS"].fields}),
            "ERROR_CAUSE": packed("ERROR_CAUSE", cause=status.cause, engine=status.engine),
            "ERROR_ADDRESS_LOW": located[:32],
            "ERROR_ADDRESS_HIGH": located[32:],
            "INSTRUCTION_READY": Const(0, 32),
        }
        of_engine = {
            "STATE": shown.state,
            "INSTRUCTION_LOW": values["ERROR_ADDRESS_LOW"],
            "INSTRUCTION_HIGH": values["ERROR_ADDRESS_HIGH"],
            "AWAITED": Mux(shown.state == State.WAIT_SEMAPHORE, awaited, 0),
            "QUEUED": shown.queued,
            "RETIRED": shown.retired,
        }
        values |= {f"{engine.name}_{name}": value for engine in Engine for name, value in of_engine.items()}
        values |= {f"SEMAPHORE_{i}": count for i in range(SEMAPHORES)}
        return values | {f"COUNT_{name}": self.control.counter for name, _ in COUNTERS}

    def _sampled(self, m, engine: Engine):
        """What engine ``engine`` was doing a cycle ago: the paths to here are long."""
        now, sampled = getattr(self.control, engine.name.lower()), EngineStatus().create(path=(engine.name.lower(),))
        for name in sampled.signature.members:
            m.d.sync += getattr(sampled, name).eq(getattr(now, name))
        return sampled

    def _semaphore(self, m, blocked):
        """Number and count of the semaphore addressed, or of the lowest one ``blocked`` when an engine is."""
        address, number = self.bus.request.payload.address, Signal(range(SEMAPHORES))
        with m.If(address[ENGINE_BITS:] == SEMAPHORE_BASE >> ENGINE_BITS):
            m.d.comb += number.eq(address[2:])
        with m.Else():
            for i in reversed(range(SEMAPHORES)):
                with m.If(blocked[i]):
                    m.d.comb += number.eq(i)
        return number, Array(self.control.semaphores)[number]
