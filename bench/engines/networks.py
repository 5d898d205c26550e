"""The networks that are timed: dense, and with most weights pruned."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.inference import DIGITS, initial, lowest, masked
from prunet.models import built_in

CHANNELS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


class Network(NamedTuple):
    """A network and a batch for it.

    Attributes:
        name: of the network and its sparsity.
        dense, pruned: the forms, in evaluation mode; `pruned` has zeros where pruned.
        images: (B, C, H, W).
    """

    name: str
    dense: nn.Sequential
    pruned: nn.Sequential
    images: Tensor


def networks(quick: bool) -> list[Network]:
    """Return LeNet-300-100 at batch 1 and 64, and a MobileNet at batch 1."""
    found = [lenet(0.95, 1)]
    return found if quick else [*found, lenet(0.95, 64), mobile(0.9), mobile(0.95)]


def lenet(sparsity: float, batch: int) -> Network:
    """Return LeNet-300-100 with the lowest weights of each layer pruned."""
    dense = initial(built_in.MODELS["lenet-300-100"](DIGITS, 10))
    return _network("LeNet-300-100", dense, sparsity, torch.rand(batch, *DIGITS), list(dense.state_dict()))


def mobile(sparsity: float) -> Network:
    """Return a MobileNet (Howard et al. 2017) without batch norm, its 1x1 convolutions pruned; 96x96 pixels.

    Every 3x3 convolution pads one pixel on each side, as XNNPACK demands of a sparse network.
    """
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU()]
    before = 32
    for channels, stride in CHANNELS:
        layers += [nn.Conv2d(before, before, 3, stride, 1, groups=before), nn.ReLU()]
        layers += [nn.Conv2d(before, channels, 1), nn.ReLU()]
        before = channels
    dense = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10)).eval()
    pointwise = [
        f"{name}.weight"
        for name, layer in dense.named_children()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)
    ]
    return _network("MobileNet", dense, sparsity, torch.rand(1, 3, 96, 96), pointwise)


def _network(name: str, dense: nn.Module, sparsity: float, images: Tensor, weights: list[str]) -> Network:
    masks = {key: mask for key, mask in lowest(dense, sparsity).items() if key in weights}
    pruned = masked(dense, masks)
    for form in (dense, pruned):
        form.requires_grad_(False)
    assert isinstance(dense, nn.Sequential)
    assert isinstance(pruned, nn.Sequential)
    return Network(f"{name}, {sparsity:.0%} pruned", dense, pruned, images)
