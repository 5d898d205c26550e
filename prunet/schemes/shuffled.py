"""Control: mask and original values shuffled within each layer.

The surviving values are the ticket's; their connections are not. (The shuffling of Frankle et al. 2021,
section 5, with the values moved along: otherwise it would be the draw of `random-mask`.) Where the round
removed whole units, other units are removed, and the values shuffled among the survivors.
"""

from prunet.retraining.controls import generators, random_masks, shuffled
from prunet.retraining.scheme import Scheme, Sources, Ticket


def ticket(sources: Sources) -> Ticket:
    """Return random masks, and the initial values of the round's survivors in a random order below them."""
    rngs = generators(sources)
    masks = random_masks(sources, rngs)
    return Ticket(shuffled(sources.initial(), sources.masks, masks, rngs), masks)


SCHEME = Scheme(ticket, "shuffled ticket", "#CC79A7", "v", "-.", keeps_mask=False)
