"""The page of a benchmark."""

from ..report import Column, Line, Point, Tile, page, plot, section, stacked_bars, table, tiles
from .row import CAUSES

NAMES = {cause: cause.replace("_", " and ") for cause in CAUSES} | {
    "load": "waiting for load",
    "issue": "instruction issue",
}

COLUMNS = (
    Column("layer"),
    Column("count", "d"),
    Column("M", ",d"),
    Column("K", ",d"),
    Column("N", ",d"),
    Column("batch", ",d"),
    Column("MACs", ",d"),
    Column("cycles", ",d"),
    Column("GOPS", ".2f", "of multiply-accumulates, two operations each"),
    Column("utilization", ".2%", "MACs / (cycles x MACs a cycle)"),
    Column("of bound", ".2%", "bound / cycles"),
    Column("model", "+.2%", "cycles of the model / cycles − 1"),
    Column("≠", ",d", "elements that differ from NumPy"),
)
FIELDS = (
    "layer",
    "count",
    "m",
    "k",
    "n",
    "batch",
    "macs",
    "cycles",
    "gops",
    "utilization",
    "roofline_efficiency",
    "model_error",
)


def is_fused(total: dict) -> bool:
    """Whether there are figures of the network as one program."""
    return total["fused_cycles"] is not None or total["fused_model_cycles"] is not None


def clocks_text(clocks: dict) -> str:
    """Of a report, to stand behind what its memory is."""
    mhz, ratio = clocks["mhz"], clocks["compute_ratio"]
    clock = f", clock of {mhz:g} MHz" if mhz else ""
    return clock + (f", tensor engine {ratio} times as fast" if ratio else "")


def bench_page(report: dict) -> str:
    """The report of ``gemmary bench`` as a page."""
    memory, rows = report["memory"], report["rows"]
    lead = (
        f"Preset {report['preset']}: {report['macs_per_cycle']} MACs a cycle. Memory: {memory['bytes_per_cycle']:g} bytes a "
        f"cycle each way, latency {memory['latency']}{clocks_text(report['clocks'])}. Device: {report['device']}. Cycles run from the first fetch to the last "
        "write response."
    )
    parts = [
        tiles(_tiles(report)),
        _roofline(report),
        section("Networks", "Every layer as often as it occurs.", _networks(report)),
        _fused(report),
    ]
    for total in report["networks"]:
        parts.append(_network(total, [row for row in rows if row["suite"] == total["network"]]))
    return page("Gemmary bench", lead, parts)


def _tiles(report: dict) -> list[Tile]:
    used = [row["utilization"] for row in report["rows"] if row["utilization"]]
    shown = [
        Tile(
            "passed" if report["passed"] else "failed",
            "every result as it should be",
            "good" if report["passed"] else "bad",
        ),
        Tile(str(len(report["rows"])), "layers"),
    ]
    if report["errors"]:
        shown.append(Tile(str(report["errors"]), "layers not compiled", "bad"))
    if used:
        shown.append(Tile(f"{max(used):.2%}", "utilization of the best layer"))
    if report["model_error_mean"] is not None:
        shown.append(
            Tile(
                f"{report['model_error_mean']:.2%}", f"mean error of the model, worst {report['model_error_worst']:.2%}"
            )
        )
    if report["simulation_s"]:
        shown.append(Tile(f"{report['simulation_s']:.0f} s", "of one core on the device"))
    return shown


def _roofline(report: dict) -> str:
    peak, rate = report["macs_per_cycle"], report["memory"]["bytes_per_cycle"]
    points = [
        Point(
            row["intensity"],
            row["macs"] / row["cycles"],
            f"{row['suite']} {row['layer']}: {row['macs'] / row['cycles']:.1f} MACs a cycle, {row['roofline_efficiency']:.1%} of bound",
            row["suite"],
        )
        for row in report["rows"]
        if row["cycles"]
    ]
    if not points:
        return ""
    low, high = min(p.x for p in points), max(*(p.x for p in points), 2 * peak / rate)
    roof = [(low, min(peak, low * rate)), (peak / rate, peak), (high, peak)]
    limit = Line([point for point in roof if point[0] >= low], f"{peak} MACs a cycle")
    lead = "A dot for each layer: what it does a cycle, against the products that each byte it must move is good for. Nothing is above the line."
    figure = plot(points, [limit], x="MACs a byte (the larger of reads and writes)", y="MACs a cycle", log=(True, True))
    return section("Roofline", lead, figure)


def _networks(report: dict) -> str:
    columns = (
        Column("network"), Column("layers", "d"), Column("MACs", ",d"), Column("cycles", ",d"), Column("GOPS", ".2f"),
        Column("utilization", ".2%"), Column("of bound", ".2%"), Column("model", "+.2%"), Column("≠", ",d"), Column("not compiled", "d"),
    )  # fmt: skip
    fields = (
        "network",
        "layers",
        "macs",
        "cycles",
        "gops",
        "utilization",
        "roofline_efficiency",
        "model_error",
        "mismatches",
    )
    return table(columns, [[*(t[field] for field in fields), len(t["missing"])] for t in report["networks"]])


def _fused(report: dict) -> str:
    """Networks that were measured as one program."""
    found = [total for total in report["networks"] if is_fused(total)]
    if not found:
        return ""
    columns = (
        Column("network"), Column("cycles", ",d"), Column("GOPS", ".2f"), Column("utilization", ".2%"), Column("of bound", ".2%"),
        Column("model", "+.2%"), Column("instructions", ",d"), Column("≠", ",d"),
    )  # fmt: skip
    fields = ("cycles", "gops", "utilization", "roofline_efficiency", "model_error", "instructions", "mismatches")
    figures = table(columns, [[t["network"], *(t[f"fused_{field}"] for field in fields)] for t in found])
    bars = [
        (t["network"], {NAMES[cause]: t["fused_lost"][cause] / t["fused_cycles"] for cause in CAUSES})
        for t in found
        if t["fused_lost"]
    ]
    lead = "Activations stay on the chip, layers overlap. The bound is the sum of the layers' bounds."
    return section("Networks as one program", lead, figures, stacked_bars(bars, unit="cycles lost, of all", form=".2%"))


def _network(total: dict, rows: list[dict]) -> str:
    share = {row["layer"]: row["count"] / total["cycles"] for row in rows} if total["cycles"] else {}
    bars = [
        (row["layer"], {NAMES[cause]: row["lost"][cause] * share[row["layer"]] for cause in CAUSES})
        for row in rows
        if row["lost"]
    ]
    lead = ""
    if total["cycles"]:
        lead = f"{total['utilization']:.2%} of peak, {total['roofline_efficiency']:.2%} of bound, {total['cycles']:,} cycles."
    if total["missing"]:
        lead += f" Not compiled: {', '.join(total['missing'])}."
    figures = table(COLUMNS, [[*(row[field] for field in FIELDS), row["mismatches"]] for row in rows])
    return section(
        total["network"],
        lead,
        stacked_bars(bars, unit="cycles lost in all layers of this kind, of those of the network", form=".2%"),
        figures,
    )
