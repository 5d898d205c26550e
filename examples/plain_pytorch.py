"""Prune half of the filters of a network in a plain PyTorch loop: `python -m examples.plain_pytorch`."""

import torch
from torch import Tensor, nn

import prunet


def draw(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return noisy images (N, 1, 12, 12) with a bright quarter, and which quarter it is."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (count,), generator=generator)
    images = torch.randn(count, 1, 2, 6, 2, 6, generator=generator)
    images[torch.arange(count), 0, labels // 2, :, labels % 2] += 0.5
    return images.view(count, 1, 12, 12), labels


def train(model: nn.Module, steps: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=1e-2)
    for step in range(steps):
        images, labels = draw(64, step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()


def report(name: str, model: nn.Module) -> None:
    images, labels = draw(1000, 10**6)
    accuracy = (model.eval()(images).argmax(1) == labels).float().mean()
    model.train()
    print(f"{name}: accuracy {accuracy:.3f}, {sum(value.numel() for value in model.parameters())} parameters")


def main() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32)]
    model = nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 4))
    train(model, 60)
    report("dense", model)
    example, _ = draw(2, 0)
    masks = prunet.prune(model, example, criterion="filter-l2", rate=0.5)
    with prunet.masked(model, masks):
        train(model, 30)
    report("smaller", prunet.shrink(model, example, masks))


if __name__ == "__main__":
    main()
