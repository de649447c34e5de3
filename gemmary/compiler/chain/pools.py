"""Max pools in a chain: in the drain of the convolution before them."""

from dataclasses import dataclass

from ...errors import InputError
from ...workloads import Conv
from ..pooled import Pool
from ..window import Window


@dataclass(frozen=True, kw_only=True)
class PooledConv(Conv):
    """A convolution and the max pool behind it, ``pool`` over its outputs."""

    pool: Window

    @property
    def output_shape(self) -> tuple[int, int, int]:
        return self.pool.out_height, self.pool.out_width, self.cout


def pool_of(step) -> Window | None:
    """Of a step; InputError for one whose lines of windows share lines of sums, or that leaves columns out."""
    pool = getattr(step.operation, "pool", None)
    if pool is None:
        return None
    lines = pool.kernel[0] == pool.stride[0] and not any(pool.padding[0])
    _, columns, _ = pool.inputs(1, 0, pool.out_width)
    if not lines or columns < pool.width or Pool.of(pool) is None:
        raise InputError(
            f"step {step.name!r}: windows of a pool must take whole lines of sums, and all columns, in one program"
        )
    return pool
