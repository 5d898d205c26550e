"""The networks by name, what of them is pruned, and their initial weights."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from prunet.models import lenets, light_cnn, resnets, vgg

# Each makes a network from the shape of its input images (channels, height, width) and its classes.
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

# Gaussian, of variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010), or of 2 / fan-in, which keeps the size
# of features through layers with ReLU (He et al. 2015, equation 10). Fans of a filter count its positions.
DISTRIBUTIONS: dict[str, Callable[..., Tensor]] = {
    "glorot": nn.init.xavier_normal_,
    "he": partial(nn.init.kaiming_normal_, mode="fan_in", nonlinearity="relu"),
}

# What is not drawn: biases, and a BatchNorm's scales and running statistics.
CONSTANTS = {"bias": 0, "weight": 1, "running_mean": 0, "running_var": 1, "num_batches_tracked": 0}


def prunable(model: nn.Module) -> list[str]:
    """Name the tensors that are pruned, in the network's order: weight matrices and filters.

    Biases and the parameters of norms (one dimension) are not.
    """
    return [name for name, parameter in model.named_parameters() if parameter.ndim > 1]


def initial_weights(model: nn.Module, seed: int, distribution: str) -> dict[str, Tensor]:
    """Draw the weights before training, from one of `DISTRIBUTIONS`; biases are zero, scales of norms one.

    Returns every tensor of the model's state, whatever its values are now. The draws come from the CPU's
    generator on every device, so a seed means the same weights everywhere.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    for name, tensor in weights.items():
        if tensor.ndim > 1:
            DISTRIBUTIONS[distribution](tensor, generator=generator)
        else:
            tensor.fill_(CONSTANTS[name.rpartition(".")[2]])
    return weights
