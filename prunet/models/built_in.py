"""Built-in networks by name, their prunable tensors, and their initial weights."""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from prunet.models import lenets, light_cnn, resnets, vgg
from prunet.models.inputs import Shape

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

    """
    ran: list[str] = []
    names = set(prunable(model))
    layers = {module: prefix for prefix, module in model.named_modules() if isinstance(module, PLAIN)}
    hooks = [
        module.register_forward_hook(lambda module, *_: ran.append(f"{layers[module]}.weight".lstrip(".")))
        for module in layers
    ]
    training = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, *shape, device=next(model.parameters()).device))
    model.train(training)
    for hook in hooks:
        hook.remove()
    return [name for name in ran if name in names][-1]


def initial_weights(model: nn.Module, seed: int, distribution: str) -> dict[str, Tensor]:
    """Draw a network's weights before training.

    `prunable` weights come from the distribution; biases of linear layers and convolutions are zero. All
    other modules get the values that their own `reset_parameters` gives them under the seed: norms scales of
    one, embeddings random values. A parameter of a module without that method keeps its value.

    Weights are drawn on the CPU for every device, so a seed always gives the same weights.

    Args:
        model: the network.
        seed: of the weights.
        distribution: a key of `DISTRIBUTIONS`.

    Returns:
        Every tensor of the model's state, on the CPU.
    """
    fresh = copy.deepcopy(model).cpu()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        for module in fresh.modules():
            if isinstance(module, PLAIN):
                if module.bias is not None:
                    module.bias.zero_()
            elif reset := getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None)):
                reset()  # of attention, the name begins with an underscore
    generator = torch.Generator().manual_seed(seed)
    weights = {name: tensor.detach() for name, tensor in fresh.state_dict().items()}
    for name in prunable(fresh):
        DISTRIBUTIONS[distribution](weights[name], generator=generator)
    return weights
