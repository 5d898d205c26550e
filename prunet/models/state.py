"""Tensors of a network, each once: tied weights have several names and are one tensor."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def first_names(model: nn.Module) -> dict[str, str]:
    """Return {name: first name of the same tensor} for every name in the model's `state_dict`."""
    first: dict[int, str] = {}
    tensors = model.state_dict(keep_vars=True).items()
    return {name: first.setdefault(id(tensor), name) for name, tensor in tensors}


def state(model: nn.Module) -> dict[str, Tensor]:
    """Return every tensor of the model's state by its first name, detached, in the network's order."""
    tensors = model.state_dict()
    return {name: tensors[name] for name, first in first_names(model).items() if name == first}


def load_state(model: nn.Module, weights: Mapping[str, Any]) -> None:
    """Copy tensors or arrays, named as by `state`, into a model; tied weights stay tied.

    Raises:
        RuntimeError, KeyError: they are not those of the model.
    """
    names = first_names(model)
    unknown = {name: weights[name] for name in weights.keys() - names.keys()}
    model.load_state_dict({name: torch.as_tensor(weights[first]) for name, first in names.items()} | unknown)
