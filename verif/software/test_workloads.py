"""The workloads say what their sources say: totals, parameters, shapes that follow one another; and what bad input gets."""

from dataclasses import replace
from pathlib import Path

import pytest

from gemmary import workloads
from gemmary.errors import InputError
from gemmary.workloads import Conv, Matmul, network, text

PAGE = Path(__file__).parents[2] / "docs" / "workloads.md"
NETWORKS = {name: workloads.load(name) for name in workloads.names()}
CNNS = [name for name, item in NETWORKS.items() if len(item.input) == 3 and name != "vit-b16"]
TRANSFORMERS = [
    name for name, item in NETWORKS.items() if any(not getattr(layer, "constant", True) for layer in item.layers)
]

# What a network has besides the weights of its convolutions and dense layers, from its architecture.
BLOCK = 4 + 4 + 5  # in hidden sizes: biases of Q, K, V and projection; two norms; biases of mlp.1 (4) and mlp.2
EMBEDDINGS = (30522 + 512 + 2 + 2) * 768 + 769 * 768  # tokens, positions, segments, norm; pooler
SMALL_EMBEDDINGS = (30522 + 512 + 2 + 2) * 384 + 385 * 384
VIT = 768 + 768 + 197 * 768 + 2 * 768 + 1000  # bias of the patches, class token, positions, last norm, bias of the head
OTHERS = {
    "vit-b16": VIT + 12 * BLOCK * 768,
    "bert-base-128": EMBEDDINGS + 12 * BLOCK * 768,
    "bert-base-384": EMBEDDINGS + 12 * BLOCK * 768,
    "minilm-l6": SMALL_EMBEDDINGS + 6 * BLOCK * 384,
    # The token embeddings are the weights of the logits: positions and last norm remain.
    "gpt2-prefill-128": 1024 * 768 + 2 * 768 + 12 * BLOCK * 768,
    "gpt2-decode-1024": 1024 * 768 + 2 * 768 + 12 * BLOCK * 768,
}
# Published: torchvision (num_params), Hugging Face; of the four MLPerf Tiny networks, weights without biases (Pau and Aymone).
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "mobilenet-v2": 3_504_872,
    "vit-b16": 86_567_656,
    "bert-base-128": 109_482_240,
    "bert-base-384": 109_482_240,
    "minilm-l6": 22_713_216,
    "gpt2-prefill-128": 124_439_808,
    "gpt2-decode-1024": 124_439_808,
    "resnet8": 77_360,
    "ds-cnn": 22_016,
    "mobilenet-v1-025": 208_112,
    "autoencoder": 264_192,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_total_macs_are_the_published_ones(name):
    assert abs(NETWORKS[name].macs - NETWORKS[name].published_macs) <= NETWORKS[name].tolerance


def test_scaled_totals_follow_from_what_is_published():
    # FLOPs of GPT-2 small for 1024 tokens: dense layers and attention of a block, and the logits.
    dense, attention, logits = 3623878656 + 1207959552 + 2 * 4831838208, 2 * 1610612736, 79047426048
    assert 12 * (dense + attention) + logits == 291648307200

    def macs(tokens: int) -> int:
        return 12 * (dense * tokens // 1024 + attention * tokens**2 // 1024**2) // 2

    published = {name: item.published_macs for name, item in NETWORKS.items()}
    assert published["bert-base-384"] == macs(384)
    assert published["gpt2-prefill-128"] == macs(128) + logits // 2 // 1024
    assert published["gpt2-decode-1024"] == 291648307200 // 2 // 1024
    in_dense_layers = PARAMETERS["minilm-l6"] - OTHERS["minilm-l6"]
    assert published["minilm-l6"] == in_dense_layers * 128 + 6 * 2 * 128 * 128 * 384


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_the_published_parameters(name):
    item = NETWORKS[name]
    others = OTHERS.get(name, 0)
    if name in ("resnet18", "resnet50", "mobilenet-v2"):  # scale and bias of a norm each, and the classifier's bias
        others = sum(2 * layer.count * layer.cout for layer in item.layers if layer.kind == "conv") + 1000
    assert item.weights + others == PARAMETERS[name]


@pytest.mark.parametrize("name", CNNS)
def test_shapes_of_a_cnn_follow_one_another(name):
    item = NETWORKS[name]
    *before, last = item.layers
    outputs = {layer.output_shape for layer in before}
    outputs |= {(1, shape[-1]) for shape in outputs}  # after the mean over the image
    if name in ("resnet18", "resnet50"):  # behind the first convolution, 3x3 max pooling with stride 2
        assert item.layers[0].output_shape == (112, 112, 64)
        outputs = outputs - {(112, 112, 64)} | {(56, 56, 64)}
    assert item.layers[0].input_shape == item.input
    for layer in item.layers[1:]:
        others = {other.output_shape for other in before if other is not layer}
        assert layer.input_shape in outputs & (others | {(56, 56, 64)} | {(1, shape[-1]) for shape in others}), (
            layer.name
        )
    consumed = {layer.input_shape for layer in item.layers} | {(*before[-1].output_shape[:2], last.k)}
    assert {shape for shape in outputs if len(shape) == 3} <= consumed
    assert last.k == max(shape[-1] for shape in outputs)


@pytest.mark.parametrize("name", CNNS)
def test_padding_is_that_of_the_framework(name):
    for layer in NETWORKS[name].layers[:-1]:
        expected = []
        for size, kernel, stride in zip((layer.height, layer.width), layer.kernel, layer.stride):
            same = max(
                (-(-size // stride) - 1) * stride + kernel - size, 0
            )  # TensorFlow: as much as ceil(size / stride) needs
            expected += [same // 2, same - same // 2] if name in network.TINY else [kernel // 2] * 2
        assert list(layer.padding) == expected, layer.name


def test_patches_of_an_image_do_not_overlap():
    patches, *layers, head = NETWORKS["vit-b16"].layers
    assert patches.input_shape == NETWORKS["vit-b16"].input
    assert patches.stride == patches.kernel and patches.padding == (0, 0, 0, 0)
    assert {layer.m for layer in layers} == {patches.m + 1} and head.m == 1  # a class token


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_fused(name):
    item = NETWORKS[name]
    for layer in item.layers:
        bare = layer is item.layers[-1] or layer.name.endswith(("downsample", "shortcut"))  # no activation behind these
        match name:
            case "resnet18" | "resnet8":
                expected = "none" if bare else "relu", layer.name.endswith(".conv2")
            case "resnet50":
                expected = "none" if bare else "relu", layer.name.endswith(".conv3")
            case "mobilenet-v2":  # blocks whose input and output have the same channels, a sixth of those between
                bare |= layer.name.endswith("project")
                expected = "none" if bare else "relu6", layer.kind == "conv" and layer.cin == 6 * layer.cout
            case "ds-cnn" | "mobilenet-v1-025" | "autoencoder":
                expected = "none" if bare else "relu", False
            case _:
                expected = "gelu" if layer.name == "mlp.1" else "none", layer.name in ("projection", "mlp.2")
        assert (layer.activation, layer.residual) == expected, layer.name
        # A host computes with the logits of the larger networks; those of MLPerf Tiny are int8, as in its reference.
        assert layer.output == ("int32" if layer.name in ("fc", "classifier", "head", "logits") else "int8"), layer.name


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_attention_is_batched_over_heads(name):
    layers = {layer.name: layer for layer in NETWORKS[name].layers}
    scores, context, projection = layers["scores"], layers["context"], layers["projection"]
    assert scores.batch == context.batch == 12
    assert scores.transposed and not context.transposed
    assert context.input_shape == scores.output_shape
    assert context.batch * context.n == scores.batch * scores.k == projection.k
    assert scores.count == context.count == projection.count


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_of_a_network_are_distinct(name):
    layers = [replace(layer, name="", count=1) for layer in NETWORKS[name].layers]
    assert len(set(layers)) == len(layers)


def test_suites():
    assert [item.name for item in workloads.suite("tiny")] == list(network.TINY)
    assert [item.name for item in workloads.suite("all")] == list(workloads.names())
    assert workloads.suite("resnet50") == (NETWORKS["resnet50"],)


def test_every_data_file_is_a_network():
    files = network.resources.files(workloads).iterdir()
    assert sorted(file.name for file in files if file.name.endswith(".toml")) == sorted(
        f"{name}.toml" for name in NETWORKS
    )


@pytest.mark.parametrize("item", NETWORKS.values(), ids=NETWORKS)
def test_the_page_has_the_totals(item):
    layers = f"{len(item.layers)} of {sum(layer.count for layer in item.layers)}"
    row = f"| `{item.name}` | {item.title} | {layers} | {item.macs:,} | {item.published_macs:,} ± {item.tolerance:,} |"
    assert row in PAGE.read_text(encoding="utf-8").splitlines()


def test_single_layers():
    matmul = workloads.parse("matmul:3,40,5")
    assert matmul == Matmul(name="matmul:3,40,5", m=3, k=40, n=5)
    assert (matmul.macs, matmul.weights, matmul.input_shape, matmul.output_shape) == (600, 200, (3, 40), (3, 5))
    conv = workloads.parse("conv:49,10,4,8,10x4,2,5x1,2")
    same = Conv(
        name=conv.name,
        height=49,
        width=10,
        cin=4,
        cout=8,
        kernel=(10, 4),
        stride=(2, 2),
        padding=(5, 5, 1, 1),
        groups=2,
    )
    assert conv == same
    assert (conv.batch, conv.m, conv.k, conv.n) == (2, 25 * 5, 80, 4)
    assert (conv.input_shape, conv.output_shape) == ((49, 10, 4), (25, 5, 8))
    assert (conv.macs, conv.weights) == (80_000, 640)


def test_padding_has_four_sides():
    conv = Conv(name="x", height=9, width=9, cin=1, cout=1, kernel=(3, 3), stride=(2, 1), padding=(0, 3, 1, 0))
    assert conv.output_shape == (5, 8, 1)


def test_heads_are_a_batch():
    scores = Matmul(name="x", m=2, k=3, n=5, batch=7, constant=False, transposed=True)
    assert (scores.macs, scores.weights) == (210, 0)
    assert (scores.input_shape, scores.output_shape) == ((7, 2, 3), (7, 2, 5))


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        ("pool:1,2,3", "matmul:M,K,N or conv:H"),
        ("matmul", "3 numbers"),
        ("matmul:1,2", "3 numbers"),
        ("matmul:1,0,2", "K must be"),
        ("matmul:1,2,x", "N must be"),
        ("matmul:1,2,-3", "N must be"),
        ("matmul:1,2,2x2", "N must be"),
        ("conv:8,8,3,4,3,1,1", "8 numbers"),
        ("conv:8,8,3,4,0,1,1,1", "KERNEL must be"),
        ("conv:8,8,3,4,3x3x3,1,1,1", "KERNEL must be"),
        ("conv:8,8,3,4,3,0x1,1,1", "STRIDE must be"),
        ("conv:8,8,3,4,3,1,-1,1", "PAD must be"),
        ("conv:8,8,3,4,3,1,1,2", "groups must be"),
        ("conv:8,8,3,4,11,1,1,1", "kernel must be"),
    ],
)
def test_bad_single_layers_are_refused(layer, field):
    with pytest.raises(InputError, match=field):
        workloads.parse(layer)


MATMUL = {"kind": "matmul", "name": "x", "m": 1, "k": 2, "n": 3}
CONV = {"kind": "conv", "name": "x", "input": [8, 8, 4], "cout": 4, "kernel": 3}


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ({**MATMUL, "kind": "pool"}, "kind must be"),
        ({**MATMUL, "m": 0}, "m must be positive"),
        ({**MATMUL, "m": 1.5}, "m must be int"),
        ({**MATMUL, "count": True}, "count must be int"),
        ({**MATMUL, "count": 0}, "count must be positive"),
        ({**MATMUL, "constant": 1}, "constant must be bool"),
        ({**MATMUL, "transposed": True}, "transposed must be false"),
        ({**MATMUL, "output": "int16"}, "output must be one of int8, int32"),
        ({**MATMUL, "activation": "tanh"}, "activation must be one of"),
        ({**MATMUL, "stride": 1}, "stride is no field of a matmul"),
        ({key: value for key, value in MATMUL.items() if key != "k"}, "k is missing"),
        ({key: value for key, value in CONV.items() if key != "input"}, "input must be"),
        ({key: value for key, value in CONV.items() if key != "kernel"}, "kernel is missing"),
        ({**CONV, "input": [8, 8]}, "input must be"),
        ({**CONV, "kernel": [3, 3, 3]}, "kernel must be 2"),
        ({**CONV, "stride": [0, 1]}, "stride must be 2"),
        ({**CONV, "padding": [1, 1]}, "padding must be 4"),
        ({**CONV, "padding": -1}, "padding must be 4"),
        ({**CONV, "groups": 3}, "groups must be"),
    ],
)
def test_bad_tables_are_refused(table, field):
    with pytest.raises(InputError, match=f"layer 'x': {field}"):
        text.from_table(table)


@pytest.mark.parametrize("function", [workloads.load, workloads.suite])
def test_unknown_names_are_refused(function):
    with pytest.raises(InputError, match=r"unknown \w+ 'resnet51'; there are .*resnet50"):
        function("resnet51")


def test_two_layers_of_one_name_are_refused():
    layer = '{ kind = "matmul", name = "x", m = 1, k = 1, n = 1 }'
    with pytest.raises(InputError, match="two layers have the name 'x'"):
        network.read("two", f'title = ""\ninput = [1, 1]\nlayers = [{layer}, {layer}]')


# How layers follow one another.

LAYERS = [
    '{ kind = "conv", name = "a", input = [6, 4, 16], cout = 16, kernel = 1 }',
    '{ kind = "conv", name = "b", input = [6, 4, 16], cout = 16, kernel = 1, residual = true }',
    '{ kind = "matmul", name = "c", m = 1, k = 16, n = 3 }',
]
STEPS = ['{ layer = "a" }', '{ layer = "b", residual = "input" }', "{ mean = [6, 4] }", '{ layer = "c" }']


def chain(steps=STEPS, layers=LAYERS):
    lines = [
        'title = ""',
        "input = [6, 4, 16]",
        'source = ""',
        "published_macs = 0",
        'published_source = ""',
        "tolerance = 0",
    ]
    return network.read("net", "\n".join([*lines, f"layers = [{','.join(layers)}]", f"steps = [{','.join(steps)}]"]))


def test_steps():
    first, second, mean, last = chain().steps
    assert (first.name, first.input, first.residual) == ("a", "input", None) and second.reads == ("a", "input")
    assert (mean.name, mean.operation.output_shape) == ("mean", (1, 16)) and last.input == "mean"
    assert chain(steps=()).steps == ()


@pytest.mark.parametrize("name", network.TINY)
def test_steps_of_the_tiny_networks(name):
    """Every tensor but the last is read, and all layers occur as often as they count."""
    item = NETWORKS[name]
    read = {tensor for step in item.steps for tensor in step.reads}
    assert read == {"input", *(step.name for step in item.steps[:-1])}
    assert sum(getattr(step.operation, "macs", 0) for step in item.steps) == item.macs


@pytest.mark.parametrize(
    ("number", "step", "message"),
    [
        (0, "{ }", "step 1: layer or mean must be given, and not both"),
        (2, '{ layer = "c", mean = [6, 4] }', "step 3: layer or mean must be given, and not both"),
        (0, '{ layer = "a", output = "x" }', "step 1: output is no field of a step; those are layer, name, input"),
        (0, '{ layer = "x" }', "step 1: layer 'x' is not among the layers"),
        (1, '{ layer = "b", residual = "x" }', "step 2: residual 'x' is no earlier tensor of shape [6, 4, 16]"),
        (1, '{ layer = "b" }', "step 2: residual must be given, as the layer says"),
        (0, '{ layer = "a", residual = "input" }', "step 1: residual must be left out, as the layer says"),
        (1, '{ layer = "b", input = "b", residual = "a" }', "step 2: input 'b' is made by no earlier step"),
        (1, '{ layer = "b", name = "a", residual = "a" }', "step 2: name 'a' is taken by an earlier step"),
        (2, "{ mean = [7, 4] }", "step 3: mean must be [height, width] within its input [6, 4, 16], not [7, 4]"),
        (2, "{ mean = 6 }", "step 3: mean must be [height, width] within its input [6, 4, 16], not 6"),
        (3, '{ layer = "c", input = "b" }', "step 4: input 'b' has the shape [6, 4, 16], the layer takes [1, 16]"),
        (1, "", "count of layer 'b' is 1, steps has it 0 times"),
    ],
)
def test_bad_steps(number, step, message):
    steps = [*STEPS[:number], *([step] if step else []), *STEPS[number + 1 :]]
    with pytest.raises(InputError) as error:
        chain(steps)
    assert str(error.value).startswith("network 'net'") and message in str(error.value)
