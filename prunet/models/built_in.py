"""Built-in networks by name, their prunable tensors, and their initial weights."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.models import lenets, light_cnn, resnets, vgg
from prunet.models.inputs import Shape
from prunet.models.state import state

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


def glorot_truncated(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a weight from a Gaussian that is cut off at two standard deviations.

    It is TensorFlow 1's `xavier_initializer(uniform=False)`, of the code of Frankle & Carbin 2019: the
    variance before the cut is 1.3 times that of `glorot`, which the cut returns to within 1%
    (tensorflow/contrib/layers/python/layers/initializers.py).

    Args:
        weight: (out, in, *positions) of a linear layer or convolution; its values are replaced.
        generator: of the draws.
    """
    fans = weight[0].numel() + weight[:, 0].numel()
    std = math.sqrt(1.3 * 2 / fans)
    return nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std, generator=generator)


# Gaussian with variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010), or 2 / fan-in, which preserves the
# variance of features through layers with ReLU (He et al. 2015, equation 10). The fans of a filter count its
# positions.
DISTRIBUTIONS: dict[str, Callable[..., Tensor]] = {
    "glorot": nn.init.xavier_normal_,
    "glorot-truncated": glorot_truncated,
    "he": partial(nn.init.kaiming_normal_, mode="fan_in", nonlinearity="relu"),
}

# Layers of weighted sums, and their tensors of weights. All else is never pruned: biases, norms, embeddings,
# position tables, slopes.
CONVOLUTIONS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
PLAIN = (nn.Linear, *CONVOLUTIONS)
ATTENTION = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


def prunable(model: nn.Module) -> list[str]:
    """List the names of the prunable tensors, in the network's order.

    These are the weights of linear layers and convolutions, and those by which attention projects its inputs.
    """
    found = {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        for name in _weights_of(module)
    }
    return [name for name, _ in model.named_parameters() if name in found]


def _weights_of(module: nn.Module) -> tuple[str, ...]:
    if isinstance(module, nn.MultiheadAttention):
        return ATTENTION
    return ("weight",) if isinstance(module, PLAIN) else ()


def output_layer(model: nn.Module, shape: Shape) -> str:
    """Return the name of the weight that computes the network's outputs: that of the layer that runs last.

    Layers are linear ones and convolutions, and only weights that are `prunable` count. The order in which a
    model registers its layers has no effect.

    Args:
        model: on any device, `meta` too. It runs once, in evaluation mode, on an image of zeros.
        shape: (C, H, W) of an image.

    Raises:
        InputError: no such layer runs.
    """
    ran: list[str] = []
    weights = dict(model.named_parameters())
    names = {id(weights[name]): name for name in prunable(model)}

    def record(layer: nn.Module, *_: Any) -> None:
        if name := names.get(id(layer.weight)):
            ran.append(name)

    hooks = [layer.register_forward_hook(record) for layer in model.modules() if isinstance(layer, PLAIN)]
    run_once(model, torch.zeros(1, *shape, device=next(model.parameters()).device))
    for hook in hooks:
        hook.remove()
    if not ran:
        raise InputError("the model has no linear layer or convolution that prunet can prune.")
    return ran[-1]


@torch.no_grad()
def run_once(model: nn.Module, images: Tensor) -> Any:
    """Return a model's outputs for images (N, C, H, W) in evaluation mode, and return to its own mode."""
    training = model.training
    outputs = model.eval()(images)
    model.train(training)
    return outputs


def initial_weights(build: Callable[[], nn.Module], seed: int, init: str) -> dict[str, Tensor]:
    """Draw a network's weights before training.

    The model is built anew under the seed, which gives every tensor the value that the model itself draws.
    With an `init` of `DISTRIBUTIONS`, `prunable` weights then come from it, and biases of linear layers and
    convolutions are zero; scales, class tokens and position tables stay as the model drew them.

    Weights are drawn on the CPU for every device, so a seed always gives the same weights.

    Args:
        build: returns the model, new at every call, on the CPU.
        seed: of the weights.
        init: `own` or a key of `DISTRIBUTIONS`.

    Returns:
        Every tensor of the model's state, as by `state`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = build()
    weights = state(model)
    if init == "own":
        return weights
    for layer in model.modules():
        if isinstance(layer, PLAIN) and layer.bias is not None:
            layer.bias.detach().zero_()
    generator = torch.Generator().manual_seed(seed)
    for name in prunable(model):
        DISTRIBUTIONS[init](weights[name], generator=generator)
    return weights
