"""All parameters of a stack of networks in one vector: one call for the optimizer, one for the masks."""

from collections.abc import Mapping

import torch
from torch import Tensor

Stack = dict[str, Tensor]  # {tensor of the network: (N, *shape)}


def views(vector: Tensor, shapes: Mapping[str, torch.Size], channels_last: bool) -> Stack:
    """Return the parts of a vector as tensors of these shapes, (N, *shape) each.

    Filters (N, out, in, height, width) lie in memory with the input channels last, if so asked.
    """
    parts = torch.split(vector, [shape.numel() for shape in shapes.values()])
    stack = {}
    for part, (name, shape) in zip(parts, shapes.items(), strict=True):
        if channels_last and len(shape) == 5:
            count, outputs, inputs, height, width = shape
            stack[name] = part.view(count, outputs, height, width, inputs).permute(0, 1, 4, 2, 3)
        else:
            stack[name] = part.view(shape)
    return stack


def packed(stack: Stack, channels_last: bool) -> tuple[Tensor, Stack]:
    """Return the tensors of a stack in one new vector, and the views of its parts."""
    shapes = {name: tensor.shape for name, tensor in stack.items()}
    some = next(iter(stack.values()))
    vector = some.new_empty(sum(shape.numel() for shape in shapes.values()))
    parts = views(vector, shapes, channels_last)
    for name, tensor in stack.items():
        parts[name].copy_(tensor)
    return vector, parts
