"""Prune heads and hidden units of a vision transformer of timm: `python -m examples.timm_loop`."""

import timm
import torch
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from torch import Tensor, nn

import prunet
from examples.plain_pytorch import draw, report


def train(model: nn.Module, steps: int) -> nn.Module:
    """Train a model as timm does, and return its moving average."""
    optimizer = create_optimizer_v2(model, opt="adamw", lr=5e-3, weight_decay=0.05)
    average = ModelEmaV3(model, decay=0.8)
    for step in range(steps):
        images, labels = draw(64, step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update(model)
    return average.module


def main() -> None:
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224",
        in_chans=1,
        num_classes=4,
        global_pool="avg",
        img_size=12,
        patch_size=6,
        embed_dim=32,
        depth=2,
        num_heads=4,
    )
    nn.init.normal_(model.get_parameter("pos_embed"), std=0.5)  # learns positions in few steps
    report("dense", train(model, 60))
    example: Tensor = draw(2, 0)[0]
    masks = prunet.prune(model, example, criterion="unit-l2", rate=0.5)
    with prunet.masked(model, masks):
        average = train(model, 30)
    report("smaller", prunet.shrink(average, example, masks))


if __name__ == "__main__":
    main()
