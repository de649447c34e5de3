"""A whole model, compiled: programs for the device, and operators that the host runs between them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from xdsl.ir import Operation, SSAValue

from ...config import Config
from ...errors import InputError
from ..assemble import lower
from ..ir.model import Model
from ..ir.shapes import Reshape
from ..program import Layer, Program
from .names import names_of
from .partition import Segment, fallbacks, reason_on_host
from .tile import tile_model
from .work import macs_of, moved_bytes


@dataclass(frozen=True, eq=False)
class Step:
    """A segment of the model; ``program`` is None where the host runs it. ``names`` are those of the segment's inputs and
    outputs, as the program calls them."""

    segment: Segment
    program: Program | None

    @property
    def layers(self) -> list[tuple[Layer, list[Operation]]]:
        """The layers of the program, each with the operators that it computes; reshapes are in none."""
        ops = iter(op for op in self.segment.ops if not isinstance(op, Reshape))
        return [(layer, list(islice(ops, layer.operators))) for layer in self.program.layers]


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
    model: Model,
    config: Config,
    *,
    strict: bool = False,
    fuse: bool = True,
    progress: Callable[[str], None] = lambda name: None,
) -> Compiled:
    """Programs for all that the machine can do; the model's passes have run. ``progress`` hears of each program's operators. With
    ``fuse`` segments whose tensors fit the chip are one chain, else every operator goes through external memory.

    InputError, with ``strict``, for an operator that would run on the host; and for a model that needs more memory than
    addresses reach.
    """
    names = names_of(model)
    made = tile_model(model, config, names, progress, fuse)
    encoded = iter(lower(model.context, config, [program for _, program in made if program is not None]))
    steps = [Step(segment, None if program is None else next(encoded)) for segment, program in made]
    compiled = Compiled(model, config, tuple(steps), names)
    if strict and compiled.warnings:
        raise InputError(f"{compiled.warnings[0]} (--strict forbids it)")
    if compiled.memory_bytes > 1 << config.address_bits:
        raise InputError(
            f"the model needs {compiled.memory_bytes} bytes of memory, addresses of config {config.name!r} reach "
            f"{1 << config.address_bits}"
        )
    return compiled


def label(op: Operation) -> str:
    """What an operator does, for people."""
    kind, pool = getattr(op, "kind", None), getattr(op, "pool", None)
    name = kind.data if kind is not None else op.name.removeprefix("graph.")
    return name if pool is None else f"{name} + max_pool"


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
