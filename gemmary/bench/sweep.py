"""Many configurations through the cycle model."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from ..config import Config
from ..errors import InputError
from .memory import Memory
from .row import Row, network_totals

FIELDS = {
    "rows": 1, "columns": 1, "lanes": 1, "activation_banks": 1, "bus_bytes": 1, "accumulator_rows": 1, "queue_depth": 1,
    "outstanding": 1, "activation_bytes": 1 << 10, "weight_bytes": 1 << 10,
}  # fmt: skip
"""What can be varied, and in which unit."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """One point: a config named after what it changes, and its memory."""

    config: Config
    memory: Memory

    @property
    def memory_bytes(self) -> int:
        """Bytes on the chip: activations, weights and accumulators."""
        config = self.config
        accumulators = config.accumulator_words * config.accumulator_row_bytes
        return config.activation_bytes + config.weight_bytes + accumulators

    def as_dict(self) -> dict:
        return {
            "config": dataclasses.asdict(self.config),
            "memory": dataclasses.asdict(self.memory) | {"bytes_per_cycle": self.memory.rate(self.config)},
            "multipliers": self.config.macs_per_cycle,
            "memory_bytes": self.memory_bytes,
        }


def variants(
    base: Config, values: Mapping[str, Sequence], latencies: Sequence[int], rates: Sequence[float | None]
) -> tuple[list[Variant], list[tuple[str, str]]]:
    """Every combination of ``values``, latencies and bytes a cycle; and (name, why) of those that no accelerator can have.

    ``values`` has lists by FIELDS, and by "array" pairs of rows and columns. Lanes and bus follow an array that is too narrow for
    those of ``base``, unless they are given; it has no window where its shape allows none. InputError for a field that is unknown, and
    where nothing is left."""
    for name in values:
        if name not in FIELDS and name != "array":
            raise InputError(f"cannot vary {name}: choose among array, {', '.join(FIELDS)}")
    found, refused = [], []
    for chosen in product(*values.values()):
        changes, label = _changes(base, dict(zip(values, chosen)))
        for latency, rate in product(latencies, rates):
            memory = [f"latency={latency}"] * (len(latencies) > 1) + [f"rate={rate}"] * (len(rates) > 1)
            name = " ".join([label, *memory])
            try:
                variant = Variant(dataclasses.replace(base, name=name, **changes), Memory(latency, rate))
                variant.memory.rate(variant.config)
                found.append(variant)
            except InputError as error:
                refused.append((name, str(error)))
    if not found:
        raise InputError(f"no combination makes an accelerator; the first: {refused[0][1]}")
    return found, refused


def _changes(base: Config, chosen: dict) -> tuple[dict[str, int], str]:
    """The fields to replace in ``base``, and how they are called."""
    words = [f"{name}={'x'.join(map(str, value)) if name == 'array' else value}" for name, value in chosen.items()]
    changes = dict(zip(("rows", "columns"), chosen.pop("array", ())))
    changes |= {name: value * FIELDS[name] for name, value in chosen.items()}
    columns = changes.get("columns", base.columns)
    narrow = {name: columns for name in ("lanes", "bus_bytes") if getattr(base, name) > columns > 0}
    if not changes.get("rows", base.rows) == columns >= 16:
        narrow["window_line"] = 0
    return narrow | changes, " ".join(words) or base.name


def results(chosen: Sequence[Variant], rows: Sequence[Row]) -> Iterator[dict]:
    """For each variant its networks: ``rows`` has as many rows for each, variant after variant."""
    each = len(rows) // len(chosen)
    for i, variant in enumerate(chosen):
        mine = rows[i * each : (i + 1) * each]
        totals = network_totals(mine, variant.config.macs_per_cycle)
        complete = all(not total.missing for total in totals)
        cycles = sum(total.cycles or 0 for total in totals)
        macs = sum(total.macs for total in totals)
        yield {
            "name": variant.config.name,
            **variant.as_dict(),
            "cycles": cycles or None,
            "macs": macs,
            "utilization": macs / (cycles * variant.config.macs_per_cycle) if cycles else None,
            "complete": complete,
            "networks": [total.as_dict() for total in totals],
        }
