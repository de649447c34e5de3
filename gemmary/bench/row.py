"""The rows of a report, and the totals of networks."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace

from ..performance.timing import CAUSES as IDLE
from .bound import bytes_read, bytes_written
from .task import Task

CAUSES = (*IDLE, "conflict", "padding")


@dataclass(frozen=True)
class Row:
    """What one layer took, and would have taken at best. docs/bench.md says what the fields mean.

    Figures are of one of the ``count`` equal layers. ``cycles`` is None on a device without a clock, ``model_error`` without a
    measurement, ``mismatches`` and ``seconds`` (that the
    device ran for) without a result; ``intensity`` is in MACs a byte, of reads or writes, whichever are more; with an ``error`` everything that was to be measured is None.
    """

    suite: str
    layer: str
    count: int
    kind: str
    m: int
    k: int
    n: int
    batch: int
    macs: int
    intensity: float
    bound: float
    cycles: int | None = None
    utilization: float | None = None
    roofline_efficiency: float | None = None
    model_cycles: int | None = None
    model_error: float | None = None
    lost: dict[str, float] | None = None
    mismatches: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    instructions: int | None = None
    seconds: float | None = None
    extrapolated: bool = False
    error: str | None = None

    @classmethod
    def of(cls, task: Task, bound: float, **measured) -> "Row":
        """Of a layer that took ``cycles``, with all that follows from it."""
        layer, cycles, model = task.layer, measured.get("cycles"), measured.get("model_cycles")
        if cycles:
            measured["utilization"] = layer.macs / (cycles * task.macs_per_cycle)
            measured["roofline_efficiency"] = bound / cycles
            if task.device != "model" and model:
                measured["model_error"] = model / cycles - 1
        shape = {name: getattr(layer, name) for name in ("count", "kind", "m", "k", "n", "batch", "macs")}
        traffic = max(bytes_read(layer), bytes_written(layer))
        return cls(suite=task.suite, layer=layer.name, intensity=layer.macs / traffic, bound=bound, **shape, **measured)

    def as_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Fused:
    """What a network took as one program. ``cycles``, ``model_error`` and so on are those of a Row; the bound is the sum of the
    layers' bounds. ``error``: why it cannot be one program."""

    cycles: int | None = None
    utilization: float | None = None
    roofline_efficiency: float | None = None
    model_cycles: int | None = None
    model_error: float | None = None
    lost: dict[str, float] | None = None
    mismatches: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    instructions: int | None = None
    seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Totals:
    """Sums over the layers of one network, each ``count`` times. ``missing`` names the layers without figures: they are in no
    sum, and neither in the MACs. ``fused``: the network as one program, if it was measured."""

    network: str
    layers: int
    macs: int
    bound: float
    cycles: int | None
    utilization: float | None
    roofline_efficiency: float | None
    model_cycles: int | None
    model_error: float | None
    lost: dict[str, float] | None
    mismatches: int | None
    missing: list[str] = field(default_factory=list)
    fused: Fused = Fused()

    def as_dict(self) -> dict:
        """``fused`` as fields that begin so."""
        figures = asdict(self)
        return figures | {f"fused_{name}": value for name, value in figures.pop("fused").items()}


def network_totals(rows: Iterable[Row], macs_per_cycle: int, fused: dict[str, Fused] | None = None) -> list[Totals]:
    """One for each suite, in order; ``fused`` by the name of the network."""
    by_suite: dict[str, list[Row]] = {}
    for row in rows:
        by_suite.setdefault(row.suite, []).append(row)
    totals = [_totals(name, rows, macs_per_cycle) for name, rows in by_suite.items()]
    return [replace(each, fused=(fused or {}).get(each.network, Fused())) for each in totals]


def _totals(name: str, rows: list[Row], macs_per_cycle: int) -> Totals:
    good = [row for row in rows if row.error is None]

    def total(field: str):
        values = [getattr(row, field) for row in good]
        return None if not good or None in values else sum(row.count * value for row, value in zip(good, values))

    macs, bound, cycles, model = total("macs") or 0, total("bound") or 0, total("cycles"), total("model_cycles")
    measured = any(row.model_error is not None for row in good)
    lost = [row.lost for row in good]
    return Totals(
        network=name,
        layers=sum(row.count for row in rows),
        macs=macs,
        bound=bound,
        cycles=cycles,
        utilization=macs / (cycles * macs_per_cycle) if cycles else None,
        roofline_efficiency=bound / cycles if cycles else None,
        model_cycles=model,
        model_error=model / cycles - 1 if measured and cycles and model is not None else None,
        lost={cause: sum(row.count * row.lost[cause] for row in good) for cause in CAUSES}
        if all(lost) and good
        else None,
        mismatches=total("mismatches"),
        missing=[row.layer for row in rows if row.error is not None],
    )
