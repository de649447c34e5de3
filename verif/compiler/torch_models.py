"""Small float PyTorch models by name, with random weights, and inputs for them."""

import torch
from torch import nn
from torch.nn import functional


class Stem(nn.Module):
    """Batch normalisation to fold."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16)
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        return functional.relu(self.norm(self.conv(x)))


class Residual(nn.Module):
    """A residual for the drain, and one that ends in a pool."""

    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.left, self.right = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding="same", dilation=2)

    def forward(self, x):
        x = self.stem(x)
        x = functional.relu(self.left(x) + x)
        return functional.max_pool2d(functional.relu6(x + self.right(x)), 3, 2, 1)


class Depthwise(nn.Module):
    """Depthwise and grouped convolutions with functions that become tables."""

    def __init__(self):
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(3, 16, 1, stride=2), nn.Hardswish())
        self.depthwise, self.grouped = (
            nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=16),
            nn.Conv2d(16, 8, 3, groups=2),
        )

    def forward(self, x):
        x = functional.silu(self.depthwise(self.expand(x)))
        return torch.sigmoid(self.grouped(x))


class Mlp(nn.Module):
    """Dense layers on tokens; GELU of both kinds, one of them written out."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(32, 48), nn.GELU(), nn.Linear(48, 40), nn.GELU("tanh"))
        self.last = nn.Linear(40, 32)

    def forward(self, x):
        x = self.last(self.layers(x))
        return functional.relu(0.5 * x * (1 + torch.tanh(0.8 * (x + 0.044715 * x**3))))


class Classifier(nn.Module):
    """A mean over images, logits that stay wide, and a ReLU that writes to its operand."""

    def __init__(self):
        super().__init__()
        self.conv, self.dense = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(inplace=True)), nn.Linear(16, 10)

    def forward(self, x):
        return self.dense(self.conv(x).mean((2, 3)))


class Attention(nn.Module):
    """A block of a transformer: heads of one product, softmax, a residual stream that stays wide."""

    def __init__(self):
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(32), nn.Linear(32, 96), nn.Linear(32, 32)

    def forward(self, x):
        n, t, c = x.shape
        heads = self.qkv(self.norm(x)).view(n, t, 3, 4, c // 4).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], is_causal=True)
        return x + self.out(mixed.transpose(1, 2).reshape(n, t, c))


class Gated(nn.Module):
    """A product of two computed tensors, which the machine has not, and a concat."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate, self.last = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 1), nn.Conv2d(32, 8, 1)

    def forward(self, x):
        x = functional.relu(self.conv(x))
        y = x * torch.sigmoid(self.gate(functional.adaptive_avg_pool2d(x, 1)))
        return functional.relu(self.last(torch.cat([x, y], 1)))


MODELS = {
    "residual": Residual,
    "depthwise": Depthwise,
    "mlp": Mlp,
    "classifier": Classifier,
    "attention": Attention,
    "gated": Gated,
}
TOKENS = ("mlp", "attention")


def model_of(name: str) -> nn.Module:
    torch.manual_seed(sorted(MODELS).index(name))
    return MODELS[name]().eval()


def inputs_of(name: str, batch: int = 4, seed: int = 1) -> torch.Tensor:
    shape = (batch, 12, 32) if name in TOKENS else (batch, 3, 12, 12)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
