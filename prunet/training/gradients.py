"""Logits and gradients of a stack of networks: N networks of one shape, every tensor `(N, *shape)`.

Two ways to the same numbers: PyTorch differentiates any single network; fully connected ones are
differentiated by hand, several beside one another, which on small layers takes two thirds of the time.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from prunet.training.vectors import Stack


class Network(NamedTuple):
    """What training needs to know of a network.

    Attributes:
        logits: maps a stack and images (B, C, H, W) to (N, B, classes), in evaluation mode.
        gradients: from a stack, images (N, B, C, H, W) and labels (N, B) computes the gradients of each
            network's mean cross-entropy, in training mode, and writes them into the tensors of another
            stack: fresh memory for every step would cost more than the arithmetic that fills it. Running
            statistics of norms, which are in the first stack, move. Labels are smoothed by the settings'
            `label_smoothing` (Szegedy et al. 2016, section 7): so much of each goes to all classes alike.
        parameters: names of the tensors that are trained, in the network's order.
        stackable: whether N may be greater than one.
    """

    logits: Callable[[Stack, Tensor], Tensor]
    gradients: Callable[[Stack, Tensor, Tensor, Stack], None]
    parameters: list[str]
    stackable: bool


def network(model: nn.Module, settings: Mapping[str, Any]) -> Network:
    """Choose the way for this model; `settings` is the study's `training` block."""
    by_hand = settings["dtype"] == "float32" and all(
        isinstance(layer, nn.Flatten | nn.Linear | nn.ReLU) for layer in model.children()
    )
    return fully_connected(model, settings) if by_hand else differentiated(model, settings)


def differentiated(model: nn.Module, settings: Mapping[str, Any]) -> Network:
    """One network of any kind, differentiated by PyTorch."""
    parameters = [name for name, _ in model.named_parameters()]

    def logits(stack: Stack, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=settings["dtype"] == "bfloat16"):
            # A view, not an index: the gradient of an index is a copy in another memory layout.
            single = {name: tensor.squeeze(0) for name, tensor in stack.items()}
            return functional_call(model, single, (images,)).unsqueeze(0)  # type: ignore[no-any-return]

    def evaluated(stack: Stack, images: Tensor) -> Tensor:
        model.eval()
        with torch.no_grad():
            return logits(stack, images)

    def gradients(stack: Stack, images: Tensor, labels: Tensor, output: Stack) -> None:
        model.train()
        leaves = {name: stack[name].detach().requires_grad_() for name in parameters}
        with torch.enable_grad():
            outputs = logits(stack | leaves, images[0])[0].float()  # as autocast has it
            smoothing = settings["label_smoothing"]
            loss = functional.cross_entropy(outputs, labels[0], label_smoothing=smoothing)
        for name, gradient in zip(parameters, torch.autograd.grad(loss, list(leaves.values())), strict=True):
            output[name].copy_(gradient)

    return Network(evaluated, gradients, parameters, stackable=False)


def fully_connected(model: nn.Module, settings: Mapping[str, Any]) -> Network:
    """Linear layers with ReLU between them, differentiated by hand; dropout and norms are not."""
    layers = [name for name, layer in model.named_children() if isinstance(layer, nn.Linear)]
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
    def gradients(stack: Stack, images: Tensor, labels: Tensor, output: Stack) -> None:
        *inputs, outputs = activations(stack, images.flatten(2))
        # d loss / d logits = (softmax - label) / B; the label is one-hot, or smoothed
        error, smoothing = outputs.softmax(-1), settings["label_smoothing"]
        error.scatter_add_(-1, labels.unsqueeze(-1), error.new_full((*labels.shape, 1), smoothing - 1))
        if smoothing:
            error.sub_(smoothing / error.shape[-1])
        error.div_(labels.shape[1])
        for name, values in zip(reversed(layers), reversed(inputs), strict=True):
            torch.bmm(error.transpose(1, 2), values, out=output[f"{name}.weight"])
            torch.sum(error, 1, out=output[f"{name}.bias"])
            if name != layers[0]:
                error = relu_gradient(torch.bmm(error, stack[f"{name}.weight"]), values, 0)

    parameters = [f"{name}.{part}" for name in layers for part in ("weight", "bias")]
    return Network(logits, gradients, parameters, stackable=True)
