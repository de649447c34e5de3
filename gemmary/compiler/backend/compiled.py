"""A whole model, compiled: programs for the device, and operators that the host runs between them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from xdsl.ir import Operation, SSAValue

from ...config import Config
from ...errors import InputError
from ..ir.model import Model
from ..program import Program
from .generate import Generator, Unsupported
from .partition import Segment, fallbacks, keep_on_host, reason_on_host, segments
from .work import macs_of, moved_bytes


@dataclass(frozen=True, eq=False)
class Step:
    """A segment of the model; ``program`` is None where the host runs it. ``names`` are those of the segment's inputs and
    outputs, as the program calls them."""

    segment: Segment
    program: Program | None


@dataclass(frozen=True, eq=False)
class Compiled:
    """``model`` in its lowered form, as ``steps`` in order. ``names`` has a unique name for every value: for what an operator
    of the model computes, that operator's."""

    model: Model
    config: Config
    steps: tuple[Step, ...]
    names: dict[SSAValue, str]

    @property
    def memory_bytes(self) -> int:
        """External memory that a device needs."""
        return max((step.program.memory_bytes for step in self.steps if step.program), default=0)

    @cached_property
    def fallbacks(self) -> list[Operation]:
        """Operators on the host that the device should have done."""
        return fallbacks(self.model, {op for step in self.steps if step.program for op in step.segment.ops})

    @property
    def warnings(self) -> list[str]:
        """What runs on the host, why, and what it costs: a sentence for the fallbacks of one kind and reason."""
        groups: dict[tuple[str, str | None], list[Operation]] = {}
        for op in self.fallbacks:
            groups.setdefault((label(op), reason_on_host(op)), []).append(op)
        return [_warning(ops) for ops in groups.values()]


def compile_model(
    model: Model, config: Config, *, strict: bool = False, progress: Callable[[str], None] = lambda name: None
) -> Compiled:
    """Programs for all that the machine can do; the model's passes have run. ``progress`` hears of each program's operators.

    InputError, with ``strict``, for an operator that would run on the host; and for a model that needs more memory than
    addresses reach.
    """
    names = names_of(model)
    steps, failed, known = [], True, {}
    while failed:  # an operator that the code generator refuses stays on the host: the segments are other ones then
        failed, steps = False, []
        for segment in segments(model):
            program = None
            operands = segment.ops, names, segment.inputs, segment.outputs
            key = segment.ops, segment.inputs, segment.outputs
            if segment.on_device and key in known:
                program = known[key]
            elif segment.on_device:
                progress(", ".join(names[op.results[0]] for op in segment.ops))
                try:
                    program = known[key] = Generator(config, model.context, *operands).program()
                except Unsupported as error:
                    keep_on_host(error.op, str(error))
                    failed = True
                    break
            steps.append(Step(segment, program))
    compiled = Compiled(model, config, tuple(steps), names)
    if strict and compiled.warnings:
        raise InputError(f"{compiled.warnings[0]} (--strict forbids it)")
    if compiled.memory_bytes > 1 << config.address_bits:
        raise InputError(
            f"the model needs {compiled.memory_bytes} bytes of memory, addresses of config {config.name!r} reach "
            f"{1 << config.address_bits}"
        )
    return compiled


def names_of(model: Model) -> dict[SSAValue, str]:
    """A unique name for every value: that of the input, or of the operator of the model that it comes from."""
    names, taken = {}, set()

    def give(value: SSAValue, name: str) -> None:
        unique, i = name, 1
        while unique in taken:
            unique, i = f"{name}:{i}", i + 1
        names[value] = unique
        taken.add(unique)

    for name, value in model.inputs.items():
        give(value, name)
    for op in model.operations:
        for value in op.results:
            give(value, op.source or op.name.removeprefix("graph."))
    return names


def label(op: Operation) -> str:
    """What an operator does, for people."""
    kind = getattr(op, "kind", None)
    return kind.data if kind is not None else op.name.removeprefix("graph.")


NAMED = 3
"""Operators of a warning that it names, at most."""


def _warning(ops: list[Operation]) -> str:
    macs = sum(map(macs_of, ops))
    cost = f"{macs:,} multiply-accumulates and " if macs else ""
    names = ", ".join(repr(op.source) for op in ops[:NAMED])
    if len(ops) > NAMED:
        names += f" and {len(ops) - NAMED} more"
    what = f"operator {names}" if len(ops) == 1 else f"operators {names}"
    return (
        f"{what} ({label(ops[0])}) {'runs' if len(ops) == 1 else 'run'} on the host: "
        f"{reason_on_host(ops[0]) or 'it was not compiled'}; {cost}{sum(map(moved_bytes, ops)):,} bytes"
    )
