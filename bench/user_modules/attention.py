"""Attention, transformers and what stands in for them."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.user_modules.layers import CLASSES

WIDTH, HEADS = 32, 4


class Mlp(nn.Sequential):
    """The two linear layers of a transformer."""

    def __init__(self, width: int = WIDTH, hidden: int = 96) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class MultiheadAttention(nn.Module):
    """PyTorch's own attention."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attend = nn.LayerNorm(WIDTH), nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.mlp, self.output = Mlp(), nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.norm(tokens)
        tokens = tokens + self.attend(normed, normed, normed, need_weights=False)[0]
        return self.output((tokens + self.mlp(tokens)).mean(1))


class QkvInOneLayer(nn.Module):
    """Query, key and value from one linear layer, and attention written out."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.project = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm, self.mlp, self.output = nn.LayerNorm(WIDTH), Mlp(), nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        count, length, width = tokens.shape
        qkv = self.qkv(self.norm(tokens)).reshape(count, length, 3, HEADS, width // HEADS)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attention = (query @ key.transpose(-2, -1)) * (width // HEADS) ** -0.5
        attended = (attention.softmax(-1) @ value).transpose(1, 2).reshape(count, length, width)
        tokens = tokens + self.project(attended)
        return self.output((tokens + self.mlp(tokens)).mean(1))


class ScaledDotProductAttention(nn.Module):
    """A layer each for query, key and value, and the fused function."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)
        self.value, self.project = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        split = [
            layer(tokens).view(*tokens.shape[:2], HEADS, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        ]
        attended = functional.scaled_dot_product_attention(*split)
        return self.output(self.project(attended.transpose(1, 2).flatten(2)).mean(1))


class TransformerEncoder(nn.Module):
    """PyTorch's own encoder layer."""

    def __init__(self, *, norm_first: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(12, WIDTH)
        self.encode = nn.TransformerEncoderLayer(
            WIDTH, HEADS, dim_feedforward=96, batch_first=True, norm_first=norm_first
        )
        self.output = nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.output(self.encode(self.embed(tokens))[:, 0])


class CrossAttention(nn.Module):
    """Queries of the first input attend to the second."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(WIDTH, HEADS, kdim=12, vdim=12, batch_first=True)
        self.mlp, self.output = Mlp(), nn.Linear(WIDTH, CLASSES)

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        attended, _ = self.attend(queries, memory, memory)
        return self.output(self.mlp(attended) + queries)


class VisionTransformer(nn.Module):
    """Patches, a class token and position embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, 4)
        self.token, self.positions = (
            nn.Parameter(torch.zeros(1, 1, WIDTH)),
            nn.Parameter(torch.zeros(17, WIDTH)),
        )
        self.attend, self.mlp = MultiheadAttention().attend, Mlp(hidden=128)
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(3)])
        self.output = nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1) + self.positions
        normed = self.norms[0](tokens)
        tokens = tokens + self.attend(normed, normed, normed, need_weights=False)[0]
        tokens = tokens + self.mlp(self.norms[1](tokens))
        return self.output(self.norms[2](tokens)[:, 0])


class BiasOfHeads(nn.Module):
    """Attention with a learned table of biases for each head."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.project = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.table, self.mlp = nn.Parameter(torch.randn(19, HEADS)), Mlp()
        self.register_buffer("distances", torch.arange(10)[:, None] - torch.arange(10) + 9)
        self.output = nn.Linear(WIDTH, CLASSES)

    distances: Tensor

    def forward(self, tokens: Tensor) -> Tensor:
        count, length, width = tokens.shape
        query, key, value = (
            part.view(count, length, HEADS, width // HEADS).transpose(1, 2)
            for part in self.qkv(tokens).chunk(3, dim=-1)
        )
        bias = self.table[self.distances].permute(2, 0, 1).unsqueeze(0)
        scores = torch.matmul(query / 2.8, key.transpose(-1, -2)) + bias
        attended = torch.matmul(functional.softmax(scores, -1), value).transpose(1, 2)
        tokens = tokens + self.project(attended.reshape(count, length, width))
        return self.output(self.mlp(tokens).mean(dim=1))


class Mixer(nn.Module):
    """Linear layers over positions and over channels (Tolstikhin et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.channels = Mlp(10, 64), Mlp()
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(2)])
        self.output = nn.Linear(WIDTH, CLASSES)

    def forward(self, stream: Tensor) -> Tensor:
        stream = stream + self.tokens(self.norms[0](stream).transpose(1, 2)).transpose(1, 2)
        stream = stream + self.channels(self.norms[1](stream))
        return self.output(stream.mean(1))
