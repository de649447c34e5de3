"""``torch.compile(model, backend="gemmary")``: quantized subgraphs on the device, the rest in PyTorch.

Options: ``preset`` (default: base), ``device`` (emulator), ``strict`` (False). For inference: weights are taken as they are when
the model is compiled, and no gradients are computed.
"""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import GraphModule, Interpreter
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.traceback import preserve_node_meta

from ..compiler.executable import warn
from ..errors import InputError
from .inplace import without_writes
from .partition import Partitioned

NOT_QUANTIZED = "the model is not quantized, so all of it runs in PyTorch: compile gemmary.torch.quantize(model, calibration).module() instead"
DYNAMIC = "the model's sizes are dynamic, so all of it runs in PyTorch: use torch.compile(..., dynamic=False)"
WRITES = "the model writes to its tensors in place, so all of it runs in PyTorch: use operators that return new ones"


def gemmary_backend(module: GraphModule, examples: Sequence, options: dict | None = None) -> Callable:
    """A backend of torch.compile. InputError for unknown options and, with ``strict``, for what would run in PyTorch."""
    chosen = {"preset": "base", "device": "emulator", "strict": False}
    if unknown := set(options or {}) - set(chosen):
        raise InputError(f"unknown option {sorted(unknown)[0]!r} of backend gemmary: choose of {', '.join(chosen)}")
    chosen |= options or {}
    if any(_is_dynamic(each) for each in examples):
        return _in_pytorch(module, DYNAMIC, chosen)
    with torch.no_grad(), warnings.catch_warnings(), preserve_node_meta():
        warnings.simplefilter("ignore")  # of PyTorch's own
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:  # without values, and with sizes that are fixed
            stand_ins = [mode.from_tensor(each, static_shapes=True) for each in examples]
            traced = make_fx(Interpreter(module).run, pre_dispatch=True)(*stand_ins)
    weights = {
        node: each for node, each in zip(traced.graph.find_nodes(op="placeholder"), examples) if _is_weight(each)
    }
    graph = Partitioned(traced, weights)
    if not graph.is_quantized:
        return _in_pytorch(module, NOT_QUANTIZED, chosen)
    if not without_writes(traced.graph):
        return _in_pytorch(module, WRITES, chosen)
    compiled, sentences = graph.compile(chosen["preset"], chosen["device"])
    _report(sentences, chosen)
    versions = [(each, each._version) for each in weights.values()]

    def run(*arguments):
        if any(each._version != version for each, version in versions):
            raise InputError(
                "the model's weights have changed since it was compiled: call torch.compiler.reset() first"
            )
        with torch.no_grad():
            return compiled(*arguments)

    return run


def _in_pytorch(module: GraphModule, sentence: str, chosen: dict) -> Callable:
    _report([sentence], chosen)
    return module.forward


def _report(sentences: list[str], chosen: dict) -> None:
    if sentences and chosen["strict"]:
        raise InputError(f"{sentences[0]} (strict forbids it)")
    warn(sentences)


def _is_dynamic(example) -> bool:
    if isinstance(example, torch.SymInt):
        return True
    return isinstance(example, torch.Tensor) and any(isinstance(n, torch.SymInt) for n in example.shape)


def _is_weight(example) -> bool:
    """Whether a graph's input is a parameter or a buffer of the model."""
    return isinstance(example, torch.nn.Parameter) or hasattr(example, "_dynamo_static_input_type")
