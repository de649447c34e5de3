"""The sequencer between stub engines, a memory of programs and the register file: docs/isa-semantics.md, cycle by cycle."""

from collections import deque

import cocotb
import numpy as np

from gemmary.config import SEMAPHORE_MAX, SEMAPHORES
from gemmary.isa import ENGINE, FORMATS, INSTRUCTION_BYTES, MAX_COUNT, MAX_LENGTH, Cause, Engine, Instruction, Opcode
from gemmary.registers import COUNTERS, State
from hdl.control.layouts import FRONT
from hdl.control.sequencer import Sequencer
from hdl.interfaces import Done, Error, instruction_layout
from verif import bench
from verif.agents.illegal import harmless, illegal_programs
from verif.agents.pace import always, paces
from verif.agents.streams import Sink, Source, garbage
from verif.configs import TINY

CONFIG = TINY
OPCODES = {engine: opcode for opcode, engine in ENGINE.items()}
PROGRAM = 0x1FA0
"""Where programs lie: just below a page of 4 KiB."""
WATCHDOG = 150
PATIENCE = 20_000
STALLS = (State.BUSY, State.BUSY, State.STALL_MEMORY, State.STALL_HAZARD, State.STALL_WEIGHTS, State.STALL_BUS)


def test_sequencer(simulate):
    simulate(Sequencer(CONFIG), CONFIG.name)


def bits(mask: int) -> list[int]:
    return [i for i in range(SEMAPHORES) if mask >> i & 1]


class StubEngine:
    """Takes instructions at random, holds up to two, ends them in order after a random time.

    ``fail``: {offset: cause} of instructions that end in an error. After ``halt`` it takes nothing, and becomes quiet after
    a while, until ``clear``.
    """

    def __init__(self, dut, engine: Engine, rng: np.random.Generator):
        name = engine.name.lower()
        self.engine, self.rng, self.layout = engine, rng, instruction_layout(OPCODES[engine])
        self.valid, self.ready, self.payload = (getattr(dut, f"{name}__i__{p}") for p in ("valid", "ready", "payload"))
        self.out = {p: getattr(dut, f"{name}__{p}") for p in ("done", "error", "state", "offset", "quiet")}
        self.halt = getattr(dut, f"{name}__halt")
        self.longest = 40
        self.pace = paces(rng)
        self.clear()

    def clear(self) -> None:
        self.held: deque = deque()  # [fields, cycles left]
        self.fail: dict[int, Cause] = {}
        self.stopped, self.drain = False, 0

    def begin(self) -> None:
        """Drives the cycle that begins."""
        rng, held = self.rng, self.held
        self.goes = len(held) < 2 and not self.stopped and next(self.pace)
        ends = bool(held) and held[0][1] == 0 and not self.stopped
        first = held[0][0] if held else None
        self.failed = ends and self.fail.get(first["offset"])
        self.ends = ends and not self.failed
        if not held:
            self.state = State.IDLE
        elif held[0][1] < 3 and len(held) == 1:
            self.state = State.DRAIN
        else:
            self.state = STALLS[int(rng.integers(len(STALLS)))]
        self.quiet = self.engine in (Engine.TENSOR, Engine.VECTOR) or not held or (self.stopped and self.drain == 0)
        self.offset = first["offset"] if held else int(rng.integers(1 << 24))
        signal, cause = (first["signal"], self.failed or 0) if ends else (garbage(16), garbage(8))
        done = {"valid": self.ends, "signal": signal, "offset": self.offset}
        error = {"valid": bool(self.failed), "cause": cause, "offset": self.offset}
        self.ready.value = self.goes
        values = {"done": bench.pack(Done, done), "error": bench.pack(Error, error)}
        for part, value in (values | {"state": self.state, "offset": self.offset, "quiet": self.quiet}).items():
            self.out[part].value = value

    def end(self) -> tuple[int | None, dict | None]:
        """What was offered (its bits) and taken in the cycle that just ended."""
        offered = int(self.payload.value) if self.valid.value == 1 else None
        if self.held and self.held[0][1]:
            self.held[0][1] -= 1
        if self.ends:
            self.held.popleft()
        self.drain = max(0, self.drain - 1)
        taken = None
        if offered is not None and self.goes:
            taken = bench.unpack(self.layout, offered)
            self.held.append([taken, int(self.rng.integers(self.longest))])
        if not self.stopped and (self.failed or self.halt.value == 1):
            self.stopped, self.drain = True, int(self.rng.integers(40))
        return offered, taken


class Lane:
    """What one engine is to get: its instructions in program order."""

    def __init__(self):
        self.expected: list[tuple[Instruction, int]] = []
        self.offered = self.taken = self.ended = 0


class Bench:
    """Steps the sequencer; in every cycle everything it shows is checked against the counts and lanes here."""

    def __init__(self, dut, edge):
        self.dut, self.edge, self.rng = dut, edge, bench.rng()
        self.component = Sequencer(CONFIG)
        self.stubs = {engine: StubEngine(dut, engine, bench.rng(1, engine)) for engine in Engine}
        bus = self.component.bus
        self.requests = Sink(dut, "bus__request", bus.request.payload.shape(), edge, bench.rng(2))
        self.latency: deque = deque()
        self.beats = Source(dut, "bus__response", bus.response.payload.shape(), edge, bench.rng(3))
        self.memory: dict[int, bytes] = {}
        self.bad_beats: set[int] = set()
        self.counts = [0] * SEMAPHORES
        self.lanes = {engine: Lane() for engine in Engine}
        self.unclaimed: list[int] = []
        self.sent = self.cycle = self.begun = self.dispatched = self.halted = self.moved = 0
        self.span = range(0)
        self.seen: set = set()
        self.events: list[str] = []
        self.program = b""
        dut.control__counter_index.value = [name for name, _ in COUNTERS].index("INSTRUCTIONS")

    def control(self, name: str):
        return getattr(self.dut, f"control__{name}")

    def status(self, name: str) -> int:
        return int(self.control(f"status__{name}").value)

    async def step(self, signal: int = 0) -> None:
        """One cycle, in which the host raises the semaphores of ``signal``."""
        for stub in self.stubs.values():
            stub.begin()
        self._serve()
        self.control("semaphore_signal").value = signal
        await self.edge
        self.cycle += 1
        was = {engine: (stub.state, stub.offset) for engine, stub in self.stubs.items()}
        quiet = all(stub.quiet for stub in self.stubs.values()) and not self.outstanding
        done = [stub.held[0][0]["signal"] for stub in self.stubs.values() if stub.ends]
        moves = [self._lane(engine, stub) for engine, stub in self.stubs.items()]
        self._count(signal, done)
        for engine, (offered, taken) in zip(self.stubs, moves):
            self._issue(engine, offered, taken)
            self._observe(engine, *was[engine], offered)
        self.begun += int(self.dut.begin.value)
        if (dispatched := int(self.control("counter").value)) != self.dispatched:
            self.dispatched, self.moved = dispatched, self.cycle
        self.events += [name for name in ("done", "error") if self.status(f"{name}_event")]
        clear = int(self.dut.clear.value)
        assert int(self.control("clear").value) == clear
        if clear:
            assert quiet, "soft reset ended while something was outstanding"
            self.counts, self.unclaimed = [0] * SEMAPHORES, []
            self.lanes = {engine: Lane() for engine in Engine}
            for stub in self.stubs.values():
                stub.clear()

    # The memory that programs are in.

    @property
    def outstanding(self) -> int:
        return len(self.latency) + len(self.beats.items) + len(self.requests.items)

    def _serve(self) -> None:
        """Requests wait for a while; their beats follow in order. What has moved goes to ``traffic``."""
        width = CONFIG.bus_bytes
        for request in self.requests.items:
            first, beats = request["address"], request["beats"]
            places = range(first, first + beats * width, width)
            assert beats and first % width == 0 and first >> 12 == places[-1] >> 12, f"bad burst {request}"
            assert first in self.span and places[-1] in self.span, f"burst {request} outside the program"
            self.latency.append((self.cycle + int(self.rng.integers(1, 30)), places))
        self.requests.items.clear()
        while self.latency and self.latency[0][0] <= self.cycle:
            places = self.latency.popleft()[1]
            for place in places:
                at = place - self.span.start
                data = int.from_bytes(self.program[at : at + width], "little")
                self.beats.send({"data": data, "error": at in self.bad_beats, "last": place == places[-1]})
        moved = self.beats.sent != self.sent
        self.sent = self.beats.sent
        self.dut.traffic.value = int(moved)
        if moved or any(stub.state == State.BUSY for stub in self.stubs.values()):
            self.moved = self.cycle

    # Checks.

    def _lane(self, engine: Engine, stub: StubEngine):
        self.lanes[engine].ended += stub.ends
        return stub.end()

    def _count(self, signal: int, done: list[int]) -> None:
        """The counts fall only by the mask of a claim, and only where they were above 0."""
        counts = [int(self.control(f"semaphores__{i}").value) for i in range(SEMAPHORES)]
        fallen = [want - got for want, got in zip(self.counts, counts)]
        assert set(fallen) <= {0, 1}, f"counts {counts} instead of {self.counts}"
        if mask := sum(bit << i for i, bit in enumerate(fallen)):
            assert all(self.before[i] for i in bits(mask)), f"{mask:#x} taken from counts {self.before}"
            assert self.halted < 2, "semaphores taken after a halt"
            self.unclaimed.append(mask)
        self.before, self.zero = counts, sum(1 << i for i, count in enumerate(counts) if not count)
        self.counts = [
            min(SEMAPHORE_MAX, count + sum(m >> i & 1 for m in (signal, *done))) for i, count in enumerate(counts)
        ]
        self.halted = self.halted + 1 if self.dut.load__halt.value == 1 else 0

    def _issue(self, engine: Engine, offered: int | None, taken: dict | None) -> None:
        """Each instruction once, in order, with all its fields, when its semaphores have been taken."""
        lane = self.lanes[engine]
        if offered is not None:
            assert lane.taken < len(lane.expected), f"{engine.name} got more than the program holds"
            word, offset = lane.expected[lane.taken]
            layout = self.stubs[engine].layout
            want = {name: getattr(word, name) for name, _ in layout if name != "offset"} | {"offset": offset}
            assert offered == bench.pack(layout, want), f"{engine.name}: {bench.unpack(layout, offered)} is not {want}"
            if lane.offered == lane.taken:
                lane.offered += 1
                if word.wait:
                    assert word.wait in self.unclaimed, (
                        f"{word} at {offset} was issued before its semaphores were taken"
                    )
                    self.unclaimed.remove(word.wait)
        else:
            assert lane.offered == lane.taken, f"{engine.name}: an instruction was withdrawn"
        lane.taken += taken is not None

    def _observe(self, engine: Engine, state: State, offset: int, offered: int | None) -> None:
        """State, offset and queue level of an engine as the host sees them."""
        lane, name = self.lanes[engine], engine.name.lower()
        queued, blocked = int(self.control(f"{name}__queued").value), int(self.control(f"{name}__blocked").value)
        assert queued <= CONFIG.queue_depth
        assert queued <= len(lane.expected) - lane.taken + (offered is not None)
        self.seen |= {(engine, "full")} if queued == CONFIG.queue_depth else set()
        shown, at = State(int(self.control(f"{name}__state").value)), int(self.control(f"{name}__offset").value)
        spare = state in (State.IDLE, State.DRAIN)
        if queued and offered is None:
            assert lane.taken < len(lane.expected)
            head, place = lane.expected[lane.taken]
            if spare:
                assert (shown, at, blocked) == (State.WAIT_SEMAPHORE, place, head.wait & self.zero)
                self.seen |= {(engine, "waits")} if blocked else set()
        else:
            assert shown == state, f"{engine.name} is {state.name}, not {shown.name}"
        assert shown == State.WAIT_SEMAPHORE or not blocked
        if shown not in (State.IDLE, State.WAIT_SEMAPHORE):
            assert at == offset

    # Programs.

    async def run(self, program: list[Instruction], limit: int = WATCHDOG, rest: bytes = b""):
        """Runs a program, and illegal bytes behind it, to its end; (cause, engine, offset) if it was stopped."""
        self.launch(program, limit, rest)
        await self.step()
        self.control("start").value = 0
        # The registers may change while the program runs, and another start means nothing.
        await self.step()
        self.control("program_address").value = garbage(64)
        self.control("program_length").value = garbage(32)
        for _ in range(PATIENCE):
            if self.events:
                break
            self.control("start").value = int(self.rng.random() < 0.02)
            await self.step()
        self.control("start").value = 0
        assert self.begun == 1, f"{self.begun} programs began"
        event = self.events.copy()
        assert len(event) == 1, f"events {event} instead of one, after {self.cycle} cycles"
        if event == ["error"]:
            assert self.status("error") and not self.status("done")
            return Cause(self.status("cause")), self.status("engine"), self.status("offset")
        self.finished()
        return None

    def launch(self, program: list[Instruction], limit: int, rest: bytes = b"") -> None:
        self.program = b"".join(word.encode() for word in program) + rest
        self.span = range(PROGRAM, PROGRAM + len(self.program))
        self.lanes = {engine: Lane() for engine in Engine}
        for i, word in enumerate(program):
            self.lanes[word.engine].expected.append((word, i * INSTRUCTION_BYTES))
        self.begun, self.events = 0, []
        for name, value in (("program_address", PROGRAM), ("program_length", len(self.program)), ("start", 1)):
            self.control(name).value = value
        self.control("watchdog_limit").value = limit

    def finished(self) -> None:
        """The program has ended well: everything was done, and nothing is left."""
        assert self.status("done") and not self.status("busy") and not self.status("error")
        assert not self.unclaimed, "semaphores were taken for nothing"
        for engine, lane in self.lanes.items():
            assert lane.ended == lane.taken == len(lane.expected), f"{engine.name}: the program ended too soon"
            assert int(self.control(f"{engine.name.lower()}__retired").value) == lane.ended
            assert int(self.control(f"{engine.name.lower()}__queued").value) == 0
        total = sum(len(lane.expected) for lane in self.lanes.values())
        assert int(self.control("counter").value) == total

    async def soft_reset(self) -> None:
        """Resets; all is as after power-up, except what was never reset."""
        self.control("soft_reset").value = 1
        await self.step()
        self.control("soft_reset").value = 0
        for _ in range(1000):
            if self.dut.clear.value == 1:
                break
            await self.step()
        else:
            raise AssertionError("soft reset does not end")
        await self.step()
        for flag in ("busy", "done", "error", "resetting"):
            assert not self.status(flag), f"{flag} after a soft reset"
        assert not self.halted
        assert self.before == [0] * SEMAPHORES
        for engine in Engine:
            assert int(self.control(f"{engine.name.lower()}__queued").value) == 0


def random_fields(opcode: Opcode, rng: np.random.Generator) -> dict[str, int]:
    """Any legal values; every bit of a field has its turn."""
    values = {}
    for field in FORMATS[opcode].fields:
        if field.kind == "reserved" or field.name in ("opcode", "version", "wait", "signal"):
            continue
        if field.kind in ("dtype", "code"):
            values[field.name] = int(rng.choice(field.allowed))
        elif field.kind in ("count", "length"):
            most = MAX_COUNT if field.kind == "count" else MAX_LENGTH
            values[field.name] = int(rng.choice([1, most, rng.integers(1, most, endpoint=True)]))
        else:
            value = int.from_bytes(rng.bytes(8), "little") & (1 << field.width) - 1
            values[field.name] = value - (1 << field.width - 1) if field.signed else value
    return values


def random_program(rng: np.random.Generator, size: int, counts: list[int]) -> list[Instruction]:
    """Random instructions. In program order nothing waits for ever, and each semaphore is awaited by one engine only, so
    nothing does in any other order. ``counts`` goes from the counts before to those after."""
    program = []
    for _ in range(size):
        opcode = Opcode(rng.choice(list(Opcode)))
        own = [i for i in range(SEMAPHORES) if i % 4 == ENGINE[opcode] and counts[i]]
        wait = sum(1 << i for i in own if rng.random() < 0.6)
        signal = sum(1 << int(i) for i in set(rng.integers(SEMAPHORES, size=int(rng.integers(3))).tolist()))
        program.append(Instruction(opcode, **random_fields(opcode, rng), wait=wait, signal=signal))
        for i in range(SEMAPHORES):
            counts[i] += (signal >> i & 1) - (wait >> i & 1)
    return program


async def power_up(dut) -> Bench:
    edge = await bench.start(dut, Sequencer(CONFIG))
    return Bench(dut, edge)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def programs_run_in_order(dut):
    """Random programs with slow and fast engines; semaphores pass from one program to the next, and the host raises some."""
    bench_ = await power_up(dut)
    rng, counts = bench.rng(9), [0] * SEMAPHORES
    for size, longest, pace in ((1, 4, paces(rng)), (32, 800, always()), (40, 20, paces(rng)), (70, 100, always())):
        bench_.beats.pace = pace
        for stub in bench_.stubs.values():
            stub.longest = longest
        mask = int(rng.integers(1 << SEMAPHORES))
        await bench_.step(mask)
        counts = [count + (mask >> i & 1) for i, count in enumerate(counts)]
        program = random_program(rng, size, counts)
        assert await bench_.run(program, limit=6000) is None
        await bench_.step()
        assert bench_.before == counts
    assert bench_.seen >= {(engine, "waits") for engine in Engine}
    assert any(what == "full" for _, what in bench_.seen), "no queue was ever full"


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def faulty_programs_are_stopped(dut):
    """Illegal instructions while others wait for ever, bad beats, and engines that fail. Then a soft reset and a good run."""
    bench_ = await power_up(dut)
    rng = bench.rng(9)
    cases = {case.cause: case for case in illegal_programs(CONFIG) if case.engine is None}
    for case in cases.values():
        # The first instruction never starts: what is wrong behind it is reported all the same.
        legal, rest = [], case.program
        if case.cause != Cause.PROGRAM:
            legal, rest = [harmless(Opcode.LOAD, wait=1)], rest[INSTRUCTION_BYTES:]
        assert await bench_.run(legal, rest=rest) == (case.cause, FRONT, case.offset), case.name
        await bench_.soft_reset()
    good = [harmless(opcode) for opcode in Opcode]
    bench_.bad_beats = {2 * INSTRUCTION_BYTES + 8}
    assert await bench_.run(good) == (Cause.BUS_READ, FRONT, 2 * INSTRUCTION_BYTES)
    bench_.bad_beats = set()
    await bench_.soft_reset()
    for engine in Engine:
        program = random_program(rng, 16, [0] * SEMAPHORES)
        chosen = next(i for i, word in enumerate(program) if word.engine == engine)
        others = [i for i, word in enumerate(program) if word.engine != engine and i > chosen]
        bench_.stubs[engine].fail = {chosen * INSTRUCTION_BYTES: Cause.ADDRESS}
        # Those fail too, in the same or some other cycle: one of the two is reported, and stays.
        late = others[-1]
        bench_.stubs[program[late].engine].fail = {late * INSTRUCTION_BYTES: Cause.BUS_READ}
        found = await bench_.run(program, limit=1000)
        first = Cause.ADDRESS, engine, chosen * INSTRUCTION_BYTES
        assert found in (first, (Cause.BUS_READ, program[late].engine, late * INSTRUCTION_BYTES))
        for _ in range(20):
            await bench_.step()
        assert all(int(stub.halt.value) for stub in bench_.stubs.values())
        assert (bench_.status("cause"), bench_.status("engine"), bench_.status("offset")) == found
        await bench_.soft_reset()
    assert await bench_.run(random_program(rng, 8, [0] * SEMAPHORES), limit=1000) is None


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def semaphores_overflow_and_hang(dut):
    """Signals past the largest count, by engines and host; waits that nobody ends; soft resets of programs that still run."""
    bench_ = await power_up(dut)
    rng = bench.rng(9)
    for engine in Engine:
        index = int(rng.integers(SEMAPHORES))
        for _ in range(SEMAPHORE_MAX - 1):
            await bench_.step(1 << index)
        signals = harmless(OPCODES[engine], signal=1 << index)
        found = await bench_.run([harmless(Opcode.LOAD), signals, signals, signals])
        assert found == (Cause.SEMAPHORE_OVERFLOW, engine, 2 * INSTRUCTION_BYTES)
        await bench_.soft_reset()
    for engine in Engine:
        wait = harmless(OPCODES[engine], wait=0b11 << 7)
        await bench_.step(1 << 8)
        found = await bench_.run([harmless(OPCODES[engine], signal=1 << 8), *[wait] * 3])
        assert found == (Cause.WATCHDOG, engine, INSTRUCTION_BYTES)
        assert WATCHDOG <= bench_.cycle - bench_.moved <= WATCHDOG + 6
        await bench_.soft_reset()
    for wait in rng.integers(2, 300, 4).tolist():
        for stub in bench_.stubs.values():
            stub.longest = 100
        bench_.launch(random_program(rng, 40, [0] * SEMAPHORES), 0)
        await bench_.step()
        bench_.control("start").value = 0
        for _ in range(wait):
            await bench_.step()
        assert bench_.status("busy")
        await bench_.soft_reset()
        assert await bench_.run([harmless(opcode, signal=1) for opcode in Opcode]) is None
    for _ in range(SEMAPHORE_MAX):
        await bench_.step(1 << 3)
    assert bench_.events == ["done"]
    await bench_.step(1 << 3)
    await bench_.step()
    await bench_.step()
    assert bench_.events == ["done", "error"]
    assert (bench_.status("cause"), bench_.status("engine")) == (Cause.SEMAPHORE_OVERFLOW, FRONT)
