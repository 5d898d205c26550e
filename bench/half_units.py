"""Parameters and multiply-adds of every model without half of its units.

    python -m bench.half_units

Prints a table in Markdown. The removed half is drawn at random, and the smaller network is not trained.
"""

from functools import partial

import numpy as np
import torch
from torch import nn

from prunet.cells.masks import Masks
from prunet.deployment.operations import operations
from prunet.models.built_in import MODELS, initial_weights
from prunet.models.inputs import Shape
from prunet.shrinking.shrinking import shrink
from prunet.structure.finding import find_units
from prunet.structure.masks import coupled, dependents

PUBLISHED: dict[str, tuple[Shape, int]] = {  # usual image shape and number of classes of each model
    "lenet-300-100": ((1, 28, 28), 10),
    "mlp-1000-1000-500-200": ((1, 28, 28), 10),
    "lenet-5": ((1, 28, 28), 10),
    "light-cnn-9": ((1, 128, 128), 7),
    "light-cnn-29": ((1, 128, 128), 7),
    "resnet-20": ((3, 32, 32), 10),
    "resnet-56": ((3, 32, 32), 10),
    "vgg-16": ((3, 32, 32), 10),
    "resnet-50": ((3, 224, 224), 1000),
}


def without_half(model: nn.Module, shape: Shape) -> nn.Module:
    """Return a smaller model that lacks a random half of the units of each group."""
    units = find_units(model, torch.zeros(2, *shape))
    groups, _ = coupled(units)
    rng = np.random.default_rng(0)
    masks: Masks = {}
    for group in groups.values():
        count = 1 + max(int(rows.max()) for rows in group.values())
        kept = rng.permutation(count) < count // 2
        for name, rows in group.items():
            weight = model.get_parameter(name)
            alive = kept[rows] | (rows < 0)
            masks[name] = alive.reshape(1, -1, *[1] * (weight.ndim - 1)) & np.ones((1, *weight.shape), bool)
    state = model.state_dict()
    for name, alive in dependents(units, masks).items():
        state[name].mul_(torch.from_numpy(alive[0]))
    return shrink(model, {name: mask[0] for name, mask in masks.items()})


def main() -> None:
    """Print the table."""
    print("| model | images | parameters | of half the units | MACs | of half the units |")
    print("|---|---|--:|--:|--:|--:|")
    for name, (shape, classes) in PUBLISHED.items():
        build = partial(MODELS[name], shape, classes)
        model = build()
        model.load_state_dict(initial_weights(build, 0, "he"))
        counts = []
        for network in (model, without_half(model, shape)):
            counts.append(sum(parameter.numel() for parameter in network.parameters()))
            counts.append(operations(network, {}, shape)["macs_dense"])
        before, macs, after, macs_after = counts
        print(
            f"| {name} | {'x'.join(map(str, shape))} | {before:,} | {after:,} ({after / before:.0%}) "
            f"| {macs:,} | {macs_after:,} ({macs_after / macs:.0%}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
