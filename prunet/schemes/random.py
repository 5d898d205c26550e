"""New random values, `reinits` draws for each mask.

From the distribution of the original ones (Frankle & Carbin 2019, section 2).
"""

import numpy as np

from prunet.retraining.scheme import Scheme, Sources, Ticket


def ticket(sources: Sources) -> Ticket:
    """Return new values, each draw under the mask of its replicate."""
    weights = sources.fresh()
    draws = len(next(iter(weights.values()))) // len(next(iter(sources.masks.values())))
    masks = {name: np.repeat(mask, draws, axis=0) for name, mask in sources.masks.items()}
    return Ticket(weights, masks)


SCHEME = Scheme(ticket, "random (new)", "#009E73", "^", ":", redraws=True)
