"""Networks of torchvision and timm, and small ones as users write them, with random weights."""

import importlib

import torch
from torch import Tensor, nn

from bench.coverage.randomise import randomise
from bench.user_modules import cases

Inputs = tuple[Tensor, ...]

TIMM = [
    "resnet50d", "efficientnet_b0", "mobilenetv3_large_100", "convnext_tiny", "convnext_atto",
    "vit_tiny_patch16_224", "deit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "regnety_002",
    "densenet121", "dla34", "hrnet_w18_small", "repvgg_a0", "ghostnet_100", "mixer_s16_224",
    "edgenext_xx_small", "efficientformer_l1", "mobilevit_xxs", "nfnet_l0", "dm_nfnet_f0", "resnest14d",
    "xception",
]  # fmt: skip
FIXED = ("vit_tiny", "deit", "swin", "mixer", "efficientformer")  # timm's networks for 224x224 images alone
IN_FLOAT64 = 150_000_000  # most parameters of a network that is compared in float64


def names() -> list[str]:
    """List all networks, as LIBRARY:NAME."""
    models = importlib.import_module("torchvision.models")
    return [
        *(f"torchvision:{name}" for name in models.list_models(module=models)),
        *(f"timm:{name}" for name in TIMM),
        *(f"own:{name}" for name in cases.CASES),
    ]


def build(name: str) -> tuple[nn.Module, Inputs, Inputs]:
    """Return a network with random weights in evaluation mode, an example of two inputs, and three others.

    Small images keep it fast. Networks of up to 150 million parameters are in float64, others in float32.
    """
    torch.manual_seed(0)
    library, _, own = name.partition(":")
    model, example = {"torchvision": _torchvision, "timm": _timm, "own": cases.build}[library](own)
    if sum(parameter.numel() for parameter in model.parameters()) <= IN_FLOAT64:
        model.double()
        example = tuple(value.double() if value.is_floating_point() else value for value in example)
    others = tuple(_other(value) for value in example)
    randomise(model, example)
    return model, example, others


def _other(value: Tensor) -> Tensor:
    more = torch.cat([value, value[:1]])
    return torch.randn_like(more) if value.is_floating_point() else more.roll(1, -1)


def _torchvision(name: str) -> tuple[nn.Module, Inputs]:
    models = importlib.import_module("torchvision.models")
    size = {"vit_h_14": 56, "maxvit_t": 224, "inception_v3": 96}.get(name, 64)
    options = {"image_size": size} if name.startswith("vit_") else {}
    if name in ("inception_v3", "googlenet"):
        options |= {"init_weights": False}
    return models.get_model(name, weights=None, **options), (torch.randn(2, 3, size, size),)


def _timm(name: str) -> tuple[nn.Module, Inputs]:
    size = 224 if name.startswith(FIXED) else 64
    return importlib.import_module("timm").create_model(name, pretrained=False), (
        torch.randn(2, 3, size, size),
    )
