"""The page of a sweep."""

from ..report import Column, Line, Point, Tile, page, plot, section, table, tiles
from ..report.svg import short

COLUMNS = (
    Column("configuration"), Column("multipliers", ",d"), Column("memory, KiB", ",.0f"), Column("lanes", "d"),
    Column("bus, bytes", "d"), Column("bytes a cycle", "g"), Column("latency", "d"), Column("cycles", ",d"),
    Column("utilization", ".2%"), Column("layers not compiled", "d"),
)  # fmt: skip


def sweep_page(report: dict) -> str:
    """The report of ``gemmary sweep`` as a page."""
    found = [result for result in report["results"] if result["cycles"]]
    comparable = [result for result in found if result["complete"]] or found
    best = min(comparable, key=lambda result: result["cycles"]) if comparable else None
    shown = [Tile(str(len(report["results"])), "configurations")]
    if best:
        most = max(comparable, key=lambda result: result["utilization"])
        shown += [
            Tile(short(best["cycles"]), f"fewest cycles: {best['name']}"),
            Tile(f"{most['utilization']:.1%}", f"best utilization: {most['name']}"),
        ]
    if report["refused"]:
        shown.append(Tile(str(len(report["refused"])), "combinations that no accelerator can have"))
    lead = f"Cycles of {', '.join(report['suites'])} by the cycle model, starting from preset {report['preset']}."
    parts = [
        tiles(shown),
        section(
            "Cycles against multipliers",
            "Down and to the left is better. The line: no cycle lost.",
            _against(comparable, 0),
        ),
        section(
            "Cycles against memory", "Bytes on the chip: activations, weights, accumulators.", _against(comparable, 1)
        ),
        section("All of them", "", table(COLUMNS, map(_row, report["results"]))),
    ]
    return page("Gemmary sweep", lead, parts)


def _against(results: list[dict], axis: int) -> str:
    """Axis 0: the multipliers, a series for each size of memory; 1: the memory, a series for each array."""
    points = []
    for result in results:
        array = f"{result['config']['rows']} x {result['config']['columns']}"
        scratchpads = result["config"]["activation_bytes"] + result["config"]["weight_bytes"]
        memory = f"{scratchpads >> 10} KiB of scratchpads"
        x, series = ((result["multipliers"], memory), (result["memory_bytes"], array))[axis]
        note = f"{result['name']}: {result['cycles']:,} cycles, {result['utilization']:.1%} of peak"
        points.append(Point(x, result["cycles"], note, series))
    lines = []
    for series in dict.fromkeys(point.series for point in points):
        best: dict[float, float] = {}
        for point in points:
            if point.series == series:
                best[point.x] = min(point.y, best.get(point.x, point.y))
        lines.append(Line(sorted(best.items()), series=series))
    if axis == 0 and results:
        sizes = sorted({result["multipliers"] for result in results})
        lines.append(
            Line([(size, results[0]["macs"] / size) for size in sizes], "" if len(sizes) < 2 else "no cycle lost")
        )
    titles = ("multipliers", "bytes on the chip")
    return plot(points, lines, x=titles[axis], y="cycles", log=(True, True))


def _row(result: dict) -> list:
    config, memory = result["config"], result["memory"]
    missing = sum(len(total["missing"]) for total in result["networks"])
    return [
        result["name"], result["multipliers"], result["memory_bytes"] / 1024, config["lanes"], config["bus_bytes"],
        memory["bytes_per_cycle"], memory["latency"], result["cycles"], result["utilization"], missing,
    ]  # fmt: skip
