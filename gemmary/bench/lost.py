"""Where the cycles go that are no multiply-accumulates."""

from ..performance.model import Estimate
from ..runtime.device import Report
from .row import CAUSES

CONFLICTS = ("stall_memory", "stall_hazard")


def lost_cycles(estimate: Estimate, useful: float, report: Report | None = None) -> dict[str, float] | None:
    """Cycles by cause. They add up to those of ``report`` (None: of ``estimate``) minus ``useful`` = MACs / MACs a cycle.

    The counters of a report say how many rows the array took and how often a row waited for a memory port or for its
    accumulator row. Why the array had no row at all in the other cycles is what the model says of the same program,
    in proportion. None for a report of a machine without counters.
    """
    if report and not report.counters:
        return None
    counters = report.counters["tensor"] if report else {}
    cycles = report.cycles if report else estimate.cycles
    rows = counters.get("busy", estimate.rows)
    conflict = sum(counters.get(state, 0) for state in CONFLICTS)
    idle, expected = cycles - rows - conflict, sum(estimate.idle.values())
    share = idle / expected if expected else 0.0
    lost = dict.fromkeys(CAUSES, 0.0) | {cause: value * share for cause, value in estimate.idle.items()}
    return lost | {"conflict": float(conflict), "padding": rows - useful}
