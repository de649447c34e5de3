"""From tiled layers to a program: instructions, their order, their encoding."""

from collections.abc import Sequence

from ..performance.model import Timing
from .depthwise import DepthwiseLowering
from .diagonal import Diagonal
from .elementwise import ElementwiseLowering
from .layout import Layout
from .lowering import Lowering
from .pooling import PoolingLowering
from .program import Layer, Program
from .row_packed import PackedLowering
from .runs import make_runs
from .tiled import Emitter, TiledLayer

EMITTERS: dict[str, type[Emitter]] = {
    each.kind: each
    for each in (Lowering, Diagonal, DepthwiseLowering, PackedLowering, ElementwiseLowering, PoolingLowering)
}


def assemble(
    layout: Layout,
    layers: Sequence[TiledLayer],
    inputs: Sequence[str],
    outputs: Sequence[str],
    timing: Timing | None = None,
) -> Program:
    timing = timing or Timing(layout.config)
    made = tuple(
        Layer(layer.name, layer.output, layer.macs, sum((make_runs(EMITTERS[t.kind], t, timing) for t in layer.parts), ()))
        for layer in layers
    )
    return layout.program(made, tuple(inputs), tuple(outputs))
