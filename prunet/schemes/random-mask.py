"""Control: a random mask, as dense in each layer; original values.

Where the round removed whole units, as many other units of each group are removed.
"""

from prunet.retraining.controls import generators, random_masks
from prunet.retraining.scheme import Scheme, Sources, Ticket


def ticket(sources: Sources) -> Ticket:
    """Return the initial values under masks with as many survivors in every layer, at random positions."""
    return Ticket(sources.initial(), random_masks(sources, generators(sources)))


SCHEME = Scheme(
    ticket, "random mask", "#E69F00", "D", (0, (4, 1, 1, 1, 1, 1)), dense_at_round_0=True, keeps_mask=False
)
