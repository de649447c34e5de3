"""What becomes of a model: for every operator its engine, predicted cycles, bytes, and why it runs on the host if it does."""

from collections.abc import Mapping
from math import prod

from xdsl.ir import Operation

from ...isa import Opcode, decode_program
from ..planning import Life, aligned, bound
from ..program import Layer, Program
from .compiled import Compiled, label
from .partition import TENSOR, reason_on_host
from .work import macs_of, moved_bytes


def explain(compiled: Compiled, errors: Mapping[str, float] | None = None) -> dict:
    """``operators`` in the order in which they run, and ``totals``.

    ``engine`` of an operator is tensor (with the vector engine as its drain), vector, host, or none (nothing is to be done);
    ``cycles`` are those that the cycle model predicts, 0 on the host; ``bytes`` go through external memory, on the host through
    NumPy. ``tensor_bytes`` is the most that the tensors of a program take, with places shared, and ``tensor_bytes_bound`` what no plan
    could do without. ``fallback`` says why what computes something is on the host; ``fused`` names the chain that an operator is
    computed in, overlapping with the others: cycles and bytes of all are then those of its last. ``location`` is the line of the model's program, where
    known. ``errors`` (of ``signal_to_noise``) adds ``sqnr_db``.
    """
    rows, locations = [], compiled.model.locations
    for step in compiled.steps:
        layers = {op: (layer, ops) for layer, ops in step.layers for op in ops} if step.program else {}
        for op in step.segment.ops:
            layer, ops = layers.get(op, (None, []))
            rows.append(_row(compiled, op, step.program is not None, layer, last=op is ops[-1] if ops else False))
            rows[-1]["fused"] = layer.name if layer and len(ops) > 1 else None
            rows[-1]["location"] = locations.get(op.source)
            if errors is not None:
                rows[-1]["sqnr_db"] = errors.get(compiled.names[op.results[0]])
    planned = [_planned(step.program) for step in compiled.steps if step.program]
    macs = sum(row["macs"] for row in rows)
    on_device = sum(row["macs"] for row in rows if row["engine"] in ("tensor", "vector"))
    cycles = sum(row["cycles"] for row in rows)
    return {
        "config": compiled.config.name,
        "operators": rows,
        "totals": {
            "macs": macs,
            "macs_on_device": on_device,
            "device_share": round(on_device / macs, 6) if macs else 1.0,
            "cycles": cycles,
            "utilization": round(on_device / (cycles * compiled.config.macs_per_cycle), 6) if cycles else 0.0,
            "bytes": sum(row["bytes"] for row in rows if row["engine"] not in ("host", "none")),
            "memory_bytes": compiled.memory_bytes,
            "tensor_bytes": max((peak for peak, _ in planned), default=0),
            "tensor_bytes_bound": max((least for _, least in planned), default=0),
            "programs": sum(step.program is not None for step in compiled.steps),
            "fallbacks": len(compiled.fallbacks),
        },
    }


def _row(compiled: Compiled, op: Operation, on_device: bool, layer: Layer | None, last: bool) -> dict:
    engine = "host"
    if on_device:
        engine = "none" if layer is None else "tensor" if isinstance(op, TENSOR) else "vector"
    row = {
        "operator": op.source,
        "kind": label(op),
        "result": str(op.results[0].type).removeprefix("tensor"),
        "engine": engine,
        "macs": macs_of(op),
        "cycles": sum(run.expected_cycles for run in layer.runs) if last else 0,
        "bytes": _traffic(layer) if last else 0 if on_device else moved_bytes(op),
        "fallback": None,
    }
    if op in compiled.fallbacks:
        row["fallback"] = reason_on_host(op)
    return row


def _traffic(layer: Layer) -> int:
    """Bytes that the loads and stores of a layer move."""
    total = 0
    for run in layer.runs:
        for instruction in decode_program(run.code):
            if instruction.opcode in (Opcode.LOAD, Opcode.STORE) and not getattr(instruction, "fill_only", False):
                total += prod(instruction.counts.values()) * instruction.length
    return total


def _planned(program: Program) -> tuple[int, int]:
    """Bytes that the tensors of a program take together, and those that are alive at once."""
    placed = {name: (program.tensors[name], layers) for name, layers in program.lives.items()}
    # Several names may stand for one tensor.
    lives = {(tensor.address, *layers): Life(tensor.size, *layers) for tensor, layers in placed.values()}
    ends = (address + aligned(life.size) for (address, *_), life in lives.items())
    return max(ends, default=0), bound(lives)
