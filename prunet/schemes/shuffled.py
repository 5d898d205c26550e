"""Control: mask and original values shuffled within each layer.

The surviving values are the ticket's; their connections are not. (The shuffling of Frankle et al. 2021,
section 5, with the values moved along: otherwise it would be the draw of `random-mask`.)
"""

from prunet.retraining.controls import permutations, permuted
from prunet.retraining.scheme import Scheme, Sources, Ticket


def ticket(sources: Sources) -> Ticket:
    """Return initial values and masks, moved to the same random positions of their layer."""
    weights, masks = dict(sources.initial()), {}
    orders = permutations(sources)
    for name, mask in sources.masks.items():
        weights[name] = permuted(weights[name], orders[name])
        masks[name] = permuted(mask, orders[name])
    return Ticket(weights, masks)


SCHEME = Scheme(ticket, "shuffled ticket", "#CC79A7", "v", "-.", keeps_mask=False)
