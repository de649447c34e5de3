"""What passes between the parts of the control: layouts and Signatures inside `hdl/control` and to the register file."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import SEMAPHORE_MAX, SEMAPHORES, Config
from gemmary.isa import ENGINE, INSTRUCTION_BYTES, Engine, Opcode
from gemmary.registers import COUNTERS, State

from ..interfaces import OFFSET_BITS

FRONT = 15
"""Engine number of errors that no engine made: fetch, dispatch, host (register ERROR_CAUSE)."""


def opcodes() -> dict[Engine, Opcode]:
    """The engines, in order, each with its opcode."""
    of_engine = {engine: opcode for opcode, engine in ENGINE.items()}
    return {engine: of_engine[engine] for engine in Engine}


class InstructionWord(data.Struct):
    """An encoded instruction and its byte offset in the program."""

    word: 8 * INSTRUCTION_BYTES
    offset: OFFSET_BITS


class Fault(data.Struct):
    """An Error with the number of the engine (FRONT for none)."""

    valid: 1
    cause: 8
    engine: 4
    offset: OFFSET_BITS


class EngineStatus(wiring.Signature):
    """One engine as the host sees it. ``blocked``: the semaphores at 0 that the head of the queue waits for."""

    def __init__(self):
        super().__init__(
            {
                "state": Out(State),
                "offset": Out(OFFSET_BITS),
                "blocked": Out(SEMAPHORES),
                "queued": Out(7),
                "retired": Out(32),
            }
        )


class Status(wiring.Signature):
    """Registers STATUS, ERROR_CAUSE and ERROR_ADDRESS; ``done_event`` and ``error_event`` last one cycle."""

    def __init__(self):
        flags = ("busy", "done", "error", "quiet", "resetting", "done_event", "error_event")
        super().__init__(
            {flag: Out(1) for flag in flags} | {"cause": Out(8), "engine": Out(4), "offset": Out(OFFSET_BITS)}
        )


class TakeSignature(wiring.Signature):
    """A claim on the semaphores of ``mask``, seen from the claimant: ``grant`` in the cycle in which all are lowered."""

    def __init__(self):
        super().__init__({"valid": Out(1), "mask": Out(SEMAPHORES), "grant": In(1)})


def traffic_layout(config: Config) -> data.StructLayout:
    """What moves on the memory bus in a cycle: a read beat, the strobes of a write beat, a write response."""
    return data.StructLayout({"read": 1, "write": 1, "strobe": config.bus_bytes, "response": 1})


class ControlSignature(wiring.Signature):
    """Between the register file, from whose side it is seen, and the sequencer.

    ``start``, ``soft_reset``, ``semaphore_signal`` and ``semaphore_take`` act in the cycle in which they are set. ``counter`` is the value of counter ``counter_index`` in the same cycle. ``clear``: the last cycle
    of a soft reset.
    """

    def __init__(self, config: Config):
        super().__init__(
            {
                "start": Out(1),
                "soft_reset": Out(1),
                "program_address": Out(64),
                "program_length": Out(32),
                "watchdog_limit": Out(32),
                "semaphore_signal": Out(SEMAPHORES),
                "semaphore_take": Out(SEMAPHORES),
                "counter_index": Out(range(len(COUNTERS))),
                "counter": In(32),
                "status": In(Status()),
                **{engine.name.lower(): In(EngineStatus()) for engine in Engine},
                "semaphores": In(range(SEMAPHORE_MAX + 1)).array(SEMAPHORES),
                "clear": In(1),
            }
        )
