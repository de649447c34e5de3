"""Pipelines of passes, by name: the IR is verified after each."""

from collections.abc import Callable, Mapping

from xdsl.passes import ModulePass, PassPipeline
from xdsl.utils.arg_spec import parse_pipeline

from ...errors import InputError
from ..ir.model import Model
from .cancel_transposes import CancelTransposes
from .dead_code import DeadCode
from .fold_batch_norm import FoldBatchNorm
from .fuse_pools import FusePools
from .fuse_tables import FuseTables
from .insert_quantization import InsertQuantization
from .join_heads import JoinHeads
from .mark_quantized import MarkQuantized
from .raise_adds import RaiseAdds
from .raise_contractions import RaiseContractions
from .raise_integers import RaiseIntegers
from .raise_normal import RaiseNormal
from .raise_pools import RaisePools
from .raise_softmax import RaiseSoftmax
from .raise_tables import RaiseTables
from .sink_dequantize import SinkDequantize
from .sink_moves import SinkMoves
from .sink_scalars import SinkScalars
from .split_products import SplitProducts

PASSES: dict[str, type[ModulePass]] = {
    each.name: each
    for each in (
        SinkScalars, SplitProducts, MarkQuantized, InsertQuantization, FoldBatchNorm, SinkMoves, RaiseSoftmax, RaiseIntegers,
        SinkDequantize, RaiseContractions, RaisePools, RaiseAdds, RaiseNormal, RaiseTables, CancelTransposes, FuseTables, FusePools, JoinHeads,
        DeadCode,
    )
}  # fmt: skip

DEFAULT = (
    "fold-batch-norm,sink-dequantize,raise-contractions,raise-pools,raise-adds,raise-normal,dead-code,raise-tables,dead-code,"
    "cancel-transposes,fuse-tables,cancel-transposes,fuse-pools,join-heads,sink-scalars,dead-code"
)
"""From a front end's model to what is lowered."""

MARK = "fold-batch-norm,split-products,sink-scalars,mark-quantized"
"""From a float model to one that calibration can give ranges; then comes insert-quantization."""


def run_pipeline(
    model: Model,
    pipeline: str = DEFAULT,
    watch: Callable[[str, Model], None] = lambda name, model: None,
    passes: Mapping[str, type[ModulePass]] = PASSES,
) -> Model:
    """``model``, changed in place by the passes of ``pipeline`` (``name{option=value},name``), which are among ``passes``.
    ``watch`` is called after each.

    InputError for a pass that is unknown, and, naming the pass, where one leaves an invalid model.
    """
    try:
        names = [spec.name for spec in parse_pipeline(pipeline)]
    except BaseException as error:  # xDSL's own derives from it
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise InputError(f"pipeline {pipeline!r} cannot be read") from None
    for name in names:
        if name not in passes:
            raise InputError(f"unknown pass {name!r}: choose of {', '.join(passes)}")
    try:
        passes = PassPipeline.parse_spec(
            {name: lambda kind=kind: kind for name, kind in passes.items()}, pipeline
        ).passes
    except (ValueError, TypeError) as error:
        raise InputError(f"pipeline {pipeline!r}: {error}") from None
    for each in passes:
        each.apply(model.context, model.module)
        model.verify(f"pass {each.name}")
        watch(each.name, model)
    return model
