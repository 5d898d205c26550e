"""Control: a random mask, as dense in each layer; original values."""

from prunet.retraining.controls import permutations, permuted
from prunet.retraining.scheme import Scheme, Sources, Ticket


def ticket(sources: Sources) -> Ticket:
    """Return the initial values under masks with as many survivors in every layer, at random positions."""
    orders = permutations(sources)
    return Ticket(
        sources.initial(), {name: permuted(mask, orders[name]) for name, mask in sources.masks.items()}
    )


SCHEME = Scheme(
    ticket, "random mask", "#E69F00", "D", (0, (4, 1, 1, 1, 1, 1)), dense_at_round_0=True, keeps_mask=False
)
