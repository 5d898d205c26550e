"""All parameters of a stack in one vector, so that the optimizer and the masks take one call each."""

from collections.abc import Mapping

import torch
from torch import Tensor

Stack = dict[str, Tensor]  # {tensor of the network: (N, *shape)}


def views(vector: Tensor, shapes: Mapping[str, torch.Size], channels_last: bool) -> Stack:
    """Return consecutive parts of a vector as tensors of these shapes, (N, *shape) each.

    With `channels_last`, filters (N, out, in, height, width) have that memory layout.
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


def pack(stack: Stack, channels_last: bool) -> tuple[Tensor, Stack]:
    """Copy the tensors of a stack into one new vector; return the vector and its views."""
    shapes = {name: tensor.shape for name, tensor in stack.items()}
    first = next(iter(stack.values()))
    vector = first.new_empty(sum(shape.numel() for shape in shapes.values()))
    parts = views(vector, shapes, channels_last)
    for name, tensor in stack.items():
        parts[name].copy_(tensor)
    return vector, parts
