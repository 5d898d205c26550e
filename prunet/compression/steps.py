"""Steps of compression: each makes smaller networks, or better ones, of those that it is given."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.cells.masks import Masks, Weights
from prunet.compression import low_rank, rank_choice
from prunet.deployment import grids
from prunet.deployment.compact import LOSSLESS
from prunet.deployment.metadata import Storage


class Networks(NamedTuple):
    """R networks of one architecture on their way through the steps.

    Attributes:
        model: the architecture, on the CPU; its own weights are not used.
        weights: (R, *shape) of every tensor, zero where pruned.
        masks: (R, *shape) of every prunable layer.
        whole_units: whether masks removed whole units, whose biases and norms then stay zero too.
        ranks: of layers in two parts (`models.factors.divide`).
        storage: how a ticket file stores the weights exactly as they are.
        int8: whether they are delivered with weights and activations of 8 bits.
    """

    model: nn.Module
    weights: Weights
    masks: Masks
    whole_units: bool
    ranks: Mapping[str, int] = MappingProxyType({})
    storage: Storage = LOSSLESS
    int8: bool = False

    @property
    def replicates(self) -> int:
        """Number of networks."""
        return len(next(iter(self.weights.values())))

    def one(self, number: int) -> tuple[Weights, Masks]:
        """Return the tensors and masks (*shape) of one network."""
        parts = (self.weights, self.masks)
        weights, masks = ({name: array[number] for name, array in part.items()} for part in parts)
        return weights, masks


class Tools(NamedTuple):
    """Settings, images and functions that the steps use.

    Attributes:
        settings: the block `compress` of params.yaml.
        ticket: returns the pruned networks of the study.
        train: trains networks again, with the dense ones as teachers if its second argument is true.
        share_values: trains networks whose layers have few values each (`shared_values.train`).
        train_int8: trains networks in the arithmetic of int8 files (`int8_training.train`).
        images: (B, C, H, W), a few, prepared.
    """

    settings: Mapping[str, Any]
    ticket: Callable[[], Networks]
    train: Callable[[Networks, bool], Networks]
    share_values: Callable[[Networks, Storage], Networks]
    train_int8: Callable[[Networks], Networks]
    images: Tensor


def prune(networks: Networks, tools: Tools) -> Networks:
    """Take the study's pruned networks of one round in place of the dense ones."""
    return tools.ticket()


def divide(networks: Networks, tools: Tools) -> Networks:
    """Make two layers of each that gets smaller so, by singular values, without training."""
    rule, amount = tools.settings["rank"]["rule"], tools.settings["rank"]["amount"]
    given = networks.model, networks.weights, networks.masks
    ranks, _ = rank_choice.choose(*given, rule, amount, tools.settings["leave_whole"])
    if not ranks:
        raise InputError(
            f"low-rank makes no layer smaller with {rule} {amount}: lower compress.rank.amount, or leave out "
            "the step."
        )
    found = low_rank.factor(*given, ranks, tools.images)
    return networks._replace(model=found.model, weights=found.weights, masks=found.masks, ranks=ranks)


def train(networks: Networks, tools: Tools) -> Networks:
    """Train again from the present values, as long as the study trains."""
    return tools.train(networks, False)


def distill(networks: Networks, tools: Tools) -> Networks:
    """Train again, with the dense network of the same replicate as teacher."""
    return tools.train(networks, True)


def share_values(networks: Networks, tools: Tools) -> Networks:
    """Let weights of a layer share 2**bits values, and train these for an epoch."""
    bits = tools.settings["bits"]
    storage = Storage(bits, biases=True, whole=_whole(tools))
    return tools.share_values(networks, storage)._replace(storage=storage)


def four_bits(networks: Networks, tools: Tools) -> Networks:
    """Round weights to -7 to 7 times a scale for each output."""
    return _few_bits(4, networks, tools)


def signs(networks: Networks, tools: Tools) -> Networks:
    """Keep the signs of weights, times a scale for each output (Rastegari et al. 2016)."""
    return _few_bits(1, networks, tools)


def _few_bits(bits: int, networks: Networks, tools: Tools) -> Networks:
    storage = Storage(bits, grid=True, whole=_whole(tools))
    weights = dict(networks.weights)
    for name in networks.masks.keys() - set(storage.whole):
        if not np.isfinite(weights[name]).all():
            raise InputError(f"{name} has weights that are not finite: only finite weights can be quantised.")
        pairs = zip(weights[name], networks.masks[name], strict=True)
        weights[name] = np.stack([grids.quantise(weight, mask, bits) for weight, mask in pairs])
    return networks._replace(weights=weights, storage=storage)


def _whole(tools: Tools) -> tuple[str, ...]:
    return tuple(f"{name}.weight" for name in tools.settings["leave_whole"])


def eight_bits(networks: Networks, tools: Tools) -> Networks:
    """Deliver weights and activations as integers of 8 bits."""
    return networks._replace(int8=True)


def train_eight_bits(networks: Networks, tools: Tools) -> Networks:
    """Train for an epoch in simulated arithmetic of 8 bits, then deliver as int8 does."""
    return eight_bits(tools.train_int8(networks), tools)


STEPS: dict[str, Callable[[Networks, Tools], Networks]] = {
    "prune": prune,
    "low-rank": divide,
    "train": train,
    "distill": distill,
    "shared-values": share_values,
    "int8": eight_bits,
    "int8-train": train_eight_bits,
    "int4": four_bits,
    "binary": signs,
}
