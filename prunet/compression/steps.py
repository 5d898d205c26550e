"""Steps of compression: each makes smaller networks, or better ones, of those that it is given."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.cells.masks import Masks, Weights
from prunet.compression import grids, low_rank, rank_choice
from prunet.deployment import coding
from prunet.deployment.metadata import is_bias


class Networks(NamedTuple):
    """R networks of one architecture on their way through the steps.

    Attributes:
        model: the architecture, on the CPU; its own weights are not used.
        weights: (R, *shape) of every tensor, zero where pruned.
        masks: (R, *shape) of every prunable layer.
        whole_units: whether masks removed whole units, whose biases and norms then stay zero too.
        bytes: of each network's smallest file, where a step made its weights of few bits; otherwise empty.
        int8: whether they are delivered with weights and activations of 8 bits.
    """

    model: nn.Module
    weights: Weights
    masks: Masks
    whole_units: bool
    bytes: tuple[int, ...] = ()
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

    def stored(self, number: int) -> int:
        """Return the bytes of a network's smallest file; of weights that are floats, a lossless one."""
        return self.bytes[number] if self.bytes else coded_bytes(*self.one(number), None)


class Tools(NamedTuple):
    """What the steps need besides networks.

    Attributes:
        settings: the block `compress` of params.yaml.
        ticket: returns the pruned networks of the study.
        train: trains networks again, with the dense ones as teachers if its second argument is true.
        share_values: trains networks whose layers have 2**bits values each (`shared_values.train`).
        images: (B, C, H, W), a few, prepared.
    """

    settings: Mapping[str, Any]
    ticket: Callable[[], Networks]
    train: Callable[[Networks, bool], Networks]
    share_values: Callable[[Networks, int], Networks]
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
    return networks._replace(model=found.model, weights=found.weights, masks=found.masks)


def train(networks: Networks, tools: Tools) -> Networks:
    """Train again from the present values, as long as the study trains."""
    return tools.train(networks, False)


def distill(networks: Networks, tools: Tools) -> Networks:
    """Train again, with the dense network of the same replicate as teacher."""
    return tools.train(networks, True)


def share_values(networks: Networks, tools: Tools) -> Networks:
    """Let weights of a layer share 2**bits values, and train these for an epoch."""
    bits = tools.settings["bits"]
    shared = tools.share_values(networks, bits)
    sizes = (coded_bytes(*shared.one(number), bits) for number in range(shared.replicates))
    return shared._replace(bytes=tuple(sizes))


def four_bits(networks: Networks, tools: Tools) -> Networks:
    """Round weights to -7 to 7 times a scale for each output."""
    return _few_bits(4, networks, tools)


def signs(networks: Networks, tools: Tools) -> Networks:
    """Keep the signs of weights, times a scale for each output (Rastegari et al. 2016)."""
    return _few_bits(1, networks, tools)


def _few_bits(bits: int, networks: Networks, tools: Tools) -> Networks:
    whole = {f"{name}.weight" for name in tools.settings["leave_whole"]}
    found = [
        grids.quantise(*networks.one(number), bits, whole=whole) for number in range(networks.replicates)
    ]
    weights = {name: np.stack([one[name] for one, _ in found]) for name in networks.weights}
    return networks._replace(weights=weights, bytes=tuple(sizes["bytes_coded"] for _, sizes in found))


def eight_bits(networks: Networks, tools: Tools) -> Networks:
    """Deliver weights and activations as integers of 8 bits."""
    return networks._replace(int8=True)


STEPS: dict[str, Callable[[Networks, Tools], Networks]] = {
    "prune": prune,
    "low-rank": divide,
    "train": train,
    "distill": distill,
    "shared-values": share_values,
    "int8": eight_bits,
    "int4": four_bits,
    "binary": signs,
}


def coded_bytes(weights: Weights, masks: Masks, bits: int | None) -> int:
    """Return the bytes of one network with the entropy of its masks and survivors.

    Args:
        weights: (*shape) of every tensor.
        masks: (*shape) of every prunable layer.
        bits: None: survivors are stored losslessly. 1 to 8: survivors, and biases that are not zero, as
            entries of a codebook of each tensor.
    """
    to = coding.encoder()
    for name, values in weights.items():
        shares = bits is not None and is_bias(name, values.dtype)
        if name not in masks and not shares:
            coding.encode_array(to, values)
            continue
        mask = masks.get(name, values != 0)
        coding.encode_mask(to, mask)
        if bits is None:
            coding.encode_floats(to, values[mask])
        else:
            coding.encode_codebook(to, values[mask], bits)
    return int(to.get_compressed().nbytes)
