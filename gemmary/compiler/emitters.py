"""The code generators by kind."""

from .depthwise import DepthwiseLowering
from .diagonal import Diagonal
from .elementwise import ElementwiseLowering
from .lowering import Lowering
from .pooling import PoolingLowering
from .row_packed import PackedLowering
from .tiled import Emitter

EMITTERS: dict[str, type[Emitter]] = {
    each.kind: each
    for each in (Lowering, Diagonal, DepthwiseLowering, PackedLowering, ElementwiseLowering, PoolingLowering)
}
