"""Units of a network that only go together, as plain data.

Removing a unit shrinks a network only if everything that feeds or joins it goes as well: both filters of a
pair of a max-feature-map, the same channel of all convolutions whose outputs a residual network adds up.

The walk is our own: torch-pruning 1.6.1, a library for this, raises `IndexError` where a max-feature-map is
flattened in front of a linear layer (LightCNN), whose positions it takes for more maps. It also ties maps to
the zeros that a shortcut adds beside them, and leaves a ResNet-20 whose layers no longer fit one another.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import nn

from prunet.graph.features import Ids, classes
from prunet.graph.trace import Step, trace
from prunet.models.inputs import Shape
from prunet.pruning.masks import Masks

Groups = dict[str, dict[str, Ids]]
KEPT = -1  # instead of a unit's number: cannot be removed


def coupled(model: nn.Module, shape: Shape) -> tuple[Groups, dict[str, str]]:
    """Find which rows of which weights are one unit.

    Args:
        model: any of `models.MODELS`, or one of the same kinds of layers.
        shape: (C, H, W) of an image.

    Returns:
        groups: for each set of layers that share units, by the name of its first weight: {weight: (out,)
            numbers of its rows' units, 0 to n - 1, or -1: cannot be removed}. Rows with the same number are
            one unit; a unit may be missing in some weights. Layers whose rows are the network's outputs
            are in no group.
        norms: {weight: name of the BatchNorm behind its layer}.

    Raises:
        InputError: the model does something that `prunet.graph.trace` does not know.
    """
    steps = trace(model)
    ids = classes(steps, shape[0], across_moves=True)
    fixed = np.concatenate([ids[0], ids[-1]])  # images and outputs
    rows = {
        f"{step.name}.weight": np.where(np.isin(own, fixed), KEPT, own)
        for step, own in zip(steps, ids, strict=True)
        if step.effect == "layer"
    }
    rows = {name: own for name, own in rows.items() if (own != KEPT).any()}
    return {next(iter(group)): _numbered(group) for group in _sharing(rows)}, _norms(steps)


def dependents(model: nn.Module, masks: Masks, norms: dict[str, str]) -> Masks:
    """Return masks of the biases, and of the norms' weights and biases, that go with removed units.

    Where they are held at zero, a unit whose weights are zero gives exactly zero, also behind its norm.

    Args:
        model: the network.
        masks: {weight: (N, out, ...)} of some or all layers, True where it survives.
        norms: from `coupled`.

    Returns:
        {tensor: (N, out)}, False where all weights of the row are gone.
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
    """Return the masks without the weights that read removed units: they multiply exact zeros.

    So the density of what is left after whole units have gone is that of the smaller network.

    Args:
        model: the network.
        shape: (C, H, W) of an image.
        masks: {weight: (N, out, in, ...)} of all layers; a unit is gone where all of its rows are.
    """
    steps = trace(model)
    ids = classes(steps, shape[0], across_moves=True)
    after = {name: mask.copy() for name, mask in masks.items()}
    layers = [(f"{step.name}.weight", number) for number, step in enumerate(steps) if step.effect == "layer"]
    for replicate in range(len(next(iter(masks.values())))):
        alive = np.zeros(max(int(own.max()) for own in ids) + 1, bool)
        alive[ids[0]] = True
        for name, number in layers:
            alive[ids[number][masks[name][replicate].reshape(len(ids[number]), -1).any(1)]] = True
        for name, number in layers:
            read = alive[ids[steps[number].inputs[0]]]
            columns = np.repeat(read, masks[name].shape[2] // len(read))  # a flattened map has many
            after[name][replicate][:, ~columns] = False
    return after


def _sharing(rows: dict[str, Ids]) -> list[dict[str, Ids]]:
    """Part the weights into sets that share units."""
    owners = np.repeat(np.arange(len(rows)), [len(own) for own in rows.values()])
    owned = np.concatenate([*rows.values(), np.zeros(0, np.int64)])
    owners, owned = owners[owned != KEPT], owned[owned != KEPT] + len(rows)
    size = int(owned.max(initial=0)) + 1
    edges = coo_array((np.ones(len(owned)), (owners, owned)), shape=(size, size))
    labels = connected_components(edges, directed=False)[1]
    groups: dict[int, dict[str, Ids]] = {}
    for label, (name, own) in zip(labels, rows.items(), strict=False):
        groups.setdefault(int(label), {})[name] = own
    return list(groups.values())


def _numbered(rows: dict[str, Ids]) -> dict[str, Ids]:
    """Number the units of a group in the order in which its rows name them."""
    seen = dict.fromkeys(number for own in rows.values() for number in own.tolist() if number != KEPT)
    numbers = {KEPT: KEPT} | {number: place for place, number in enumerate(seen)}
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
