"""Built-in networks by name, their prunable tensors, and their initial weights."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from prunet.models import lenets, light_cnn, resnets, vgg

# Each function builds a network for images of a shape (channels, height, width) and a number of classes.
MODELS = {
    "lenet-300-100": lenets.lenet_300_100,
    "mlp-1000-1000-500-200": lenets.mlp_1000_1000_500_200,
    "lenet-5": lenets.lenet_5,
    "light-cnn-9": light_cnn.light_cnn_9,
    "light-cnn-29": light_cnn.light_cnn_29,
    "resnet-20": resnets.resnet_20,
    "resnet-56": resnets.resnet_56,
    "vgg-16": vgg.vgg_16,
    "resnet-50": resnets.resnet_50,
}

# Gaussian with variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010), or 2 / fan-in, which preserves the
# variance of features through layers with ReLU (He et al. 2015, equation 10). The fans of a filter count its
# positions.
DISTRIBUTIONS: dict[str, Callable[..., Tensor]] = {
    "glorot": nn.init.xavier_normal_,
    "he": partial(nn.init.kaiming_normal_, mode="fan_in", nonlinearity="relu"),
}

# Initial values of biases, and of the scales and running statistics of BatchNorm.
CONSTANTS = {"bias": 0, "weight": 1, "running_mean": 0, "running_var": 1, "num_batches_tracked": 0}


def prunable(model: nn.Module) -> list[str]:
    """List the names of the prunable tensors, in the network's order: weight matrices and filters.

    Biases and the parameters of norms have one dimension and are never pruned.
    """
    return [name for name, parameter in model.named_parameters() if parameter.ndim > 1]


def initial_weights(model: nn.Module, seed: int, distribution: str) -> dict[str, Tensor]:
    """Draw a network's weights before training; biases are zero, scales of norms one.

    The result does not depend on the model's current values. Weights are drawn on the CPU for every device,
    so a seed always gives the same weights.

    Args:
        model: the network.
        seed: of the weights.
        distribution: a key of `DISTRIBUTIONS`.

    Returns:
        Every tensor of the model's state, on the CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    for name, tensor in weights.items():
        if tensor.ndim > 1:
            DISTRIBUTIONS[distribution](tensor, generator=generator)
        else:
            tensor.fill_(CONSTANTS[name.rpartition(".")[2]])
    return weights
