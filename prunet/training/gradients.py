"""Logits and gradients of a stack: N networks of one architecture, every tensor `(N, *shape)`.

Autograd differentiates a single network of any kind. Plain fully connected networks are differentiated by
hand: training steps of LeNet-300-100 on a CPU are 1.4 to 1.9 times as fast, and a GPU trains a whole stack at
once.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from prunet.models.built_in import prunable
from prunet.training import norms
from prunet.training.vectors import Stack


class Network(NamedTuple):
    """Functions that compute the logits and gradients of a stack.

    Attributes:
        logits: maps a stack and images (B, C, H, W) to (N, B, classes), in evaluation mode.
        gradients: computes the gradients of each network's mean cross-entropy in training mode, from a stack,
            images (N, B, C, H, W) and labels (N, B), or probabilities of the classes (N, B, classes) in their
            place, and writes them into the tensors of another stack (new tensors at every step would take
            longer than the arithmetic). It updates the running statistics of norms in the first stack. Labels
            are smoothed by the setting `label_smoothing`, the share of each label that is spread over all
            classes (Szegedy et al. 2016, section 7). A further argument may be the logits of teachers
            (N, B, classes). Then a share of the loss, by the setting `distill`, is not the cross-entropy but
            temperature^2 times the Kullback-Leibler divergence of the softmax of logits / temperature from
            the teachers' (Hinton et al. 2015, section 2).
        recalibrate: measures the running statistics of the norms in a stack anew: each becomes its mean over
            batches of images (B, C, H, W), without dropout. It does nothing without norms.
        parameters: names of the trained tensors, in the network's order.
        stackable: whether N may be greater than one.
    """

    logits: Callable[[Stack, Tensor], Tensor]
    gradients: Callable[..., None]
    recalibrate: Callable[[Stack, Iterable[Tensor]], None]
    parameters: list[str]
    stackable: bool


def network(model: nn.Module, settings: Mapping[str, Any]) -> Network:
    """Choose the fastest functions for a model; `settings` is the study's `training` block."""
    by_hand = settings["dtype"] == "float32" and is_fully_connected(model)
    return fully_connected(model, settings) if by_hand else differentiated(model, settings)


def is_fully_connected(model: nn.Module) -> bool:
    """Return whether a model is exactly `Sequential(Flatten, Linear, ReLU, Linear, ..., ReLU, Linear)`.

    Each linear layer has its own weight and bias. Subclasses do not count, as they may compute anything.
    """
    if type(model) is not nn.Sequential or not len(model):
        return False
    flatten, *layers = model
    linear = layers[::2]
    return (
        type(flatten) is nn.Flatten
        and (flatten.start_dim, flatten.end_dim) == (1, -1)
        and len(layers) % 2 == 1
        and all(type(layer) is nn.Linear for layer in linear)
        and all(type(layer) is nn.ReLU for layer in layers[1::2])
        and len(list(model.parameters())) == 2 * len(linear)  # counts shared parameters once
        and all(parameter.requires_grad for parameter in model.parameters())
    )


def differentiated(model: nn.Module, settings: Mapping[str, Any]) -> Network:
    """Return functions for a single network of any kind, differentiated by autograd.

    Tied weights are one tensor. A tensor that the model froze (`requires_grad`) is not trained, unless it is
    prunable: survivors are. Where a model has several outputs in training, the first is its logits.
    """
    layers = set(prunable(model))
    parameters = [name for name, tensor in model.named_parameters() if tensor.requires_grad or name in layers]

    def forward(state: Mapping[str, Tensor], images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=settings["dtype"] == "bfloat16"):
            outputs = functional_call(model, dict(state), (images,))
        while not isinstance(outputs, Tensor):
            outputs = next(iter(outputs.values() if isinstance(outputs, Mapping) else outputs))
        return outputs

    @torch.no_grad()
    def logits(stack: Stack, images: Tensor) -> Tensor:
        model.eval()
        return forward(_single(stack), images).unsqueeze(0)

    def gradients(
        stack: Stack, images: Tensor, labels: Tensor, output: Stack, taught: Tensor | None = None
    ) -> None:
        model.train()
        state = _single(stack)
        leaves = [state[name].detach().requires_grad_() for name in parameters]
        with torch.enable_grad():
            outputs = forward(state | dict(zip(parameters, leaves, strict=True)), images[0])
            outputs = outputs.float()  # as under autocast
            loss = functional.cross_entropy(outputs, labels[0], label_smoothing=settings["label_smoothing"])
            if taught is not None:
                loss = _distilled(loss, outputs, taught[0].float(), settings["distill"])
        found = torch.autograd.grad(loss, leaves, materialize_grads=True)  # zeros for what is not used
        for name, gradient in zip(parameters, found, strict=True):
            output[name].copy_(gradient)

    @torch.no_grad()
    def recalibrate(stack: Stack, batches: Iterable[Tensor]) -> None:
        with norms.averaging(model) as counters:
            for name in counters:
                stack[name].zero_()
            for images in batches if counters else ():
                forward(_single(stack), images)

    return Network(logits, gradients, recalibrate, parameters, stackable=False)


def _distilled(loss: Tensor, outputs: Tensor, taught: Tensor, settings: Mapping[str, float]) -> Tensor:
    """Return the loss of which a share is the divergence from the teacher's softened probabilities."""
    share, temperature = settings["share"], settings["temperature"]
    soft, expected = ((values / temperature).log_softmax(-1) for values in (outputs, taught))
    divergence = functional.kl_div(soft, expected, reduction="batchmean", log_target=True)
    return (1 - share) * loss + share * temperature**2 * divergence


def _single(stack: Stack) -> Stack:
    """Return views of the only network's tensors."""
    return {name: tensor.squeeze(0) for name, tensor in stack.items()}


def fully_connected(model: nn.Module, settings: Mapping[str, Any]) -> Network:
    """Return functions for a stack of networks for which `is_fully_connected` is true."""
    layers = [name for name, layer in model.named_children() if type(layer) is nn.Linear]
    relu_gradient = torch.ops.aten.threshold_backward

    def activations(stack: Stack, inputs: Tensor) -> list[Tensor]:
        """Return the input of every layer (N, B, features), and the logits."""
        values = [inputs]
        for name in layers:
            weight, bias = stack[f"{name}.weight"], stack[f"{name}.bias"]
            output = torch.baddbmm(bias.unsqueeze(1), values[-1], weight.transpose(1, 2))
            values.append(output if name == layers[-1] else output.relu_())
        return values

    @torch.no_grad()
    def logits(stack: Stack, images: Tensor) -> Tensor:
        inputs = images.flatten(1)
        return activations(stack, inputs.expand(len(stack[f"{layers[0]}.bias"]), *inputs.shape))[-1]

    @torch.no_grad()
    def gradients(
        stack: Stack, images: Tensor, labels: Tensor, output: Stack, taught: Tensor | None = None
    ) -> None:
        *inputs, outputs = activations(stack, images.flatten(2))
        # d loss / d logits = (softmax - label) / B, where the label is one-hot, mixed or smoothed
        error, smoothing = outputs.softmax(-1), settings["label_smoothing"]
        if labels.is_floating_point():
            error.sub_(labels, alpha=1 - smoothing)
        else:
            error.scatter_add_(-1, labels.unsqueeze(-1), error.new_full((*labels.shape, 1), smoothing - 1))
        if smoothing:
            error.sub_(smoothing / error.shape[-1])
        if taught is not None:
            share, temperature = settings["distill"]["share"], settings["distill"]["temperature"]
            # of the divergence: temperature x (softmax(logits / temperature) - the teacher's) / B
            soft, expected = ((values / temperature).softmax(-1) for values in (outputs, taught))
            error.mul_(1 - share).add_(soft.sub_(expected), alpha=share * temperature)
        error.div_(labels.shape[1])
        for name, values in zip(reversed(layers), reversed(inputs), strict=True):
            torch.bmm(error.transpose(1, 2), values, out=output[f"{name}.weight"])
            torch.sum(error, 1, out=output[f"{name}.bias"])
            if name != layers[0]:
                error = relu_gradient(torch.bmm(error, stack[f"{name}.weight"]), values, 0)

    parameters = [f"{name}.{part}" for name in layers for part in ("weight", "bias")]
    return Network(logits, gradients, lambda stack, batches: None, parameters, stackable=True)
