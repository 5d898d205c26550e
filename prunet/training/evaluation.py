"""Loss and accuracy of a stack of networks on a split."""

import torch
from torch.nn import functional

from prunet.training.batches import Split, chunks
from prunet.training.gradients import Network
from prunet.training.pixels import centre
from prunet.training.vectors import Stack

EVALUATION_BATCH = 500  # images; bounds the memory that evaluation takes


@torch.no_grad()
def evaluate(network: Network, stack: Stack, split: Split, size: int) -> tuple[list[float], list[float]]:
    """Return each network's mean cross-entropy (nats) and accuracy (0 to 1) over a split's centre crops."""
    loss = right = torch.zeros(len(next(iter(stack.values()))), dtype=torch.float64, device=split[1].device)
    for images, labels in chunks(split, EVALUATION_BATCH):
        logits = network.logits(stack, centre(images, size)).float()  # (N, B, classes)
        expected = labels.expand(logits.shape[:2])
        losses = functional.cross_entropy(logits.flatten(0, 1), expected.flatten(), reduction="none")
        loss = loss + losses.view(expected.shape).double().sum(1)
        right = right + (logits.argmax(-1) == expected).sum(1)
    count = len(split[1])
    return (loss / count).tolist(), (right / count).tolist()
