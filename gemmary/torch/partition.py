"""A graph of ATen operators in parts for the device, and what PyTorch does between them."""

import operator
from collections.abc import Mapping

import torch
from torch.fx import GraphModule, Node
from torch.fx.passes.infra.partitioner import CapabilityBasedPartitioner
from torch.fx.passes.operator_support import OperatorSupportBase

from ..compiler.backend.partition import WORK, reason_on_host
from ..compiler.backend.work import macs_of
from ..compiler.executable import Executable
from ..compiler.frontends.torch_export import import_graph, is_known, is_quantization
from ..compiler.frontends.torch_source import SOURCE, source_of
from ..compiler.ir import Model
from ..compiler.passes import run_pipeline
from .compile import as_array

TRIVIAL = frozenset((operator.getitem, torch.ops.aten.detach.default, torch.ops.aten.alias.default))


class Partitioned:
    """``module`` has placeholders for all its inputs; ``weights`` are those that never change."""

    def __init__(self, module: GraphModule, weights: Mapping[Node, torch.Tensor]):
        self.module, self.weights = module, {node.name: tensor for node, tensor in weights.items()}
        self.reasons: dict[str, str] = {}
        """Why operators stay in PyTorch, by their source."""
        for node in module.graph.nodes:
            node.meta[SOURCE] = source_of(node)

    @property
    def is_quantized(self) -> bool:
        return any(is_quantization(node.target) for node in self.module.graph.nodes)

    def compile(self, preset: str, device: str) -> tuple[GraphModule, list[str]]:
        """The module with parts of it as programs, and a sentence on every operator that PyTorch or the host computes."""
        split, models = self._split()
        while self._learn(models):
            split, models = self._split()
        sentences = []
        for name, model in models.items():
            if not _macs_on_device(model):
                continue
            executable = Executable.of(model, preset, device=device, strict=False, silent=True)
            sentences += executable.compiled.warnings
            part = getattr(split, name)
            keep = [i for i, node in enumerate(part.graph.find_nodes(op="placeholder")) if node.name in model.inputs]
            setattr(split, name, _Part(executable, keep, isinstance(part.graph.output_node().args[0], Node)))
        for node in split.graph.nodes:
            child = getattr(split, node.target) if node.op == "call_module" else None
            if not isinstance(child, _Part):
                sentences += self._sentences(child.graph.nodes if child is not None else [node])
        return split, sentences

    def _split(self) -> tuple[GraphModule, dict[str, Model]]:
        """The largest parts of supported operators as modules of their own, and each as a model, raised."""
        copy = GraphModule(self.module, self.module.graph.__deepcopy__({}))
        partitioner = CapabilityBasedPartitioner(copy, _Support(self.reasons), allows_single_node_partition=True)
        split, models = partitioner.fuse_partitions(partitioner.propose_partitions()), {}
        for node in split.graph.nodes:
            if node.op == "call_module":
                part = getattr(split, node.target)
                places = part.graph.find_nodes(op="placeholder")
                weights = {p: self.weights[a.name] for p, a in zip(places, node.args) if a.name in self.weights}
                model = import_graph(part, [p for p in places if p not in weights], weights)
                models[node.target] = run_pipeline(model)
        return split, models

    def _learn(self, models: Mapping[str, Model]) -> bool:
        """Notes what the machine would leave to the host: PyTorch is better at it. Whether there was any."""
        known = len(self.reasons)
        for model in models.values():
            for op in model.operations:
                reason = reason_on_host(op)
                if isinstance(op, WORK) and reason is not None:
                    self.reasons.setdefault(op.source, reason)
        return len(self.reasons) > known

    def _sentences(self, nodes) -> list[str]:
        sentences = []
        for node in nodes:
            if node.op == "call_function" and node.target not in TRIVIAL and not is_quantization(node.target):
                reason = self.reasons.get(node.meta[SOURCE], "it stands between such operators")
                if not is_known(node.target):
                    reason = "gemmary knows no such operator"
                sentences.append(
                    f"operator {node.meta[SOURCE]!r} ({node.target}) runs in PyTorch: {reason}; {_bytes(node):,} bytes"
                )
        return sentences


class _Support(OperatorSupportBase):
    def __init__(self, reasons: Mapping[str, str]):
        self.reasons = reasons

    def is_node_supported(self, submodules, node: Node) -> bool:
        if node.op != "call_function" or not is_known(node.target):
            return False
        return is_quantization(node.target) or node.meta[SOURCE] not in self.reasons


class _Part(torch.nn.Module):
    """A part on the device. ``keep``: which of its arguments are no weights."""

    def __init__(self, executable: Executable, keep: list[int], single: bool):
        super().__init__()
        self.executable, self.keep, self.single = executable, keep, single

    def forward(self, *arguments):
        results = self.executable(*(as_array(arguments[i]) for i in self.keep))
        if self.single:
            return torch.from_numpy(results.copy())
        results = results if isinstance(results, tuple) else (results,)
        return tuple(torch.from_numpy(each.copy()) for each in results)


def _macs_on_device(model: Model) -> int:
    return sum(macs_of(op) for op in model.operations if reason_on_host(op) is None)


def _bytes(node: Node) -> int:
    values = [each.meta.get("val") for each in (*node.all_input_nodes, node)]
    return sum(each.nbytes for each in values if isinstance(each, torch.Tensor))
