"""Tokens and recurrence."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.user_modules.layers import CLASSES

ENTRIES = 50


class Lstm(nn.Module):
    """Convolution over time, an LSTM, then linear layers on its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.recur = nn.Conv1d(4, 32, 3, padding=1), nn.LSTM(32, 12, batch_first=True)
        self.hidden, self.output = nn.Linear(12, 96), nn.Linear(96, CLASSES)

    def forward(self, series: Tensor) -> Tensor:
        features = torch.relu(self.front(series)).transpose(1, 2)
        steps, _ = self.recur(features)
        return self.output(torch.relu(self.hidden(steps[:, -1])))


class Gru(nn.Module):
    """A GRU in both directions and its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.recur = nn.GRU(8, 8, bidirectional=True, batch_first=True)
        self.hidden, self.middle = nn.Linear(16, 64), nn.Linear(64, 64)
        self.output = nn.Linear(64, CLASSES)

    def forward(self, series: Tensor) -> Tensor:
        _, state = self.recur(series)
        hidden = torch.relu(self.hidden(torch.cat([state[0], state[1]], dim=-1)))
        return self.output(torch.relu(self.middle(hidden)))


class BagOfWords(nn.Module):
    """Mean of embedded tokens, without the padding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.hidden = nn.Embedding(ENTRIES, 32, padding_idx=0), nn.Linear(32, 128)
        self.output = nn.Linear(128, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        present = (tokens != 0).unsqueeze(-1)
        total = self.embed(tokens).masked_fill(~present, 0.0).sum(1)
        return self.output(torch.relu(self.hidden(total / present.sum(1).clamp(min=1))))


class LanguageModel(nn.Module):
    """The output layer is the embedding (Press & Wolf 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(ENTRIES, 16)
        self.inner, self.outer = nn.Linear(16, 128), nn.Linear(128, 16)
        self.output = nn.Linear(16, ENTRIES, bias=False)
        self.output.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        stream = functional.rms_norm(self.embed(tokens), (16,))
        return self.output(stream + self.outer(functional.gelu(self.inner(stream))))


class PositionsInMean(nn.Module):
    """Each token goes through the same layers; the result is their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(12, 48), nn.Mish(), nn.Linear(48, 48), nn.ReLU())
        self.output = nn.Linear(48, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.output(self.layers(tokens).mean(dim=1))
