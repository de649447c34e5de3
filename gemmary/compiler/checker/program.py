"""The check of whole programs, and of single streams."""

from collections.abc import Sequence

from ...config import Config
from ...errors import GemmaryError
from ...isa import Engine
from ..program import Program
from ..strips import Strips
from ..tensor import Stack, Tensor
from ..weights import WeightTensor
from .accesses import accesses
from .external import External, Place, Use, transfers
from .finding import MOST, SENSE, Finding
from .inputs import Inputs
from .lines import Lines
from .memory import Checker
from .order import check_overflow, check_use, clocks, semaphores
from .stream import read_stream
from .within import check_blocks, check_within
from .work import Work


class CheckError(GemmaryError):
    """A stream is not legal; ``findings`` say why."""

    def __init__(self, findings: Sequence[Finding]):
        self.findings = tuple(findings)
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(f"{findings[0]}{more}")


def check_program(program: Program) -> list[Finding]:
    """What is wrong with a compiled program; nothing, for one that every machine executes with the same result. Indices count from the
    start of the run. It works from the encoded runs, and from what the program says lies where in external memory."""
    tensors = {name: t for name, t in program.tensors.items() if isinstance(t, Tensor | Stack | Strips)}
    places = _places(program)
    checker = StreamChecker(program.config, program.memory_bytes, places, tensors)
    findings: list[Finding] = []
    for number, layer in enumerate(program.layers):
        checker.external.see([place for place in places if _lives(program, place.name, number)])
        for run in layer.runs:
            findings += checker.check(run.code, layer.name)
            if findings:
                return findings[:MOST]
    checker.external.see(places)
    return checker.finish()


def _lives(program: Program, name: str, layer: int) -> bool:
    first, last = program.lives.get(name, (layer, layer))
    return first <= layer <= last


def check_stream(
    config: Config, code: bytes, memory_bytes: int | None = None, layers: Sequence[str] = ()
) -> list[Finding]:
    """What is illegal in one encoded stream, with ``memory_bytes`` of external memory of which nothing else is known. ``layers`` names
    the layer of each instruction. A legal stream may well be senseless: the rules SENSE are for programs."""
    size = 1 << config.address_bits if memory_bytes is None else memory_bytes
    return StreamChecker(config, size, None).check(code, layers)


def require_legal(program: Program) -> None:
    """CheckError unless the program is legal."""
    if findings := check_program(program):
        raise CheckError(findings)


class StreamChecker:
    """Takes the streams that one machine executes, one after the other."""

    def __init__(self, config: Config, memory_bytes: int, places: list[Place] | None, tensors=None):
        self.config = config
        self.sense = places is not None
        self.memory, self.lines = Checker(config, self.sense), Lines(config)
        self.external = External(config, memory_bytes, places)
        self.work = Work(config, self.external) if self.sense else None
        # With fewer columns than rows a word of a tensor may have channels that nobody needs.
        self.inputs = Inputs(config, self.external, tensors if tensors and config.rows == config.columns else {})

    def check(self, code: bytes, layers: Sequence[str] | str = ()) -> list[Finding]:
        """``layers`` is the name of the layer of each instruction, or of all."""
        stream = read_stream(code, layers)
        if isinstance(stream, Finding):
            return [stream]
        used = semaphores(stream)
        findings = [f for f in check_use(stream, used) if self.sense or f.rule not in SENSE][:MOST]
        if any(f.rule in ("blocked", "waiters") for f in findings):
            return findings  # what is ordered is not defined then
        clock = clocks(stream, used)
        findings += check_overflow(stream, used, clock, self.config)
        accessed, transferred = accesses(stream, self.config), transfers(stream)
        findings += check_blocks(stream, self.config.bus_bytes) + check_within(stream, accessed)
        self.memory.begin(stream, findings, self.work)
        self.external.begin(stream, transferred, findings)
        self.lines.begin(stream, findings)
        if self.work:
            self.work.begin(stream)
            self.inputs.begin(stream)
        for i in range(stream.size):
            if self.work and stream.engine[i] == Engine.LOAD:
                self.work.load(i, accessed[i][0].space)
            self.memory.take(i, clock[i], accessed[i])
            if transferred[i] is not None:
                self.external.take(i, clock[i], transferred[i], accessed[i][0].space)
            self.lines.take(i)
            if self.sense:
                self.inputs.take(i, accessed[i])
        if self.sense:
            self.memory.finish()
            self.inputs.end()
        return findings[:MOST]

    def finish(self) -> list[Finding]:
        """What only the end of a program shows."""
        findings = self.external.finish()
        return findings + (self.work.finish() + self.inputs.finish() if self.work else [])


def _places(program: Program) -> list[Place]:
    """Constants, inputs and results. All but packed images are transferred in whole granules."""
    bus, places, names = program.config.bus_bytes, [], {}
    for name, tensor in program.tensors.items():
        if names.setdefault((tensor.address, program.lives.get(name)), name) != name:
            continue  # another name of the same
        use = Use.SOURCE if name in program.inputs else Use.RESULT
        grain = bus if isinstance(tensor, Tensor | Stack | WeightTensor) else 1
        places.append(Place(name, tensor.address, tensor.size, use, grain=grain))
    for at, data in program.constants:
        whole = [
            place for place in places if place.address <= at < place.address + place.size and _filled(place, program)
        ]
        if whole:  # zeros that fill up a result
            whole[0].table("defined")[at - whole[0].address :][: len(data)] = True
        else:
            places.append(Place("a constant", at, len(data), Use.SOURCE, constant=True, grain=bus))
    return places


def _filled(place: Place, program: Program) -> bool:
    return getattr(program.tensors[place.name], "multiple", 1) > 1 if place.name in program.tensors else False
