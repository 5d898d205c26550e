"""Units of a network: the rows of weights that can only be removed together.

Removing a unit shrinks a network only if all rows coupled with it are removed as well: both filters of a pair
in a max-feature-map, or the same channel of all convolutions whose outputs a residual network adds up.

prunet finds them itself because torch-pruning 1.6.1, the library for this, fails on these networks: it raises
`IndexError` where a max-feature-map is flattened before a linear layer (LightCNN), as it takes positions for
maps, and it couples maps with the zeros that a shortcut pads them with, so that the layers of a pruned
ResNet-20 no longer fit each other.
"""

import numpy as np
from numpy.typing import NDArray
from torch import nn

from prunet.cells.masks import Masks
from prunet.graph.features import Ids, components, number_features
from prunet.graph.trace import Step, trace
from prunet.models.inputs import Shape

Groups = dict[str, dict[str, Ids]]
KEPT = -1  # number of the rows that cannot be removed


def coupled(model: nn.Module, shape: Shape) -> tuple[Groups, dict[str, str]]:
    """Return the groups of layers that share units, and the norm after each layer.

    Args:
        model: a network of the operations that `prunet.graph.trace` supports.
        shape: (C, H, W) of an image.

    Returns:
        groups: for each set of layers that share units, by the name of its first weight: {weight: (out,) unit
            number of each row, 0 to n - 1, or -1 if it cannot be removed}. Rows with the same number are one
            unit; a weight may lack some units. Layers whose rows are the network's outputs are in no group.
        norms: {weight: name of the BatchNorm after its layer}.

    Raises:
        InputError: the model has an operation that `prunet.graph.trace` does not support.
    """
    steps = trace(model)
    ids = number_features(steps, shape[0], across_moves=True)
    fixed = np.concatenate([ids[0], ids[-1]])  # images and outputs
    rows = {
        f"{step.name}.weight": np.where(np.isin(own, fixed), KEPT, own)
        for step, own in zip(steps, ids, strict=True)
        if step.effect == "layer"
    }
    rows = {name: own for name, own in rows.items() if (own != KEPT).any()}
    return {next(iter(group)): _numbered(group) for group in _sharing(rows)}, _norms(steps)


def dependents(model: nn.Module, masks: Masks, norms: dict[str, str]) -> Masks:
    """Return masks for the biases, and the norms' weights and biases, that are removed with their units.

    Holding these at zero makes the output of a removed unit exactly zero, also after its norm.

    Args:
        model: the network.
        masks: {weight: (R, out, ...)} of some or all layers, True where a weight survives.
        norms: from `coupled`.

    Returns:
        {tensor: (R, out)}, False where no weight of the row survives.
    """
    parameters = dict(model.named_parameters())
    found: Masks = {}
    for name, mask in masks.items():
        alive: NDArray[np.bool_] = np.any(mask.reshape(*mask.shape[:2], -1), axis=2)
        own = [name.removesuffix("weight") + "bias"]
        if name in norms:
            own += [f"{norms[name]}.weight", f"{norms[name]}.bias"]
        found |= {tensor: alive for tensor in own if tensor in parameters}
    return found


def unread(model: nn.Module, shape: Shape, masks: Masks) -> Masks:
    """Return the masks without the weights that read removed units, as these only multiply zeros.

    The density of the result is that of the smaller network.

    Args:
        model: the network.
        shape: (C, H, W) of an image.
        masks: {weight: (R, out, in, ...)} of all layers; a unit without any surviving weight is removed.
    """
    steps = trace(model)
    ids = number_features(steps, shape[0], across_moves=True)
    after = {name: mask.copy() for name, mask in masks.items()}
    layers = [(f"{step.name}.weight", number) for number, step in enumerate(steps) if step.effect == "layer"]
    for replicate in range(len(next(iter(masks.values())))):
        alive = np.zeros(max(int(own.max()) for own in ids) + 1, bool)
        alive[ids[0]] = True
        for name, number in layers:
            alive[ids[number][masks[name][replicate].reshape(len(ids[number]), -1).any(1)]] = True
        for name, number in layers:
            read = alive[ids[steps[number].inputs[0]]]
            columns = np.repeat(read, masks[name].shape[2] // len(read))  # a flattened map has many columns
            after[name][replicate][:, ~columns] = False
    return after


def _sharing(rows: dict[str, Ids]) -> list[dict[str, Ids]]:
    """Partition the weights into sets that share units."""
    owners = np.repeat(np.arange(len(rows)), [len(own) for own in rows.values()])
    owned = np.concatenate([*rows.values(), np.zeros(0, np.int64)])
    owners, owned = owners[owned != KEPT], owned[owned != KEPT] + len(rows)
    labels = components(int(owned.max(initial=0)) + 1, owners, owned)
    groups: dict[int, dict[str, Ids]] = {}
    for label, (name, own) in zip(labels, rows.items(), strict=False):
        groups.setdefault(int(label), {})[name] = own
    return list(groups.values())


def _numbered(rows: dict[str, Ids]) -> dict[str, Ids]:
    """Renumber the units of a group from 0, in the order of their first rows."""
    seen = dict.fromkeys(number for own in rows.values() for number in own.tolist() if number != KEPT)
    numbers = {KEPT: KEPT} | {number: index for index, number in enumerate(seen)}
    return {name: np.array([numbers[number] for number in own.tolist()]) for name, own in rows.items()}


def _norms(steps: list[Step]) -> dict[str, str]:
    norms: dict[str, str] = {}
    for step in steps:
        if step.effect == "norm":
            source = steps[step.inputs[0]]
            while source.effect in ("keep", "apply"):
                source = steps[source.inputs[0]]
            if source.effect == "layer":
                norms.setdefault(f"{source.name}.weight", step.name)
    return norms
