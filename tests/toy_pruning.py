"""Networks of a few weights to prune, and a model with known answers."""

import numpy as np

from prunet.pruning.criteria import Evidence
from prunet.pruning.rounds import ModelQueries, TrainedNetworks, prune

OPTIONS = {
    **{"schedule": "iterative", "number": 1, "rate": 0.2, "own": {}, "scope": "layer"},
    **{"criterion": "magnitude", "empty_layers": "keep-one", "seed": 0},
}


def not_asked(*_):
    raise AssertionError("a criterion asked for evidence that it does not need")


def pruned(weights, masks=None, initial=None, model=None, **options):
    """Prune networks of weights (R, *shape); criteria that ask for more evidence than is given fail."""
    masks = masks or {name: np.ones(values.shape, bool) for name, values in weights.items()}
    answers = [(lambda given=given: given) if given else not_asked for given in (initial, model)]
    return prune(TrainedNetworks(weights, masks, *answers), **OPTIONS | options)


def evidence(weights, masks=None, **known):
    """Return the evidence of one network with weights (*shape)."""
    masks = masks or {name: np.ones(values.shape, bool) for name, values in weights.items()}
    asked = ("initial", "gradients", "row_slopes", "synaptic_flow", "norms", "groups")
    unknown = dict.fromkeys(asked, not_asked)
    return Evidence(**{"weights": weights, "masks": masks, "rng": None} | unknown | known)


def coupled(groups, norms=None):
    """Return a model with these groups of units."""
    rows = {group: {name: np.array(ids) for name, ids in layers.items()} for group, layers in groups.items()}
    return ModelQueries(not_asked, not_asked, not_asked, rows, norms or {}, lambda masks: masks)
